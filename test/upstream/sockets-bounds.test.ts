/** What bounds sockets, where they lead, and those of published ports that flows take and leave. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { mappedOctetsOf } from "../../src/lib/addr6.ts";
import { check, EADDRNOTAVAIL, EBADF, EMFILE, ENOSYS } from "../../src/sys/errno.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { MSG_DONTWAIT, SO_RCVBUF, SO_SNDBUF, SOL_SOCKET } from "../../src/sys/linux.ts";
import {
  connectIpv4,
  getOption,
  localPort,
  openMessagePair,
  openUdp,
} from "../../src/sys/socket.ts";
import { ANY_WAY, Outbound } from "../../src/upstream/outbound.ts";
import { DATAGRAM } from "../../src/upstream/sockets.ts";
import { openUdpPort } from "../../src/upstream/udp.ts";
import { EVENT_OF_PORT } from "../../src/upstream/upstream.ts";
import * as abi from "../../wasm/abi.ts";
import { systemTest } from "../sys/support.ts";
import {
  accept,
  LOOPBACK,
  LOOPBACK6,
  listen,
  listen6,
  nameOf,
  Rig,
  receive,
  rigTest,
  send,
  udpSocket,
} from "./rig.ts";

const HANDLE = 0xfedc0007 | 0;
const OTHER = 0x00010008;
const SIX = abi.FAMILY_SIX;
const MIB = 1 << 20;
const bounds = { socketsMax: 2, buffers: Number.POSITIVE_INFINITY, clock: () => 0 };

describe("sockets: their number", () => {
  rigTest(
    "at the bound an opening fails with EMFILE, whatever it opens; a close gives room",
    (rig) => {
      const open = (handle: number): number => rig.perform(abi.OP_UDP_OPEN, handle);
      assert.deepEqual([open(1), open(2), open(3)], [0, 0, -EMFILE]);
      const { fd, port } = listen(rig.sys);
      const connect = { a: LOOPBACK, b: port };
      assert.equal(rig.perform(abi.OP_TCP_CONNECT, 3, connect), -EMFILE);
      assert.equal(rig.perform(abi.OP_PING_OPEN, 3), -EMFILE);
      assert.deepEqual([rig.sockets.openCount, rig.sockets.openedCount], [2, 2]);
      assert.equal(rig.perform(abi.OP_CLOSE, 1), 0);
      assert.equal(rig.perform(abi.OP_TCP_CONNECT, 3, connect), 1);
      assert.deepEqual([rig.sockets.openCount, rig.sockets.openedCount], [2, 3]);
      rig.sys.close(fd);
    },
    {},
    { bounds },
  );

  rigTest("without a bound there may be as many as flows", (rig) => {
    for (let slot = 1; slot <= 20; slot += 1) {
      assert.equal(rig.perform(abi.OP_UDP_OPEN, slot), 0);
    }
    assert.equal(rig.sockets.openCount, 20);
  });

  rigTest("a flow whose slot is taken over loses its socket, which is reset", (rig) => {
    const { fd, port } = listen(rig.sys);
    assert.equal(rig.perform(abi.OP_TCP_CONNECT, 0x00010007, { a: LOOPBACK, b: port }), 1);
    const far = accept(rig.sys, fd);
    rig.sockets.adopt(HANDLE, udpSocket(rig.sys).fd);
    assert.equal(receive(rig.sys, far), -104); // ECONNRESET
    assert.equal(rig.sockets.openCount, 1);
    assert.equal(rig.perform(abi.OP_CLOSE, 0x00010007), -EBADF);
    for (const each of [fd, far]) rig.sys.close(each);
  });
});

describe("sockets: their buffers", () => {
  const small = { socketsMax: 100, buffers: MIB, clock: () => 0 };

  rigTest(
    "beyond the places there are they are small, and a busy one is large",
    (rig) => {
      const sizes = (fd: number): number[] =>
        [SO_RCVBUF, SO_SNDBUF].map((name) => getOption(rig.sys, fd, SOL_SOCKET, name));
      const sockets = Array.from({ length: 6 }, (_, i) => {
        const peer = udpSocket(rig.sys);
        const probe = check(openUdp(rig.sys), "Open");
        rig.sys.close(probe);
        const to = { b: LOOPBACK, c: peer.port };
        assert.equal(rig.perform(abi.OP_UDP_OPEN, i + 1, to), 0);
        return { fd: probe, peer: peer.fd };
      });
      const [first, last] = [sockets[0]?.fd ?? -1, sockets.at(-1)?.fd ?? -1];
      const [large, little] = [sizes(first), sizes(last)];
      assert.ok((little[0] ?? 0) < 100_000 && (large[0] ?? 0) > 200_000, `${large} ${little}`);
      rig.perform(abi.OP_CLOSE, 1);
      const pointer = rig.message("x");
      for (let i = 0; i < 16; i += 1) {
        assert.deepEqual(sizes(last), little, `after ${i}`);
        rig.perform(abi.OP_UDP_SEND, 6, { pointer, count: 1, a: 1 });
      }
      assert.deepEqual(sizes(last), large);
      rig.sockets.tighten();
      assert.ok((sizes(sockets[1]?.fd ?? -1)[0] ?? 0) < 100_000, "one that was idle");
      assert.deepEqual(sizes(last), large, "one that was busy");
      for (let handle = 2; handle <= 6; handle += 1) rig.perform(abi.OP_CLOSE, handle);
      for (let handle = 2; handle <= 5; handle += 1) rig.perform(abi.OP_UDP_OPEN, handle);
      for (const { fd } of sockets.slice(0, 4))
        assert.deepEqual(sizes(fd), large, "places are free");
      for (const { peer } of sockets) rig.sys.close(peer);
    },
    {},
    { bounds: small },
  );
});

describe("sockets: the CPU", () => {
  /** A rig whose yields are counted. */
  const yieldTest = (name: string, run: (rig: Rig, yields: () => number) => void): void =>
    systemTest(name, [], (sys) => {
      let count = 0;
      const counting: Libc = Object.create(sys, {
        sched_yield: {
          value: () => {
            count += 1;
            return 0;
          },
        },
      });
      const rig = new Rig(counting);
      try {
        run(rig, () => count);
      } finally {
        rig.close();
      }
    });

  yieldTest(
    "is yielded after a burst of eight datagrams in one list, not of seven",
    (rig, count) => {
      const { fd, port } = udpSocket(rig.sys);
      rig.perform(abi.OP_UDP_OPEN, HANDLE, { b: LOOPBACK, c: port });
      const pointer = rig.message("x");
      for (const [a, yields] of [
        [7, 0],
        [7, 0],
        [8, 1],
        [1, 1],
      ] as const) {
        rig.perform(abi.OP_UDP_SEND, HANDLE, { pointer, count: 1, a });
        assert.equal(count(), yields, `${a} datagrams`);
      }
      rig.sys.close(fd);
    },
  );

  yieldTest("is yielded once 128 KiB have moved, in either direction", (rig, count) => {
    const { fd, port } = listen(rig.sys);
    assert.equal(rig.perform(abi.OP_TCP_CONNECT, HANDLE, { a: LOOPBACK, b: port }), 1);
    const far = accept(rig.sys, fd);
    const drain = (): void => {
      const { bytes, address } = rig.sys.scratch;
      while (rig.sys.recv(far, address, bytes.length, MSG_DONTWAIT) > 0);
    };
    const sending = (octets: number, i = 0) => {
      drain();
      const pointer = rig.message("x", i);
      rig.useSlots(i, octets);
      return [abi.OP_TCP_SEND, { pointer, a: octets }] as const;
    };
    assert.equal(rig.perform(sending(131_071)[0], HANDLE, sending(131_071)[1]), 131_071);
    assert.equal(count(), 0);
    assert.equal(rig.perform(sending(131_072)[0], HANDLE, sending(131_072)[1]), 131_072);
    assert.equal(count(), 1);
    send(rig.sys, far, "y".repeat(1000));
    rig.awaitEvent(HANDLE, abi.EVENT_READABLE);
    const receiving = [abi.OP_TCP_RECV, { pointer: rig.message("", 1) }] as const;
    assert.deepEqual(rig.performBoth(HANDLE, sending(130_071), receiving), [130_071, 1000]);
    assert.equal(count(), 1);
    send(rig.sys, far, "y".repeat(1000));
    rig.awaitEvent(HANDLE, abi.EVENT_READABLE);
    assert.deepEqual(rig.performBoth(HANDLE, sending(130_072), receiving), [130_072, 1000]);
    assert.equal(count(), 2);
    for (const each of [fd, far]) rig.sys.close(each);
  });
});

