/** Published ports where no descriptor is left, or no memory, and where single connections fail. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import {
  check,
  EAGAIN,
  ECONNABORTED,
  EHOSTDOWN,
  EHOSTUNREACH,
  EINTR,
  EMFILE,
  ENETDOWN,
  ENETUNREACH,
  ENFILE,
  ENOBUFS,
  ENOMEM,
  ENOPROTOOPT,
  EOPNOTSUPP,
  EPERM,
  EPROTO,
} from "../../src/sys/errno.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { Listeners } from "../../src/upstream/listener.ts";
import { START } from "../support/engine-harness.ts";
import { alive, connect, rule } from "./listener-rig.ts";
import { freePort, rigTest } from "./rig.ts";

const BATCH = 16;
const ENONET = 64;

/** System calls that run out of descriptors: `left` more can be had, closing gives one back. */
class Scarce {
  left = Number.POSITIVE_INFINITY;
  readonly sys: Libc;

  constructor(real: Libc, errno: number) {
    const take = (call: () => number): number => {
      if (this.left < 1) return -errno;
      const fd = call();
      if (fd >= 0) this.left -= 1;
      return fd;
    };
    this.sys = {
      ...real,
      accept4: (fd, name, length, flags) => take(() => real.accept4(fd, name, length, flags)),
      eventfd: (value, flags) => take(() => real.eventfd(value, flags)),
      close: (fd) => {
        this.left += 1;
        return real.close(fd);
      },
    };
  }
}

