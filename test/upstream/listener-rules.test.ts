/** What rules come to: sockets that are opened, what the engine is told, and what cannot be had. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import type { PublishRule } from "../../src/config/forward.ts";
import { mappedOctetsOf } from "../../src/lib/addr6.ts";
import {
  check,
  EACCES,
  EADDRINUSE,
  ECONNREFUSED,
  EMFILE,
  ENOMEM,
  ENOSPC,
  type SystemError,
} from "../../src/sys/errno.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { SO_OOBINLINE, SOL_SOCKET, SOL_TCP, TCP_NODELAY } from "../../src/sys/linux.ts";
import { writeIpv4 } from "../../src/sys/sockaddr.ts";
import { bindIpv4, getOption, openTcp, openUdp } from "../../src/sys/socket.ts";
import { Listeners } from "../../src/upstream/listener.ts";
import { EVENT_OF_PORT } from "../../src/upstream/upstream.ts";
import * as abi from "../../wasm/abi.ts";
import { START } from "../support/engine-harness.ts";
import { connect, opened, rule } from "./listener-rig.ts";
import { freePort, LOOPBACK, nameOf, type Rig, rigTest, send, udpSocket } from "./rig.ts";

const BOTH = { ipv4: true, ipv6: true };
const ALL6 = new Array<number>(16).fill(0);
/** 10.0.2.15. */
const GUEST4 = 0x0a00020f;
const GUEST6 = [0xfd10, 0, 2, 0, 0, 0, 0, 2];
const GUEST6_OCTETS = [0xfd, 0x10, 0, 0, 0, 2, ...new Array<number>(9).fill(0), 2];

/** Calls of these methods of the engine, which are made all the same. */
function noted(rig: Rig, ...methods: readonly ("addHostPort" | "setDual" | "addressSix")[]) {
  const calls: unknown[][] = [];
  for (const method of methods) {
    const real = rig.engine[method].bind(rig.engine) as (...args: unknown[]) => unknown;
    const value = (...args: readonly unknown[]): unknown => {
      calls.push([
        method,
        ...args.map((arg) => (typeof arg === "object" ? [...(arg as [])] : arg)),
      ]);
      return real(...args);
    };
    Object.defineProperty(rig.engine, method, { value });
  }
  return calls;
}

/** The first of `count` ports in a row that nobody has. */
function freeRow(sys: Libc, kind: "tcp" | "udp", count: number): number {
  for (let first = 21_000; ; first += count) {
    const fds = Array.from({ length: count }, (_, i) => {
      const fd = check(kind === "tcp" ? openTcp(sys) : openUdp(sys), "Open");
      return bindIpv4(sys, fd, 0, first + i) < 0 ? -fd : fd;
    });
    for (const fd of fds) sys.close(Math.abs(fd));
    if (fds.every((fd) => fd > 0)) return first;
  }
}

describe("listener rules: what is opened", () => {
  rigTest("a range of TCP leads port by port to the guest's", (rig) => {
    const first = freeRow(rig.sys, "tcp", 3);
    const listeners = opened(rig, { ...rule(first, 8000), count: 3 });
    assert.equal(listeners.count, 3);
    for (let i = 0; i < 3; i += 1) {
      const client = check(connect(rig, first + i), "Connect");
      assert.equal(listeners.accept(i, START), 1);
      assert.equal(rig.engine.flows().at(-1)?.guestPort, 8000 + i);
      rig.sys.close(client);
    }
    assert.equal(connect(rig, first + 3), -ECONNREFUSED);
    listeners.close();
  });

  rigTest("a range of UDP leads port by port to the guest's", (rig) => {
    const first = freeRow(rig.sys, "udp", 3);
    opened(rig, { ...rule(first, 8000, "udp"), count: 3 });
    const { ports } = rig.sockets;
    const found = [0, 1, 2].map((i) => [ports.hostPortOf(i), ports.guestPortOf(i)]);
    assert.deepEqual(found, [
      [first, 8000],
      [first + 1, 8001],
      [first + 2, 8002],
    ]);
    ports.close();
  });

  rigTest("the engine is told of each socket, for what reaches it by own addresses", (rig) => {
    const calls = noted(rig, "addHostPort", "setDual");
    const [tcp, udp, one] = [freePort(rig.sys, "tcp"), freePort(rig.sys, "udp"), 0];
    const listeners = new Listeners(rig.sys, rig.engine, rig.sockets);
    const all = { hostAddress: 0, guestPort: 53 } as const;
    listeners.open([{ ...all, protocol: "tcp", hostPort: tcp }], rig.epoll, BOTH);
    assert.deepEqual(calls.splice(0), [
      ["addHostPort", "tcp", mappedOctetsOf(0), tcp],
      ["addHostPort", "tcp", ALL6, tcp],
    ]);
    listeners.open([{ ...all, protocol: "udp", hostPort: udp }], rig.epoll, BOTH);
    assert.deepEqual(calls.splice(0), [
      ["addHostPort", "udp", ALL6, udp],
      ["addHostPort", "udp", mappedOctetsOf(0), udp],
      ["setDual", 53],
    ]);
    listeners.open([rule(one, 53, "udp")], rig.epoll, BOTH);
    assert.deepEqual(calls.splice(0), [["addHostPort", "udp", mappedOctetsOf(LOOPBACK), one]]);
    listeners.close();
  });

  rigTest("a second rule of both versions for one guest port has a socket for each", (rig) => {
    const listeners = new Listeners(rig.sys, rig.engine, rig.sockets);
    const all = { protocol: "udp", hostAddress: 0, guestPort: 53 } as const;
    listeners.open([{ ...all, hostPort: freePort(rig.sys, "udp") }], rig.epoll, BOTH);
    listeners.open([{ ...all, hostPort: freePort(rig.sys, "udp") }], rig.epoll, BOTH);
    const { ports } = rig.sockets;
    assert.equal(ports.count, 3);
    const spots = [0, 1, 2].map((i) => [ports.familyOf(i), ports.spotOf(i)]);
    assert.deepEqual(spots, [
      [4, 0],
      [4, 1],
      [6, 2],
    ]);
    listeners.close();
  });

  rigTest(
    "what the guest begins leaves by no socket of a rule of one address of its own",
    (rig) => {
      const listeners = new Listeners(rig.sys, rig.engine, rig.sockets);
      const udp = { protocol: "udp", hostAddress: 0, ipv4Only: true, guestPort: 53 } as const;
      listeners.open([{ ...udp, hostPort: 0, guestAddress: GUEST4 }], rig.epoll);
      listeners.open([{ ...udp, hostPort: 0 }], rig.epoll);
      listeners.open([rule(0, 53, "udp")], rig.epoll);
      const { ports } = rig.sockets;
      assert.deepEqual([ports.spotOf(0), ports.spotOf(1), ports.spotOf(2)], [1, 0, 2]);
      assert.equal(ports.guestAddressOf(0), GUEST4);
      listeners.close();
    },
  );
});