describe("sockets: where they lead", () => {
  const nowhere = new Outbound({
    ipv4: 0xc0000263,
    ipv6: [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x99],
    device: undefined,
  });

  rigTest(
    "what stays on this machine's loopback does not leave as was asked for, all else does",
    (rig) => {
      const { sys } = rig;
      const [four, six] = [listen(sys), listen6(sys)];
      const tcp = (a: number): number =>
        rig.perform(abi.OP_TCP_CONNECT, HANDLE, { a, b: four.port });
      const udp = (b: number): number => rig.perform(abi.OP_UDP_OPEN, HANDLE, { b, c: four.port });
      const over6 = (kind: number, octets: ArrayLike<number>): number => {
        const pointer = rig.name6(octets, six.port);
        return rig.perform(kind, HANDLE, { pointer, count: SIX });
      };
      const close = (result: number): number => {
        if (result >= 0) rig.perform(abi.OP_CLOSE, HANDLE);
        return result;
      };
      assert.equal(close(tcp(LOOPBACK)), 1);
      assert.equal(close(tcp(0x0a000001)), -EADDRNOTAVAIL);
      assert.equal(close(udp(LOOPBACK)), 0);
      assert.equal(close(udp(0x0a000001)), -EADDRNOTAVAIL);
      assert.equal(close(udp(0)), -EADDRNOTAVAIL);
      assert.equal(close(over6(abi.OP_TCP_CONNECT, LOOPBACK6)), 1);
      assert.equal(close(over6(abi.OP_UDP_OPEN, LOOPBACK6)), 0);
      const far = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
      assert.equal(close(over6(abi.OP_TCP_CONNECT, far)), -EADDRNOTAVAIL);
      assert.equal(close(over6(abi.OP_UDP_OPEN, far)), -EADDRNOTAVAIL);
      assert.equal(close(rig.perform(abi.OP_UDP_OPEN, HANDLE, { count: SIX })), -EADDRNOTAVAIL);
      assert.equal(rig.sockets.openCount, 0);
      for (const { fd } of [four, six]) sys.close(fd);
    },
    {},
    { ways: { outbound: nowhere } },
  );

  systemTest("a service of this host's own is a socket that it makes", [], (sys) => {
    const pair = { a: -1, b: -1 };
    const service = (): number => check(openMessagePair(sys, pair), "Open") || pair.a;
    const rig = new Rig(sys, {}, { ways: { outbound: ANY_WAY, service } });
    const local = { count: abi.FAMILY_LOCAL, c: 69 };
    assert.equal(rig.perform(abi.OP_UDP_OPEN, HANDLE, local), 0);
    const message = { pointer: rig.message("read"), count: 1, a: 1 };
    assert.equal(rig.perform(abi.OP_UDP_SEND, HANDLE, message), 1);
    assert.equal(receive(sys, pair.b), "read");
    rig.close();
    sys.close(pair.b);
  });

  rigTest("where there is none it is ENOSYS", (rig) => {
    assert.equal(rig.perform(abi.OP_UDP_OPEN, HANDLE, { count: abi.FAMILY_LOCAL }), -ENOSYS);
  });
});

