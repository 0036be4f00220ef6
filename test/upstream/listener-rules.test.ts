/** What rules come to: sockets that are opened, what the engine is told, and what cannot be had. */

import assert from "node:assert/strict";
import { describe } from "node:test";
import type { PublishRule } from "../../src/config/publish-rule.ts";
import { flowsOf } from "../../src/engine/flows.ts";
import { mappedOctetsOf } from "../../src/lib/addr6.ts";
import {
  check,
  EACCES,
  EADDRINUSE,
  EADDRNOTAVAIL,
  EAFNOSUPPORT,
  ECONNREFUSED,
  EMFILE,
  ENOMEM,
  ENOSPC,
  EPERM,
  type SystemError,
} from "../../src/sys/errno.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { AF_INET6 } from "../../src/sys/linux.ts";
import { bindIpv4, openTcp, openUdp } from "../../src/sys/socket.ts";
import { Listeners } from "../../src/upstream/listener.ts";
import { START } from "../support/engine-harness.ts";
import { connect, freeRow, noted, opened, rule } from "./listener-rig.ts";
import { freePort, LOOPBACK, type Rig, rigTest, udpSocket } from "./rig.ts";

const BOTH = { ipv4: true, ipv6: true };
const ALL6 = new Array<number>(16).fill(0);
/** fd10:0:2::2 and 10.0.2.15. */
const GUEST6 = [0xfd10, 0, 2, 0, 0, 0, 0, 2];
const GUEST4 = 0x0a00020f;

describe("listener rules: what is opened", () => {
  rigTest("a range of TCP leads port by port to the guest's", (rig) => {
    const first = freeRow(rig.sys, "tcp", 3);
    const listeners = opened(rig, { ...rule(first, 8000), count: 3 });
    assert.equal(listeners.count, 3);
    for (let i = 0; i < 3; i += 1) {
      const client = check(connect(rig, first + i), "Connect");
      assert.equal(listeners.accept(i, START), 1);
      assert.equal(flowsOf(rig.engine).at(-1)?.guestPort, 8000 + i);
      rig.sys.close(client);
    }
    assert.equal(connect(rig, first + 3), -ECONNREFUSED);
    listeners.close();
  });

  rigTest("a range of UDP leads port by port to the guest's", (rig) => {
    const first = freeRow(rig.sys, "udp", 3);
    const listeners = opened(rig, { ...rule(first, 8000, "udp"), count: 3 });
    const { ports } = rig.sockets;
    const found = [0, 1, 2].map((i) => [ports.hostPortOf(i), ports.guestPortOf(i)]);
    assert.deepEqual(found, [
      [first, 8000],
      [first + 1, 8001],
      [first + 2, 8002],
    ]);
    listeners.close();
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

  rigTest("a host without IPv6 has rules for all addresses in IPv4 alone", (rig) => {
    for (const result of [-EAFNOSUPPORT, -EADDRNOTAVAIL]) {
      const sys: Libc = Object.create(rig.sys, {
        socket: {
          value: (family: number, type: number, protocol: number) =>
            family === AF_INET6 ? result : rig.sys.socket(family, type, protocol),
        },
      });
      const listeners = new Listeners(sys, rig.engine, rig.sockets);
      const before = rig.sockets.ports.count;
      const all = { hostAddress: 0, hostPort: 0, guestPort: 53 } as const;
      const rules = [{ ...all, protocol: "tcp" } as const, { ...all, protocol: "udp" } as const];
      listeners.open(rules, rig.epoll, BOTH);
      assert.deepEqual([listeners.count, rig.sockets.ports.count - before], [1, 1]);
      assert.equal(rig.sockets.ports.familyOf(before), 4);
      const six = { ...all, protocol: "udp", hostAddress: GUEST6 } as const;
      assert.throws(() => listeners.open([six], rig.epoll, BOTH), { errno: -result });
    }
  });
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
    const free = udpSocket(rig.sys).fd;
    rig.sys.close(free);
    listeners.open([rule(0, 53, "udp")], rig.epoll, BOTH, (error) => faults.push(error));
    const next = udpSocket(rig.sys).fd;
    assert.equal(next, free, "what was opened for it is closed");
    rig.sys.close(next);
    assert.deepEqual(
      faults.map(({ errno }) => errno),
      [ENOSPC, ENOSPC, ENOSPC],
    );
    listeners.close();
  });

  rigTest("without versions it is IPv4 alone", (rig) => {
    const listeners = new Listeners(rig.sys, rig.engine, rig.sockets);
    const all = { hostAddress: 0, hostPort: 0, guestPort: 53 } as const;
    listeners.open([{ ...all, protocol: "tcp" }], rig.epoll);
    assert.equal(listeners.count, 1);
    listeners.close();
  });

  rigTest("one port of a range that is taken leaves the others", (rig) => {
    for (const protocol of ["tcp", "udp"] as const) {
      const first = freeRow(rig.sys, protocol, 3);
      const open = protocol === "tcp" ? openTcp : openUdp;
      const taken = check(open(rig.sys), "Open");
      check(bindIpv4(rig.sys, taken, LOOPBACK, first + 1), "Bind");
      if (protocol === "tcp") check(rig.sys.listen(taken, 1), "Listen");
      const listeners = new Listeners(rig.sys, rig.engine, rig.sockets);
      const faults: SystemError[] = [];
      const range = { ...rule(first, 8000, protocol), count: 3 };
      const before = rig.sockets.ports.count;
      listeners.open([range], rig.epoll, BOTH, (error) => faults.push(error));
      const count = listeners.count + rig.sockets.ports.count - before;
      assert.deepEqual([faults.length, count], [1, 2], protocol);
      assert.match(faults[0]?.message ?? "", new RegExp(`:${first + 1}/${protocol}"`));
      listeners.close();
      rig.sys.close(taken);
    }
  });

  rigTest("one that cannot be had is a fault, although a later one can", (rig) => {
    const listeners = new Listeners(rig.sys, rig.engine, rig.sockets);
    const all = { hostAddress: 0, hostPort: 0, guestPort: 53 } as const;
    listeners.open([{ ...all, protocol: "udp" }], rig.epoll, BOTH); // the first of its port
    const sys: Libc = Object.create(rig.sys, {
      socket: {
        value: (family: number, type: number, number: number) =>
          family === AF_INET6 ? rig.sys.socket(family, type, number) : -EPERM,
      },
    });
    const failing = new Listeners(sys, rig.engine, rig.sockets);
    for (const protocol of ["tcp", "udp"] as const) {
      assert.throws(() => failing.open([{ ...all, protocol }], rig.epoll, BOTH), { errno: EPERM });
    }
    assert.equal(failing.count, 1);
    failing.close();
    listeners.close();
  });

  rigTest("a socket of a version that cannot be had is a fault where it is not left out", (rig) => {
    for (const protocol of ["tcp", "udp"] as const) {
      const sys: Libc = Object.create(rig.sys, {
        socket: {
          value: (family: number, type: number, number: number) =>
            family === AF_INET6 ? -ENOMEM : rig.sys.socket(family, type, number),
        },
      });
      const listeners = new Listeners(sys, rig.engine, rig.sockets);
      const all = { hostAddress: 0, hostPort: 0, guestPort: 53 } as const;
      assert.throws(() => listeners.open([{ ...all, protocol }], rig.epoll, BOTH), {
        errno: ENOMEM,
      });
      listeners.close();
    }
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
