/** Published ports that come and go while the network runs: whole or not at all, nothing stale. */

import assert from "node:assert/strict";
import { describe } from "node:test";
import { flowsOf } from "../../src/engine/flows.ts";
import { mappedOctetsOf } from "../../src/lib/addr6.ts";
import { Sources } from "../../src/loop/sources.ts";
import { Epoll } from "../../src/sys/epoll.ts";
import {
  check,
  EACCES,
  EADDRINUSE,
  ECONNREFUSED,
  ECONNRESET,
  EMFILE,
  ENOMEM,
} from "../../src/sys/errno.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { bindIpv4, connectIpv4, openTcp, openUdp } from "../../src/sys/socket.ts";
import { Listeners } from "../../src/upstream/listener.ts";
import { PortError } from "../../src/upstream/port-error.ts";
import { PortSockets, type Publication } from "../../src/upstream/port-sockets.ts";
import { HostSockets } from "../../src/upstream/sockets.ts";
import { EVENT_OF_LISTENER, EVENT_OF_PORT } from "../../src/upstream/upstream.ts";
import * as abi from "../../wasm/abi.ts";
import { START } from "../support/engine-harness.ts";
import { alive, connect, freeRow, noted, rule } from "./listener-rig.ts";
import { freePort, LOOPBACK, type Rig, rigTest, send, udpSocket } from "./rig.ts";

const FOUR = { ipv4: true, ipv6: false };
const BOTH = { ipv4: true, ipv6: true };

interface Stage {
  readonly listeners: Listeners;
  readonly opened: PortSockets;
  readonly sources: Sources;
}

/** Listeners of a network that has begun without ports, and answers. */
function stage(rig: Rig, sys: Libc = rig.sys): Stage {
  const opened = new PortSockets(sys);
  const listeners = new Listeners(sys, rig.engine, rig.sockets, undefined, opened);
  const sources = new Sources(rig.epoll);
  listeners.open([], sources, BOTH);
  return { listeners, opened, sources };
}

/** Descriptors that are open are numbered from 0 without gaps, so the next one tells. */
function nextDescriptor({ sys }: Rig): number {
  const fd = check(openUdp(sys), "Open");
  sys.close(fd);
  return fd;
}

function heard(rig: Rig): number[] {
  return Array.from({ length: check(rig.epoll.wait(64, 0), "Wait") }, (_, i) =>
    rig.epoll.dataHi(i),
  );
}

describe("listener changes: TCP", () => {
  rigTest("a port that is added answers, and refuses when it is taken away", (rig) => {
    const { listeners, opened } = stage(rig);
    const before = nextDescriptor(rig);
    const port = freePort(rig.sys, "tcp");
    const added = listeners.add(rule(port, 80), FOUR);
    assert.deepEqual([listeners.count, opened.extra, added.isAdded], [1, 1, true]);
    assert.equal(connect(rig, port), -ECONNREFUSED, "nobody is there yet");
    assert.equal(listeners.answer(true), true);
    const client = check(connect(rig, port), "Connect");
    rig.awaitEvent(0, abi.EVENT_READABLE, EVENT_OF_LISTENER);
    assert.equal(listeners.accept(0, START), 1);
    const waiting = check(connect(rig, port), "Connect");
    assert.deepEqual([...listeners.flows], [[added, 1]]);

    listeners.remove(added, START);
    assert.equal(connect(rig, port), -ECONNREFUSED);
    assert.equal(rig.sys.recv(waiting, rig.sys.scratch.address, 1, 0), -ECONNRESET);
    assert.equal(alive(rig, [client]), 1, "what was accepted goes on");
    assert.deepEqual([listeners.count, opened.extra, [...listeners.flows]], [0, 0, []]);
    assert.equal(listeners.accept(0, START), 0, "an event that comes late");
    assert.deepEqual(heard(rig).includes(EVENT_OF_LISTENER), false);
    for (const fd of [client, waiting]) rig.sys.close(fd);
    rig.sockets.close();
    listeners.close();
    assert.equal(nextDescriptor(rig), before);
  });

  rigTest("again at once, with connections of before that are still open", (rig) => {
    const { listeners } = stage(rig);
    const port = freePort(rig.sys, "tcp");
    const clients: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      const added = listeners.add(rule(port, 80), FOUR);
      assert.equal(listeners.answer(true), true);
      clients.push(check(connect(rig, port), "Connect"));
      rig.awaitEvent(round, abi.EVENT_READABLE, EVENT_OF_LISTENER);
      for (let old = 0; old < round; old += 1) assert.equal(listeners.accept(old, START), 0);
      assert.equal(listeners.accept(round, START), 1);
      assert.deepEqual([...listeners.flows.values()], [1], "those of before are nobody's");
      listeners.remove(added, START);
    }
    assert.equal(alive(rig, clients), 3);
    for (const fd of clients) rig.sys.close(fd);
    listeners.close();
  });

  rigTest("a listener that rests is taken away as well", (rig) => {
    const { listeners, sources } = stage(rig);
    const port = freePort(rig.sys, "tcp");
    const added = listeners.add(rule(port, 80), FOUR);
    listeners.answer(true);
    sources.pause(0, EVENT_OF_LISTENER);
    listeners.remove(added, START);
    assert.equal(sources.resume(0, EVENT_OF_LISTENER), true, "it is no trouble");
    assert.equal(connect(rig, port), -ECONNREFUSED);
    listeners.close();
  });

  rigTest("ports of the start are taken away like those that came later", (rig) => {
    const opened = new PortSockets(rig.sys);
    const listeners = new Listeners(rig.sys, rig.engine, rig.sockets, undefined, opened);
    const first = freeRow(rig.sys, "tcp", 3);
    listeners.open([{ ...rule(first, 80), count: 3 }], rig.epoll);
    listeners.answer(true);
    const [publication] = opened.publications;
    assert.ok(publication !== undefined);
    listeners.remove(publication, START);
    assert.deepEqual([opened.rules, opened.extra, listeners.count], [[], -3, 0]);
    for (const at of [0, 1, 2]) assert.equal(connect(rig, first + at), -ECONNREFUSED);
    listeners.close();
  });
});

