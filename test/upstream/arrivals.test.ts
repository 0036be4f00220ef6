/** What comes in at published ports: connections, datagrams, whose they are, who is turned away. */

import assert from "node:assert/strict";
import { describe } from "node:test";
import { addressText, flowsOf } from "../../src/engine/flows.ts";
import { check, EAGAIN, ECONNRESET, EMFILE, ENOMEM, EPERM } from "../../src/sys/errno.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { EPOLLOUT, SO_OOBINLINE, SOL_SOCKET, SOL_TCP, TCP_NODELAY } from "../../src/sys/linux.ts";
import { writeIpv4, writeIpv6 } from "../../src/sys/sockaddr.ts";
import { getOption, openTcp, openTcp6 } from "../../src/sys/socket.ts";
import { Listeners } from "../../src/upstream/listener.ts";
import { EVENT_OF_PORT } from "../../src/upstream/upstream.ts";
import * as abi from "../../wasm/abi.ts";
import { START } from "../support/engine-harness.ts";
import { waitFor } from "../sys/support.ts";
import { connect, noted, opened, rule } from "./listener-rig.ts";
import { freePort, LOOPBACK, LOOPBACK6, nameOf, receive, rigTest, send, udpSocket } from "./rig.ts";

/** 10.0.2.15. */
const GUEST4 = 0x0a00020f;
const GUEST6 = [0xfd10, 0, 2, 0, 0, 0, 0, 2];
const GUEST6_OCTETS = [0xfd, 0x10, 0, 0, 0, 2, ...new Array<number>(9).fill(0), 2];

