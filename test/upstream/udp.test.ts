/** Ports of UDP flows: kept where they are free, never borrowed, published ones exactly. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { mappedOctetsOf } from "../../src/lib/addr6.ts";
import { check, EADDRINUSE, EAGAIN, EINVAL } from "../../src/sys/errno.ts";
import type { Libc } from "../../src/sys/libc.ts";
import {
  IP_PKTINFO,
  IP_RECVERR,
  IPV6_RECVERR,
  IPV6_RECVPKTINFO,
  SO_RCVBUF,
  SOL_IP,
  SOL_IPV6,
  SOL_SOCKET,
  SOL_UDP,
  UDP_GRO,
} from "../../src/sys/linux.ts";
import { connectIpv4, getOption, localPort } from "../../src/sys/socket.ts";
import { openUdpFlow, openUdpFlow6, openUdpPort, readyUdpPort } from "../../src/upstream/udp.ts";
import { systemTest } from "../sys/support.ts";
import { freePort, LOOPBACK, LOOPBACK6, nameOf, receive, send, udpSocket } from "./rig.ts";

describe("udp", () => {
  systemTest("the guest's port is kept, and another given where it is taken", [], (sys) => {
    const port = freePort(sys, "udp");
    const first = check(openUdpFlow(sys, port, 0, 0), "Open");
    assert.deepEqual(nameOf(sys, first), { address: 0, port });
    const second = check(openUdpFlow(sys, port, 0, 0), "Open");
    const other = nameOf(sys, second).port;
    assert.ok(other !== port && other >= 1024, `${other}`);
    for (const fd of [first, second]) sys.close(fd);
  });

  systemTest("ports below 1024 are not borrowed", [], (sys) => {
    for (const port of [0, 1, 53, 1023]) {
      const fd = check(openUdpFlow(sys, port, 0, 0), "Open");
      assert.ok(nameOf(sys, fd).port >= 1024);
      sys.close(fd);
    }
  });

  systemTest("with a peer it hears that peer alone", [], (sys) => {
    const peer = udpSocket(sys);
    const stranger = udpSocket(sys);
    const fd = check(openUdpFlow(sys, 40_000, LOOPBACK, peer.port), "Open");
    const { port } = nameOf(sys, fd);
    for (const [from, text] of [
      [stranger.fd, "stranger"],
      [peer.fd, "peer"],
    ] as const) {
      check(connectIpv4(sys, from, LOOPBACK, port), "Connect");
      send(sys, from, text);
    }
    assert.equal(receive(sys, fd), "peer");
    assert.equal(sys.recv(fd, sys.scratch.address, 1, 0), -EAGAIN);
    for (const each of [fd, peer.fd, stranger.fd]) sys.close(each);
  });

  systemTest("a peer that cannot be had is the errno, and nothing stays open", [], (sys) => {
    const probe = udpSocket(sys);
    sys.close(probe.fd);
    assert.ok(openUdpFlow(sys, 0, 0xffffffff, 1) < 0, "broadcast needs a permission");
    const next = udpSocket(sys);
    assert.equal(next.fd, probe.fd);
    sys.close(next.fd);
  });

  systemTest("a published port is that port or an error", [], (sys) => {
    const port = freePort(sys, "udp");
    const local = mappedOctetsOf(LOOPBACK);
    const fd = check(openUdpPort(sys, 4, local, port), "Open");
    assert.deepEqual(nameOf(sys, fd), { address: LOOPBACK, port });
    assert.equal(openUdpPort(sys, 4, local, port), -EADDRINUSE);
    assert.equal(openUdpPort(sys, 4, mappedOctetsOf(0), port), -EADDRINUSE);
    assert.equal(openUdpPort(sys, "both", new Uint8Array(16), port), -EADDRINUSE);
    sys.close(fd);
  });

  systemTest(
    "one on all addresses hears which one was asked, one of an address knows",
    [],
    (sys) => {
      const all = check(openUdpPort(sys, 4, mappedOctetsOf(0), 0), "Open");
      assert.equal(getOption(sys, all, SOL_IP, IP_PKTINFO), 1);
      const one = check(openUdpPort(sys, 4, mappedOctetsOf(LOOPBACK), 0), "Open");
      assert.equal(getOption(sys, one, SOL_IP, IP_PKTINFO), 0);
      for (const fd of [all, one]) sys.close(fd);
    },
  );

  systemTest("one of an address is that of any octet beside the prefix of IPv4", [], (sys) => {
    for (const family of [4, 6] as const) {
      const wanted = family === 4 ? [SOL_IP, IP_PKTINFO] : [SOL_IPV6, IPV6_RECVPKTINFO];
      const hears = (octets: readonly number[]): boolean => {
        const set: number[][] = [];
        const noting: Libc = Object.create(sys, {
          setsockopt: { value: (_fd: number, ...option: number[]) => set.push(option) && 0 },
          bind: { value: () => 0 },
        });
        sys.close(check(openUdpPort(noting, family, octets, 0), "Open"));
        return set.some(([level, name]) => level === wanted[0] && name === wanted[1]);
      };
      const found = Array.from({ length: 16 }, (_, at) =>
        hears(Array.from({ length: 16 }, (_octet, i) => (i === at ? 1 : 0))),
      );
      assert.deepEqual(
        found.flatMap((isAll, at) => (isAll ? [at] : [])),
        [10, 11],
      );
      assert.equal(hears(new Array(16).fill(0)), true);
    }
  });

  systemTest("a published one is small until it is used, in both versions", [], (sys) => {
    for (const fd of [
      openUdpPort(sys, 4, mappedOctetsOf(LOOPBACK), 0),
      openUdpPort(sys, 6, LOOPBACK6, 0),
      openUdpPort(sys, "both", new Uint8Array(16), 0),
    ]) {
      const size = getOption(sys, check(fd, "Open"), SOL_SOCKET, SO_RCVBUF);
      assert.equal(size, 2 * 32_768, "as the kernel counts it");
      sys.close(fd);
    }
  });

  systemTest("port 1024 is the first that is asked for, in both versions", [], (sys) => {
    const asked: number[] = [];
    const noting: Libc = Object.create(sys, {
      bind: {
        value: (_fd: number, name: number) => {
          asked.push(sys.scratch.view.getUint16(name - sys.scratch.address + 2, false));
          return asked.length % 2 === 1 ? -EADDRINUSE : 0;
        },
      },
    });
    for (const open of [
      (port: number) => openUdpFlow(noting, port, 0, 0),
      (port: number) => openUdpFlow6(noting, port, 0),
    ]) {
      asked.length = 0;
      sys.close(check(open(1024), "Open"));
      assert.deepEqual(asked, [1024, 0]);
      asked.length = 0;
      assert.equal(open(1023), -EADDRINUSE);
      assert.deepEqual(asked, [0], "and no other than the kernel's choice");
    }
  });

  systemTest("one of both versions takes the port in both", [], (sys) => {
    const both = check(openUdpPort(sys, "both", new Uint8Array(16), 0), "Open");
    const port = localPort(sys, both);
    assert.equal(getOption(sys, both, SOL_IPV6, IPV6_RECVPKTINFO), 1);
    assert.equal(openUdpPort(sys, 4, mappedOctetsOf(LOOPBACK), port), -EADDRINUSE);
    readyUdpPort(sys, both, "both");
    for (const [level, name] of [
      [SOL_IP, IP_RECVERR],
      [SOL_IPV6, IPV6_RECVERR],
    ] as const) {
      assert.equal(getOption(sys, both, level, name), 1);
    }
    sys.close(both);
  });

  systemTest("errors are queued and runs of datagrams joined", [], (sys) => {
    const published = check(openUdpPort(sys, 4, mappedOctetsOf(LOOPBACK), 0), "Open");
    readyUdpPort(sys, published, 4);
    for (const fd of [openUdpFlow(sys, 0, 0, 0), published]) {
      assert.equal(getOption(sys, check(fd, "Open"), SOL_IP, IP_RECVERR), 1);
      const joined = getOption(sys, fd, SOL_UDP, UDP_GRO);
      assert.ok(joined === 1 || joined === -EINVAL, "old kernels cannot say");
      sys.close(fd);
    }
  });
});