describe("listener rules: what cannot be had", () => {
  /** What opening fails with where the kernel answers `bind` so. */
  const failure = (rig: Rig, errno: number): SystemError => {
    const sys: Libc = Object.create(rig.sys, { bind: { value: () => -errno } });
    const listeners = new Listeners(sys, rig.engine, rig.sockets);
    try {
      listeners.open([rule(8080, 80)], rig.epoll);
    } catch (error) {
      assert.equal(listeners.count, 0);
      return error as SystemError;
    }
    assert.fail("it was opened");
  };

  rigTest("the port is named, with a remedy where there is one", (rig) => {
    const port = 'Publish port "127.0.0.1:8080/tcp"';
    for (const [errno, pattern] of [
      [EACCES, /lower net\.ipv4\.ip_unprivileged_port_start, or start with CAP_NET_BIND_SERVICE/],
      [EADDRINUSE, /another program has it: choose another host port/],
      [ENOMEM, /out of memory \(ENOMEM\)$/],
    ] as const) {
      const error = failure(rig, errno);
      assert.equal(error.errno, errno);
      assert.ok(error.message.startsWith(port), error.message);
      assert.match(error.message, pattern);
    }
  });

  rigTest("a socket that cannot be bound is closed", (rig) => {
    const before = udpSocket(rig.sys).fd;
    rig.sys.close(before);
    failure(rig, ENOMEM);
    const after = udpSocket(rig.sys).fd;
    assert.equal(after, before);
    rig.sys.close(after);
  });

  rigTest("a guest port has 256 sockets, the next one is left out and closed", (rig) => {
    const listeners = new Listeners(rig.sys, rig.engine, rig.sockets);
    const faults: SystemError[] = [];
    const rules = new Array<PublishRule>(257).fill(rule(0, 53, "udp"));
    listeners.open(rules, rig.epoll, BOTH, (error) => faults.push(error));
    // None of them can be the first, as nobody is reached from loopback.
    assert.equal(rig.sockets.ports.count, 255);
    assert.deepEqual(
      faults.map(({ errno }) => errno),
      [ENOSPC, ENOSPC],
    );
    listeners.close();
  });

  rigTest("one that cannot be watched is a fault", (rig) => {
    const faults: SystemError[] = [];
    const watch = { add: () => -ENOMEM, remove: () => {} };
    const listeners = new Listeners(rig.sys, rig.engine, rig.sockets);
    listeners.open([rule(0, 53, "udp")], watch, BOTH, (error) => faults.push(error));
    assert.deepEqual(
      faults.map(({ errno }) => errno),
      [ENOMEM],
    );
    listeners.open([rule(freePort(rig.sys, "tcp"), 80)], watch);
    assert.throws(() => listeners.answer(true), {
      errno: ENOMEM,
      message: /^Watch a published port/,
    });
    listeners.close();
  });

  rigTest(
    "without descriptors the rest of a range is passed over, other rules are tried",
    (rig) => {
      let asked = 0;
      const sys: Libc = Object.create(rig.sys, {
        socket: {
          value: () => {
            asked += 1;
            return -EMFILE;
          },
        },
      });
      const faults: SystemError[] = [];
      const listeners = new Listeners(sys, rig.engine, rig.sockets);
      const range = { ...rule(20_000, 80), count: 100 };
      listeners.open([range, rule(8080, 80)], rig.epoll, BOTH, (error) => faults.push(error));
      assert.equal(asked, 2);
      assert.deepEqual(
        faults.map(({ errno }) => errno),
        [EMFILE, EMFILE],
      );
    },
  );
});

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
    assert.equal(rig.engine.flows().at(-1)?.guestAddress, GUEST4);
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
    const [flow] = rig.engine.flows();
    assert.deepEqual([flow?.kind, flow?.guestPort, flow?.guestAddress], ["udp", 53, GUEST4]);
    assert.equal(rig.sockets.ports.isParked(0), false);
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