describe("listener changes: whole or not at all", () => {
  for (const protocol of ["tcp", "udp"] as const) {
    rigTest(`${protocol}: a range of which one port is taken changes nothing`, (rig) => {
      const { listeners, opened } = stage(rig);
      const first = freeRow(rig.sys, protocol, 3);
      const taken = check(protocol === "tcp" ? openTcp(rig.sys) : openUdp(rig.sys), "Open");
      check(bindIpv4(rig.sys, taken, LOOPBACK, first + 2), "Bind");
      if (protocol === "tcp") check(rig.sys.listen(taken, 1), "Listen");
      const before = nextDescriptor(rig);
      const calls = noted(rig, "addHostPort");
      const range = { ...rule(first, 80, protocol), count: 3 };
      assert.throws(
        () => listeners.add(range, FOUR),
        (error) =>
          error instanceof PortError &&
          error.errno === EADDRINUSE &&
          error.ports.hostPort === first + 2,
      );
      assert.equal(nextDescriptor(rig), before);
      assert.deepEqual([calls, opened.rules, opened.extra], [[], [], 0]);
      assert.deepEqual([listeners.count, rig.sockets.ports.count], [0, 0]);
      rig.sys.close(taken);
      listeners.add(range, FOUR);
      assert.deepEqual(opened.rules, [range]);
      listeners.close();
    });
  }

  rigTest("what cannot be watched leaves nothing behind either", (rig) => {
    const left = [0, 0];
    const watched: string[] = [];
    const watch = {
      add: (_fd: number, _events: number, token: number) => {
        watched.push(`add ${token}`);
        return left.shift() ?? -ENOMEM;
      },
      remove: (_fd: number, token: number) => void watched.push(`remove ${token}`),
    };
    const opened = new PortSockets(rig.sys);
    const listeners = new Listeners(rig.sys, rig.engine, rig.sockets, undefined, opened);
    listeners.open([], watch, FOUR);
    const before = nextDescriptor(rig);
    const removed: unknown[] = [];
    const { removeHostPort } = rig.engine;
    rig.engine.removeHostPort = (...args) => {
      removed.push([args[0], [...Array.from(args[1])], args[2]]);
      return removeHostPort.apply(rig.engine, args);
    };
    const first = freeRow(rig.sys, "udp", 3);
    const range = { ...rule(first, 80, "udp"), count: 3 };
    assert.throws(() => listeners.add(range, FOUR), { errno: ENOMEM });
    assert.deepEqual(watched, ["add 0", "add 1", "add 2", "remove 0", "remove 1"]);
    const at = mappedOctetsOf(LOOPBACK);
    assert.deepEqual(removed, [
      ["udp", at, first],
      ["udp", at, first + 1],
    ]);
    assert.deepEqual([rig.sockets.ports.count, nextDescriptor(rig)], [0, before]);
    listeners.close();
  });

  rigTest("the reason is told: no right to the port, no descriptor", (rig) => {
    for (const [errno, pattern] of [
      [EACCES, /"127\.0\.0\.1:80\/tcp": .*ip_unprivileged_port_start/],
      [EMFILE, /"127\.0\.0\.1:80\/tcp": this process has too many/],
    ] as const) {
      const sys: Libc = Object.create(rig.sys, { bind: { value: () => -errno } });
      const { listeners } = stage(rig, sys);
      assert.throws(
        () => listeners.add(rule(80, 80), FOUR),
        (error) =>
          error instanceof PortError && error.errno === errno && pattern.test(error.message),
      );
      listeners.close();
    }
  });
});