describe("sockets: of published ports", () => {
  /** Publishes a port of the loopback for guest port 53; its token. */
  const publish = (rig: Rig, spot = 0): { token: number; port: number; fd: number } => {
    const fd = check(openUdpPort(rig.sys, 4, mappedOctetsOf(LOOPBACK), 0), "Open");
    const port = localPort(rig.sys, fd);
    const token = rig.sockets.ports.add(fd, 4, 53, port, spot);
    check(rig.epoll.add(fd, DATAGRAM, token, EVENT_OF_PORT), "Watch");
    return { token, port, fd };
  };

  rigTest("one is taken in place of a new socket, is not counted, and is parked again", (rig) => {
    const { token, port, fd: published } = publish(rig);
    const size = (): number => getOption(rig.sys, published, SOL_SOCKET, SO_RCVBUF);
    assert.equal(size(), 65_536);
    const taken = rig.perform(abi.OP_UDP_OPEN, HANDLE, { c: 53 });
    assert.ok(size() > 200_000, "it has room for a burst while it is used");
    assert.equal(taken, abi.OPENED_PUBLISHED | port);
    assert.deepEqual([rig.sockets.openCount, rig.sockets.ports.isParked(token)], [0, false]);
    const { fd } = udpSocket(rig.sys);
    check(connectIpv4(rig.sys, fd, LOOPBACK, port), "Connect");
    send(rig.sys, fd, "one");
    rig.awaitEvent(HANDLE, abi.EVENT_READABLE);
    assert.equal(rig.perform(abi.OP_CLOSE, HANDLE, { a: 1 }), 0);
    assert.equal(rig.sockets.ports.isParked(token), true);
    rig.awaitEvent(token, abi.EVENT_READABLE, EVENT_OF_PORT);
    assert.equal(
      rig.perform(abi.OP_UDP_RECV, HANDLE, { pointer: rig.message(), count: 1 }),
      -EBADF,
    );
    assert.equal(rig.perform(abi.OP_UDP_OPEN, HANDLE, { c: 53 }), taken, "taken once more");
    rig.awaitEvent(HANDLE, abi.EVENT_READABLE);
    rig.sys.close(fd);
  });

  rigTest("another spot, another version or one with a peer is a new socket", (rig) => {
    publish(rig);
    const peer = udpSocket(rig.sys);
    assert.equal(rig.perform(abi.OP_UDP_OPEN, 1, { c: 53 | (1 << 16) }), 0);
    assert.equal(rig.perform(abi.OP_UDP_OPEN, 2, { c: 53, count: SIX }), 0);
    assert.equal(rig.perform(abi.OP_UDP_OPEN, 3, { b: LOOPBACK, c: peer.port }), 0);
    assert.equal(rig.perform(abi.OP_UDP_OPEN, 4, { c: 54 }), 0);
    assert.equal(rig.sockets.openCount, 4);
    const second = publish(rig, 1);
    const wanted = abi.OPENED_PUBLISHED | second.port;
    assert.equal(rig.perform(abi.OP_UDP_OPEN, 5, { c: 53 | (1 << 16) }), wanted);
    rig.sys.close(peer.fd);
  });

  rigTest(
    "one is taken at the bound of sockets too, and takes over the slot of another flow",
    (rig) => {
      const { token, port } = publish(rig);
      rig.sockets.adopt(OTHER, udpSocket(rig.sys).fd, DATAGRAM);
      rig.sockets.adopt(0x00010007, udpSocket(rig.sys).fd, DATAGRAM);
      assert.equal(rig.sockets.adoptPort(HANDLE, token), abi.OPENED_PUBLISHED | port);
      assert.equal(rig.sockets.openCount, 1);
      assert.equal(rig.perform(abi.OP_CLOSE, 0x00010007), -EBADF);
      rig.sockets.adopt(0x00020007, udpSocket(rig.sys).fd, DATAGRAM);
      assert.equal(rig.sockets.ports.isParked(token), true, "it loses the slot in its turn");
      assert.equal(rig.sockets.openCount, 2);
    },
    {},
    { bounds },
  );

  rigTest("a connection whose slot it takes over is reset", (rig) => {
    const { token } = publish(rig);
    const { fd, port } = listen(rig.sys);
    assert.equal(rig.perform(abi.OP_TCP_CONNECT, 0x00010007, { a: LOOPBACK, b: port }), 1);
    const far = accept(rig.sys, fd);
    assert.ok(rig.sockets.adoptPort(HANDLE, token) > 0);
    assert.equal(receive(rig.sys, far), -104); // ECONNRESET
    for (const each of [fd, far]) rig.sys.close(each);
  });

  rigTest("one whose socket cannot be watched is parked again", (rig) => {
    const fd = check(openUdpPort(rig.sys, 4, mappedOctetsOf(LOOPBACK), 0), "Open");
    const token = rig.sockets.ports.add(fd, 4, 53, 5353, 0); // never added to epoll
    assert.ok(rig.sockets.adoptPort(HANDLE, token) < 0);
    assert.equal(rig.sockets.ports.isParked(token), true);
    assert.equal(rig.perform(abi.OP_CLOSE, HANDLE), -EBADF);
    rig.sys.close(fd);
  });

  rigTest("closing parks them and leaves them open, for their owner to close", (rig) => {
    const { token, port } = publish(rig);
    rig.sockets.adoptPort(HANDLE, token);
    rig.sockets.close();
    assert.equal(rig.sockets.ports.isParked(token), true);
    const taken = openUdpPort(rig.sys, 4, mappedOctetsOf(LOOPBACK), port);
    assert.ok(taken < 0, "the port is still held");
    rig.sys.close(rig.sockets.ports.take(token));
    const again = check(openUdpPort(rig.sys, 4, mappedOctetsOf(LOOPBACK), port), "Open");
    assert.equal(nameOf(rig.sys, again).port, port);
    rig.sys.close(again);
  });
});