describe("listener: no descriptor left", () => {
  for (const [name, errno] of [
    ["EMFILE", EMFILE],
    ["ENFILE", ENFILE],
  ] as const) {
    rigTest(`${name}: connections are closed instead of left waiting, and counted`, (rig) => {
      const scarce = new Scarce(rig.sys, errno);
      const listeners = new Listeners(scarce.sys, rig.engine, rig.sockets);
      const port = freePort(rig.sys, "tcp");
      listeners.open([rule(port, 80)], rig.epoll);
      listeners.answer(true);
      const clients = Array.from({ length: BATCH + 4 }, () => check(connect(rig, port), "Connect"));
      scarce.left = 0;
      listeners.accept(0, START);
      assert.equal(listeners.refusedCount, BATCH, "a turn is bounded");
      assert.equal(alive(rig, clients), 4);
      listeners.accept(0, START);
      assert.equal(listeners.refusedCount, BATCH + 4);
      assert.equal(alive(rig, clients), 0);
      assert.equal(check(rig.epoll.wait(64, 0), "Wait"), 0, "the listener is quiet");
      assert.equal(rig.engine.flowCount, 0);

      scarce.left = 1;
      const late = check(connect(rig, port), "Connect");
      listeners.accept(0, START);
      assert.deepEqual([rig.engine.flowCount, rig.sockets.openCount], [1, 1]);
      assert.equal(listeners.refusedCount, BATCH + 4);
      assert.equal(alive(rig, [late]), 1);
      listeners.close();
      for (const fd of [...clients, late]) rig.sys.close(fd);
    });
  }

  rigTest("without a spare descriptor nothing can be done, until there is one", (rig) => {
    const scarce = new Scarce(rig.sys, EMFILE);
    const listeners = new Listeners(scarce.sys, rig.engine, rig.sockets);
    const port = freePort(rig.sys, "tcp");
    scarce.left = 0;
    listeners.open([rule(port, 80)], rig.epoll);
    listeners.answer(true);
    const client = check(connect(rig, port), "Connect");
    assert.equal(listeners.accept(0, START), -EMFILE, "so that the loop leaves it alone");
    assert.deepEqual([listeners.refusedCount, alive(rig, [client])], [0, 1]);
    scarce.left = 1;
    assert.equal(listeners.accept(0, START), 1);
    assert.deepEqual([listeners.refusedCount, rig.engine.flowCount], [0, 1]);
    listeners.close();
    rig.sys.close(client);
  });

  rigTest("where the kernel has no memory it is told, after what could be taken", (rig) => {
    for (const errno of [ENOMEM, ENOBUFS]) {
      const scarce = new Scarce(rig.sys, errno);
      const listeners = new Listeners(scarce.sys, rig.engine, rig.sockets);
      const port = freePort(rig.sys, "tcp");
      listeners.open([rule(port, 80)], rig.epoll);
      listeners.answer(true);
      const clients = [connect(rig, port), connect(rig, port)];
      scarce.left = 1;
      assert.deepEqual(
        [1, 2].map(() => listeners.accept(0, START)),
        [1, -errno],
      );
      assert.equal(listeners.refusedCount, 0);
      scarce.left = 1;
      assert.equal(listeners.accept(0, START), 1);
      listeners.close();
      for (const fd of clients) rig.sys.close(fd);
    }
  });

  rigTest("errors of one connection are no reason to leave the others", (rig) => {
    const errnos = [
      ...[ECONNABORTED, EINTR, EPROTO, EPERM, ENONET, ENOPROTOOPT, EOPNOTSUPP],
      ...[ENETDOWN, ENETUNREACH, EHOSTDOWN, EHOSTUNREACH],
    ];
    const { length } = errnos;
    const sys: Libc = {
      ...rig.sys,
      accept4: (fd, name, length, flags) => {
        const errno = errnos.shift();
        return errno === undefined ? rig.sys.accept4(fd, name, length, flags) : -errno;
      },
    };
    const listeners = new Listeners(sys, rig.engine, rig.sockets);
    const port = freePort(rig.sys, "tcp");
    listeners.open([rule(port, 80)], rig.epoll);
    listeners.answer(true);
    const client = check(connect(rig, port), "Connect");
    assert.equal(listeners.accept(0, START), length + 1);
    assert.equal(rig.sockets.openCount, 1);
    for (const errno of [ENONET - 1, ENONET + 1]) {
      errnos.push(errno);
      assert.equal(listeners.accept(0, START), -errno);
    }
    listeners.close();
    rig.sys.close(client);
  });

  rigTest("room is asked for first, where a descriptor is what is missing", (rig) => {
    const results: number[] = [];
    const sys: Libc = Object.create(rig.sys, {
      accept4: {
        value: (fd: number, ...rest: [number, number, number]) => {
          const result = results.shift() ?? -EAGAIN;
          return result < 0 ? result : rig.sys.accept4(fd, ...rest);
        },
      },
    });
    const asked: number[] = [];
    const onShort = (now: number): boolean => asked.push(now) > 0;
    const listeners = new Listeners(sys, rig.engine, rig.sockets, onShort);
    const port = freePort(rig.sys, "tcp");
    listeners.open([rule(port, 80)], rig.epoll);
    listeners.answer(true);
    const clients = [connect(rig, port), connect(rig, port), connect(rig, port)];
    results.push(-EMFILE);
    assert.equal(listeners.accept(0, START), 1, "so that the loop comes again");
    results.push(1, 1, -ENFILE);
    assert.equal(listeners.accept(0, START + 1), 2);
    assert.deepEqual(asked, [START, START + 1]);
    results.push(-ENOMEM);
    assert.equal(listeners.accept(0, START + 2), -ENOMEM);
    assert.equal(asked.length, 2);
    listeners.close();
    for (const fd of clients) rig.sys.close(fd);
  });

  rigTest("a socket of number 0 is published like any other", (rig) => {
    const sys: Libc = Object.create(rig.sys, {
      ...Object.fromEntries(
        ["socket", "setsockopt", "bind", "listen"].map((call) => [call, { value: () => 0 }]),
      ),
      close: { value: () => 0 },
    });
    const watched: number[] = [];
    const watch = { add: (fd: number) => watched.push(fd) && 0, remove: () => {} };
    const listeners = new Listeners(sys, rig.engine, rig.sockets);
    listeners.open([rule(8080, 80), rule(5353, 53, "udp")], watch);
    assert.deepEqual([listeners.count, rig.sockets.ports.count, watched], [1, 1, [0]]);
    listeners.answer(true);
    assert.deepEqual(watched, [0, 0]);
  });

  rigTest("a spare descriptor of number 0 is one like any other", (rig) => {
    const closed: number[] = [];
    const results = [-EMFILE, 0, -EAGAIN];
    let spares = 0;
    const sys: Libc = Object.create(rig.sys, {
      eventfd: {
        value: () => {
          spares += 1;
          return 0;
        },
      },
      accept4: { value: () => results.shift() ?? -EAGAIN },
      setsockopt: { value: () => 0 },
      close: { value: (fd: number) => (fd > 0 ? rig.sys.close(fd) : closed.push(fd) && 0) },
    });
    const listeners = new Listeners(sys, rig.engine, rig.sockets);
    const rules = [rule(freePort(rig.sys, "tcp"), 80), rule(freePort(rig.sys, "tcp"), 81)];
    listeners.open(rules, rig.epoll);
    assert.equal(spares, 1, "one for all");
    listeners.answer(true);
    assert.equal(listeners.accept(0, START), 1);
    assert.deepEqual([closed, listeners.refusedCount, spares], [[0, 0], 1, 2]);
    results.push(-EMFILE, -EAGAIN);
    assert.equal(listeners.accept(0, START), -EMFILE);
    assert.equal(listeners.refusedCount, 1);
    closed.length = 0;
    listeners.close();
    assert.deepEqual(closed, [0]);
    listeners.close();
    assert.deepEqual(closed, [0]);
  });

  rigTest("closing gives the spare descriptor back", (rig) => {
    const scarce = new Scarce(rig.sys, EMFILE);
    const listeners = new Listeners(scarce.sys, rig.engine, rig.sockets);
    scarce.left = 1;
    listeners.open([rule(freePort(rig.sys, "tcp"), 80)], rig.epoll);
    listeners.answer(true);
    assert.equal(scarce.left, 0);
    listeners.close();
    assert.equal(scarce.left, 2, "the spare one and the listener");
    listeners.close();
    assert.equal(scarce.left, 2);
  });
});