describe("listener changes: UDP", () => {
  /** A client whose datagrams go to the port. */
  function client(rig: Rig, port: number): number {
    const { fd } = udpSocket(rig.sys);
    check(connectIpv4(rig.sys, fd, LOOPBACK, port), "Connect");
    return fd;
  }

  rigTest("a flow lets go of the socket, and the next one of the port gets its own", (rig) => {
    const { listeners } = stage(rig);
    const before = nextDescriptor(rig);
    const port = freePort(rig.sys, "udp");
    const peer = client(rig, port);
    for (let round = 0; round < 3; round += 1) {
      const added = listeners.add(rule(port, 53, "udp"), FOUR);
      send(rig.sys, peer, "question");
      rig.awaitEvent(round, abi.EVENT_READABLE, EVENT_OF_PORT);
      listeners.arrived(round, START);
      assert.equal(flowsOf(rig.engine).length, 1, `round ${round}`);
      assert.deepEqual([...listeners.flows], [[added, 1]]);
      listeners.remove(added, START);
      assert.deepEqual([flowsOf(rig.engine), rig.sockets.ports.count], [[], 0]);
      rig.settle(START);
      listeners.arrived(round, START);
      assert.deepEqual(flowsOf(rig.engine), [], "an event that comes late");
      send(rig.sys, peer, "lost");
      assert.equal(rig.sys.recv(peer, rig.sys.scratch.address, 1, 0), -ECONNREFUSED);
    }
    rig.sys.close(peer);
    assert.equal(nextDescriptor(rig), before);
    listeners.close();
  });

  rigTest("a socket of both versions: the guest port's next first one may be of one", (rig) => {
    const { listeners } = stage(rig);
    const all = { protocol: "udp", hostAddress: 0, guestPort: 53 } as const;
    const calls = noted(rig, "setDual");
    const added = listeners.add({ ...all, hostPort: freePort(rig.sys, "udp") }, BOTH);
    assert.deepEqual(
      added.sockets.map(({ family }) => family),
      ["both"],
    );
    listeners.remove(added, START);
    assert.deepEqual(calls.splice(0), [
      ["setDual", 53],
      ["setDual", 53, false],
    ]);
    const four = listeners.add(
      { ...all, hostPort: freePort(rig.sys, "udp"), ipv4Only: true },
      BOTH,
    );
    const [socket] = four.sockets;
    assert.deepEqual([socket?.family, rig.sockets.ports.spotOf(socket?.token ?? -1)], [4, 0]);
    assert.deepEqual(calls, []);
    listeners.close();
  });

  rigTest("a guest port's sockets come and go without end", (rig) => {
    const { listeners } = stage(rig);
    const port = freePort(rig.sys, "udp");
    for (let round = 0; round < 2 * abi.SPOT_COUNT; round += 1) {
      const added = listeners.add(rule(port, 53, "udp"), FOUR);
      const [socket] = added.sockets;
      assert.equal(rig.sockets.ports.spotOf(socket?.token ?? -1), (round % 255) + 1);
      listeners.remove(added, START);
    }
    listeners.close();
  });
});

describe("listener changes: the next engine", () => {
  rigTest("has what there is, whatever came and went before", (rig) => {
    const { listeners, opened } = stage(rig);
    const all = { protocol: "udp", hostAddress: 0, guestPort: 53 } as const;
    const ports = Array.from({ length: 3 }, () => freePort(rig.sys, "udp"));
    const [a = 0, b = 0, c = 0] = ports;
    const first = listeners.add({ ...all, hostPort: a }, BOTH);
    const second = listeners.add({ ...all, hostPort: b }, BOTH); // a socket for each version
    listeners.remove(first, START);
    const third = listeners.add({ ...all, hostPort: c }, BOTH); // one for both
    const tcp = freePort(rig.sys, "tcp");
    const listening = listeners.add(rule(tcp, 80), FOUR);
    listeners.answer(true);
    const families = (each: Publication): unknown[] => each.sockets.map(({ family }) => family);
    assert.deepEqual([families(second), families(third)], [[4, 6], ["both"]]);
    listeners.leave();

    const epoll = new Epoll(rig.sys);
    const sockets = new HostSockets(rig.sys, epoll, rig.engine, 0);
    const next = new Listeners(rig.sys, rig.engine, sockets, undefined, opened);
    next.resume(new Sources(epoll));
    const spots = [third, second].map(({ sockets: list }) =>
      list.map(({ token }) => sockets.ports.spotOf(token)),
    );
    assert.deepEqual(spots, [[0], [1, 2]], "one of both versions is the first");
    const client = check(connect(rig, tcp), "Connect");
    const [token = -1] = listening.sockets.map((socket) => socket.token);
    assert.equal(next.accept(token, START), 1);
    for (const each of [second, third, listening]) next.remove(each, START);
    assert.deepEqual([next.count, sockets.ports.count, opened.extra], [0, 0, 0]);
    assert.equal(connect(rig, tcp), -ECONNREFUSED);
    rig.sys.close(client);
    sockets.close();
    next.close();
    epoll.close();
  });

  rigTest("one that cannot watch a socket says so, and leaves it as it is", (rig) => {
    const { listeners, opened } = stage(rig);
    listeners.add(rule(freePort(rig.sys, "udp"), 80, "udp"), FOUR);
    listeners.leave();
    const next = new Listeners(rig.sys, rig.engine, rig.sockets, undefined, opened);
    const watch = { add: () => -ENOMEM, remove: () => {} };
    assert.throws(() => next.resume(watch), { errno: ENOMEM });
    assert.equal(opened.rules.length, 1);
    next.close();
  });
});