describe("listener rules: what comes in", () => {
  rigTest("connections leave without Nagle and keep urgent octets in their place", (rig) => {
    const port = freePort(rig.sys, "tcp");
    const listeners = opened(rig, rule(port, 80));
    const client = check(connect(rig, port), "Connect");
    listeners.accept(0, START);
    const accepted = client + 1;
    assert.notEqual(getOption(rig.sys, accepted, SOL_TCP, TCP_NODELAY), 0);
    assert.equal(getOption(rig.sys, accepted, SOL_SOCKET, SO_OOBINLINE), 1);
    rig.sys.close(client);
    listeners.close();
  });

  rigTest("a peer whose address stands for IPv6 in the engine looks like this host", (rig) => {
    let address = 0xf0000001;
    const left = [1, 1, 0];
    const sys: Libc = Object.create(rig.sys, {
      accept4: {
        value: () => {
          if (left.shift() !== 1) return -11; // EAGAIN
          writeIpv4(rig.sys.scratch, 0, address, 4000);
          return check(openTcp(rig.sys), "Open");
        },
      },
    });
    const port = freePort(rig.sys, "tcp");
    const listeners = new Listeners(sys, rig.engine, rig.sockets);
    listeners.open([rule(port, 80)], rig.epoll);
    listeners.answer(true);
    const seen: unknown[][] = [];
    const value = (...args: readonly unknown[]): number => {
      seen.push([...args]);
      address = 0xefffffff;
      return 0;
    };
    Object.defineProperty(rig.engine, "inboundTcp", { value });
    assert.equal(listeners.accept(0, START), 2);
    assert.deepEqual(seen, [
      [80, LOOPBACK, 4000, START, 0],
      [80, 0xefffffff, 4000, START, 0],
    ]);
    listeners.close();
  });

  rigTest("a rule's address of the guest is asked of the engine, in either version", (rig) => {
    const calls = noted(rig, "addressSix");
    const [first, second] = [freePort(rig.sys, "tcp"), freePort(rig.sys, "tcp")];
    const listeners = opened(
      rig,
      { ...rule(first, 80), guestAddress: GUEST6 },
      { ...rule(second, 80), guestAddress: GUEST4 },
    );
    for (const [i, port] of [first, second].entries()) {
      const client = check(connect(rig, port), "Connect");
      assert.equal(listeners.accept(i, START), 1);
      rig.sys.close(client);
    }
    assert.deepEqual(calls, [["addressSix", GUEST6_OCTETS]]);
    const guests = flowsOf(rig.engine).map((flow) => addressText(rig.engine, flow.guestAddress));
    assert.deepEqual(guests, ["fd10:0:2::2", "10.0.2.15"]);
    assert.equal(flowsOf(rig.engine).at(-1)?.guestAddress, GUEST4);
    listeners.close();
  });

  rigTest("one that there is no room for is reset, not ended", (rig) => {
    const port = freePort(rig.sys, "tcp");
    const other = freePort(rig.sys, "tcp");
    const listeners = opened(rig, rule(port, 80), { ...rule(other, 80), guestAddress: GUEST6 });
    Object.defineProperty(rig.engine, "inboundTcp", { value: () => 0 });
    Object.defineProperty(rig.engine, "addressSix", { value: () => 0 });
    for (const [i, to] of [port, other].entries()) {
      const client = check(connect(rig, to), "Connect");
      assert.equal(listeners.accept(i, START), 1);
      assert.equal(receive(rig.sys, client), -ECONNRESET);
      rig.sys.close(client);
    }
    assert.equal(rig.sockets.openCount, 0);
    listeners.close();
  });

  rigTest("where a connection can be neither taken nor refused it is the first errno", (rig) => {
    const results = [-EMFILE, -EPERM, -EAGAIN];
    const sys: Libc = Object.create(rig.sys, {
      accept4: { value: () => results.shift() ?? -EAGAIN },
    });
    const listeners = new Listeners(sys, rig.engine, rig.sockets);
    listeners.open([rule(0, 80)], rig.epoll);
    listeners.answer(true);
    assert.equal(listeners.accept(0, START), -EMFILE);
    assert.equal(listeners.refusedCount, 0);
    listeners.close();
  });

  rigTest("one that cannot listen says so", (rig) => {
    const sys: Libc = Object.create(rig.sys, { listen: { value: () => -ENOMEM } });
    const listeners = new Listeners(sys, rig.engine, rig.sockets);
    listeners.open([rule(0, 80)], rig.epoll);
    assert.throws(() => listeners.answer(true), /Listen at a published port/);
    listeners.close();
  });

  rigTest("over IPv6 the peer and the rule's guest each need a number", (rig) => {
    const port = freePort(rig.sys, "tcp");
    const listeners = new Listeners(rig.sys, rig.engine, rig.sockets);
    const at = { protocol: "tcp", hostAddress: 0, hostPort: port, guestPort: 80 } as const;
    listeners.open([{ ...at, guestAddress: GUEST6 }], rig.epoll, { ipv4: true, ipv6: true });
    listeners.answer(true);
    let numbers: number[] = [];
    Object.defineProperty(rig.engine, "addressSix", { value: () => numbers.shift() ?? 0 });
    const seen: number[][] = [];
    const value = (...args: number[]): number => {
      seen.push(args);
      return 0;
    };
    Object.defineProperty(rig.engine, "inboundTcp", { value });
    for (const given of [[0xf0000001], [], [0, 0xf0000002], [0xf0000003, 0xf0000004]]) {
      numbers = given;
      const client = check(openTcp6(rig.sys), "Open");
      const length = writeIpv6(rig.sys.scratch, 0, LOOPBACK6, port);
      rig.sys.connect(client, rig.sys.scratch.address, length);
      waitFor(rig.sys, client, EPOLLOUT);
      assert.equal(listeners.accept(1, START), 1);
      assert.equal(receive(rig.sys, client), -ECONNRESET);
      rig.sys.close(client);
    }
    assert.deepEqual(
      seen.map(([guestPort, peer, , , guest]) => [guestPort, peer, guest]),
      [[80, 0xf0000003, 0xf0000004]],
    );
    listeners.close();
  });

  rigTest("one that cannot stop listening says so", (rig) => {
    const sys: Libc = Object.create(rig.sys, { shutdown: { value: () => -ENOMEM } });
    const listeners = new Listeners(sys, rig.engine, rig.sockets);
    listeners.open([rule(0, 80)], rig.epoll);
    listeners.answer(true);
    assert.throws(() => listeners.answer(false), /Stop listening at a published port/);
    listeners.close();
  });

  rigTest("a datagram makes a flow to the guest's port and address, once", (rig) => {
    const listeners = opened(rig, { ...rule(0, 53, "udp"), guestAddress: GUEST4 });
    const seen: unknown[][] = [];
    const real = rig.engine.inboundUdp.bind(rig.engine);
    const value = (...args: Parameters<typeof real>): number => {
      seen.push(args);
      return real(...args);
    };
    Object.defineProperty(rig.engine, "inboundUdp", { value });
    listeners.arrived(0, START);
    listeners.arrived(0, START);
    assert.deepEqual(seen, [[53, 0, START, 4, 1, GUEST4]]);
    const [flow] = flowsOf(rig.engine);
    assert.deepEqual([flow?.kind, flow?.guestPort, flow?.guestAddress], ["udp", 53, GUEST4]);
    assert.equal(rig.sockets.ports.isParked(0), false);
  });

  rigTest("the flow of a datagram hears of it at once, unless it gets no socket", (rig) => {
    const rules = [53, 54, 55].map((port) => rule(0, port, "udp"));
    const listeners = opened(rig, ...rules);
    const heard: number[][] = [];
    const value = (...args: number[]): void => void heard.push(args);
    Object.defineProperty(rig.engine, "upstreamEvent", { value });
    listeners.arrived(0, START);
    const [flow] = flowsOf(rig.engine);
    assert.deepEqual(heard, [[(flow?.handle ?? 0) | 0, abi.EVENT_READABLE, START]]);
    let result = -ENOMEM;
    Object.defineProperty(rig.sockets, "adoptPort", { value: () => result });
    listeners.arrived(1, START);
    assert.equal(heard.length, 1);
    result = 0;
    listeners.arrived(2, START);
    assert.equal(heard.length, 2);
    listeners.close();
  });

  rigTest("where no slot is free the datagram stays, and the socket is parked on", (rig) => {
    const listeners = opened(rig, rule(0, 53, "udp"));
    const value = (): number => 0;
    Object.defineProperty(rig.engine, "inboundUdp", { value });
    listeners.arrived(0, START);
    assert.equal(rig.sockets.ports.isParked(0), true);
    const peer = udpSocket(rig.sys);
    listeners.close();
    rig.sys.close(peer.fd);
  });

  rigTest("a published port answers from itself and is heard by its token", (rig) => {
    const port = freePort(rig.sys, "udp");
    const listeners = opened(rig, rule(port, 53, "udp"));
    const peer = udpSocket(rig.sys);
    check(
      rig.sys.connect(
        peer.fd,
        rig.sys.scratch.address,
        writeIpv4(rig.sys.scratch, 0, LOOPBACK, port),
      ),
      "Connect",
    );
    send(rig.sys, peer.fd, "x");
    rig.awaitEvent(0, abi.EVENT_READABLE, EVENT_OF_PORT);
    assert.notEqual(nameOf(rig.sys, peer.fd).port, port);
    listeners.close();
    rig.sys.close(peer.fd);
  });

  rigTest("listeners that do not answer, or that there are not, take nothing", (rig) => {
    const ports = [freePort(rig.sys, "tcp"), freePort(rig.sys, "tcp")];
    const listeners = new Listeners(rig.sys, rig.engine, rig.sockets);
    listeners.open(
      ports.map((port) => rule(port, 80)),
      rig.epoll,
    );
    assert.equal(listeners.answer(true, 1), false);
    const client = check(connect(rig, ports[0] ?? 0), "Connect");
    assert.deepEqual([listeners.accept(1, START), listeners.accept(2, START)], [0, 0]);
    assert.equal(listeners.accept(0, START), 1);
    assert.equal(listeners.answer(false), true);
    assert.equal(listeners.accept(0, START), 0);
    rig.sys.close(client);
    listeners.close();
  });
});
