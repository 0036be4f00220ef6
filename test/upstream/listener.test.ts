/** Published ports: opened, accepted in bounded batches, refused by a full table, closed. */

import assert from "node:assert/strict";
import { describe } from "node:test";
import { addressText, flowsOf } from "../../src/engine/flows.ts";
import { check, EADDRINUSE, ECONNREFUSED, ECONNRESET, SystemError } from "../../src/sys/errno.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { SO_REUSEADDR, SOL_SOCKET } from "../../src/sys/linux.ts";
import { bindIpv4, connectIpv4, openTcp, openUdp, setOption } from "../../src/sys/socket.ts";
import { Listeners } from "../../src/upstream/listener.ts";
import { EVENT_OF_FLOW, EVENT_OF_LISTENER, EVENT_OF_PORT } from "../../src/upstream/upstream.ts";
import * as abi from "../../wasm/abi.ts";
import { START } from "../support/engine-harness.ts";
import { alive, connect, opened, rule } from "./listener-rig.ts";
import { freePort, LOOPBACK, listen, nameOf, rigTest, send, udpSocket } from "./rig.ts";

const BATCH = 16;

describe("listener: TCP", () => {
  rigTest("a connection becomes a flow to the guest's port, from the client's port", (rig) => {
    const [a, b] = [freePort(rig.sys, "tcp"), freePort(rig.sys, "tcp")];
    const listeners = opened(rig, rule(a, 80), rule(b, 443));
    const client = check(connect(rig, b), "Connect");
    rig.awaitEvent(1, abi.EVENT_READABLE, EVENT_OF_LISTENER);
    listeners.accept(1, START);
    const [flow] = flowsOf(rig.engine);
    assert.equal(flow?.guestPort, 443);
    assert.equal(flow?.peerPort, nameOf(rig.sys, client).port);
    assert.equal(flow?.hostAddress, LOOPBACK);
    assert.equal(rig.sockets.openCount, 1);
    rig.awaitEvent((flow?.handle ?? 0) | 0, abi.EVENT_WRITABLE, EVENT_OF_FLOW);
    listeners.close();
    rig.sys.close(client);
  });

  rigTest("nothing waiting, or no such listener: nothing happens", (rig) => {
    const listeners = opened(rig, rule(freePort(rig.sys, "tcp"), 80));
    for (const index of [0, 1, -1]) assert.equal(listeners.accept(index, START), 0);
    assert.equal(rig.engine.flowCount, 0);
    listeners.close();
  });

  rigTest("a turn takes a bounded number, the next the rest", (rig) => {
    const port = freePort(rig.sys, "tcp");
    const listeners = opened(rig, rule(port, 80));
    const clients = Array.from({ length: BATCH + 4 }, () => check(connect(rig, port), "Connect"));
    assert.equal(listeners.accept(0, START), BATCH);
    assert.equal(rig.sockets.openCount, BATCH);
    rig.awaitEvent(0, abi.EVENT_READABLE, EVENT_OF_LISTENER);
    listeners.accept(0, START);
    assert.equal(rig.sockets.openCount, BATCH + 4);
    listeners.close();
    for (const fd of clients) rig.sys.close(fd);
  });

  rigTest(
    "more connections than the table has room for end some of them, and nothing else",
    (rig) => {
      const port = freePort(rig.sys, "tcp");
      const listeners = opened(rig, rule(port, 80));
      const clients = Array.from({ length: 20 }, () => check(connect(rig, port), "Connect"));
      for (let turn = 0; turn < 2; turn += 1) {
        listeners.accept(0, START);
        rig.settle(START);
      }
      const { flowCount } = rig.engine;
      assert.ok(flowCount > 0 && flowCount < clients.length, `${flowCount} flows`);
      assert.equal(rig.sockets.openCount, flowCount);
      assert.equal(alive(rig, clients), flowCount);
      listeners.close();
      for (const fd of clients) rig.sys.close(fd);
    },
    { flowsMax: 16 },
  );

  rigTest("a port that is taken is named", (rig) => {
    const { fd, port } = listen(rig.sys);
    const message = new RegExp(`Publish port "127\\.0\\.0\\.1:${port}/tcp"`);
    const isNamed = (error: unknown): boolean =>
      error instanceof SystemError && error.errno === EADDRINUSE && message.test(error.message);
    assert.throws(() => opened(rig, rule(port, 80)), isNamed);
    rig.sys.close(fd);
  });

  rigTest("where ports may be left out, the others are opened", (rig) => {
    const { fd: taken, port } = listen(rig.sys);
    const free = freePort(rig.sys, "tcp");
    const listeners = new Listeners(rig.sys, rig.engine, rig.sockets);
    const faults: SystemError[] = [];
    const rules = [rule(port, 80), rule(free, 81)];
    const versions = { ipv4: true, ipv6: false };
    listeners.open(rules, rig.epoll, versions, (error) => faults.push(error));
    listeners.answer(true);
    assert.deepEqual(
      faults.map(({ errno }) => errno),
      [EADDRINUSE],
    );
    const client = check(connect(rig, free), "Connect");
    listeners.accept(0, START);
    assert.equal(rig.engine.flowCount, 1);
    listeners.close();
    for (const fd of [client, taken]) rig.sys.close(fd);
  });

  rigTest("closing ends all of them, of both protocols", (rig) => {
    const [first, second] = [freePort(rig.sys, "tcp"), freePort(rig.sys, "tcp")];
    const udp = freePort(rig.sys, "udp");
    const listeners = opened(rig, rule(first, 80), rule(second, 81), rule(udp, 53, "udp"));
    listeners.close();
    for (const port of [first, second]) assert.equal(connect(rig, port), -ECONNREFUSED);
    const { fd } = udpSocket(rig.sys);
    const again = check(openUdp(rig.sys), "Open");
    assert.equal(bindIpv4(rig.sys, again, LOOPBACK, udp), 0);
    for (const each of [fd, again]) rig.sys.close(each);
  });

  rigTest("closed, it listens no more; what was accepted stays", (rig) => {
    const port = freePort(rig.sys, "tcp");
    const listeners = opened(rig, rule(port, 80));
    const client = check(connect(rig, port), "Connect");
    listeners.accept(0, START);
    listeners.close();
    listeners.close();
    assert.equal(connect(rig, port), -ECONNREFUSED);
    assert.equal(listeners.answer(false), true, "there is nothing to stop any more");
    assert.equal(rig.sockets.openCount, 1);
    assert.equal(alive(rig, [client]), 1);
    rig.sys.close(client);
  });
});

describe("listener: ports that do not answer yet", () => {
  /** Binds and listens as any other program would; zero, or the negative errno. */
  function take(sys: Libc, port: number, reuse: boolean): number {
    const fd = check(openTcp(sys), "Open");
    if (reuse) setOption(sys, fd, SOL_SOCKET, SO_REUSEADDR, 1);
    const bound = bindIpv4(sys, fd, LOOPBACK, port);
    const result = bound < 0 ? bound : sys.listen(fd, 1);
    sys.close(fd);
    return result;
  }

  rigTest("38: who connects is refused, and nobody else gets the port", (rig) => {
    const { sys } = rig;
    const port = freePort(sys, "tcp");
    const listeners = new Listeners(sys, rig.engine, rig.sockets);
    listeners.open([rule(port, 80)], rig.epoll);
    for (let round = 0; round < 2; round += 1) {
      assert.equal(connect(rig, port), -ECONNREFUSED);
      for (const reuse of [false, true]) assert.equal(take(sys, port, reuse), -EADDRINUSE);
      assert.equal(listeners.accept(0, START), 0);
      const heard = Array.from({ length: check(rig.epoll.wait(64, 0), "Wait") }, (_, i) =>
        rig.epoll.dataHi(i),
      );
      assert.equal(heard.includes(EVENT_OF_LISTENER), false);

      assert.equal(listeners.answer(true), true);
      const accepted = check(connect(rig, port), "Connect");
      assert.equal(listeners.accept(0, START), 1);
      const waiting = check(connect(rig, port), "Connect");
      for (const reuse of [false, true]) assert.equal(take(sys, port, reuse), -EADDRINUSE);

      assert.equal(listeners.answer(false), true);
      assert.equal(alive(rig, [accepted]), 1, "what was accepted goes on");
      assert.equal(sys.recv(waiting, sys.scratch.address, 1, 0), -ECONNRESET);
      for (const fd of [accepted, waiting]) sys.close(fd);
    }
    listeners.close();
  });

  rigTest("a port with connections of an earlier run in TIME_WAIT is to be had", (rig) => {
    const { sys } = rig;
    const port = freePort(sys, "tcp");
    const before = opened(rig, rule(port, 80));
    const client = check(connect(rig, port), "Connect");
    assert.equal(before.accept(0, START), 1);
    before.close();
    rig.sockets.close(); // ours closes first, so it is ours that waits
    sys.close(client);
    const again = new Listeners(sys, rig.engine, rig.sockets);
    again.open([rule(port, 80)], rig.epoll);
    assert.equal(connect(rig, port), -ECONNREFUSED);
    assert.equal(take(sys, port, true), -EADDRINUSE);
    again.answer(true);
    sys.close(check(connect(rig, port), "Connect"));
    again.close();
  });

  rigTest("a few at a time", (rig) => {
    const ports = Array.from({ length: 5 }, () => freePort(rig.sys, "tcp"));
    const listeners = new Listeners(rig.sys, rig.engine, rig.sockets);
    listeners.open(
      ports.map((port) => rule(port, 80)),
      rig.epoll,
    );
    const answering = (): number =>
      ports.filter((port) => {
        const fd = connect(rig, port);
        if (fd >= 0) rig.sys.close(fd);
        return fd >= 0;
      }).length;
    assert.deepEqual([listeners.answer(true, 2), answering()], [false, 2]);
    assert.deepEqual([listeners.answer(true, 2), answering()], [false, 4]);
    assert.deepEqual([listeners.answer(false, 1), answering()], [false, 3]);
    assert.deepEqual([listeners.answer(true, 2), answering()], [true, 5]);
    assert.deepEqual([listeners.answer(false, 9), answering()], [true, 0]);
    listeners.close();
  });

  rigTest("09: a rule with an address leads to that one", (rig) => {
    const port = freePort(rig.sys, "tcp");
    const listeners = opened(rig, { ...rule(port, 80), guestAddress: 0x0a000232 });
    const client = check(connect(rig, port), "Connect");
    listeners.accept(0, START);
    assert.equal(addressText(rig.engine, flowsOf(rig.engine)[0]?.guestAddress ?? 0), "10.0.2.50");
    listeners.close();
    rig.sys.close(client);
  });
});

describe("listener: UDP", () => {
  rigTest(
    "a published port is a parked socket, a flow's while it is used, and parked again",
    (rig) => {
      const port = freePort(rig.sys, "udp");
      const listeners = opened(rig, rule(port, 53, "udp"));
      assert.deepEqual([rig.sockets.openCount, rig.engine.flowCount], [0, 0]);
      const client = udpSocket(rig.sys);
      check(connectIpv4(rig.sys, client.fd, LOOPBACK, port), "Connect");
      for (const now of [START, START + 1_000_000_000]) {
        send(rig.sys, client.fd, "question");
        rig.awaitEvent(0, abi.EVENT_READABLE, EVENT_OF_PORT);
        listeners.arrived(0, now);
        const [flow] = flowsOf(rig.engine);
        assert.deepEqual([flow?.kind, flow?.guestPort, flow?.hostPort], ["udp", 53, port]);
        listeners.arrived(0, now);
        assert.equal(rig.engine.flowCount, 1, "it has one already");
        rig.awaitEvent((flow?.handle ?? 0) | 0, abi.EVENT_READABLE, EVENT_OF_FLOW);
        rig.settle(now + 400_000_000);
        assert.deepEqual(
          [rig.sockets.openCount, rig.engine.flowCount],
          [0, 0],
          "idle for its time",
        );
      }
      assert.equal(rig.sockets.ports.count, 1);
      listeners.close();
      rig.sys.close(client.fd);
    },
  );

  rigTest("what the guest sends from a published port leaves by its socket", (rig) => {
    const port = freePort(rig.sys, "udp");
    const all = { protocol: "udp", hostAddress: 0, ipv4Only: true } as const;
    const listeners = opened(rig, { ...all, hostPort: port, guestPort: 53 });
    const handle = 0x00010001;
    const opening = (c: number): number => rig.perform(abi.OP_UDP_OPEN, handle, { c });
    assert.equal(opening(53), abi.OPENED_PUBLISHED | port);
    assert.equal(rig.perform(abi.OP_CLOSE, handle), 0);
    assert.equal(opening(54) & abi.OPENED_PUBLISHED, 0, "another port of the guest");
    rig.perform(abi.OP_CLOSE, handle);
    assert.equal(opening((1 << 16) | 53) & abi.OPENED_PUBLISHED, 0, "another spot");
    rig.perform(abi.OP_CLOSE, handle);
    assert.equal(opening(53), abi.OPENED_PUBLISHED | port, "parked again");
    listeners.close();
  });

  rigTest(
    "several host ports lead to one guest port; one of loopback is never the first",
    (rig) => {
      const ports = [freePort(rig.sys, "udp"), freePort(rig.sys, "udp"), freePort(rig.sys, "udp")];
      const [local = 0, ...others] = ports;
      const all = { protocol: "udp", hostAddress: 0, ipv4Only: true, guestPort: 53 } as const;
      const rules = others.map((hostPort) => ({ ...all, hostPort }));
      const listeners = opened(rig, rule(local, 53, "udp"), ...rules);
      assert.deepEqual(
        ports.map((_, i) => rig.sockets.ports.spotOf(i)),
        [1, 0, 2],
      );
      listeners.close();
    },
  );

  rigTest("all addresses of both versions are one socket, several ranges many", (rig) => {
    const listeners = new Listeners(rig.sys, rig.engine, rig.sockets);
    const both = { ipv4: true, ipv6: true };
    const hostPort = freePort(rig.sys, "udp");
    const range = { protocol: "udp", hostAddress: 0, hostPort, guestPort: 53 } as const;
    listeners.open([range], rig.epoll, both);
    assert.equal(rig.sockets.ports.count, 1);
    const again = { ...range, hostPort: freePort(rig.sys, "udp") };
    listeners.open([again], rig.epoll, both);
    assert.equal(rig.sockets.ports.count, 3, "the guest port has a first socket already");
    listeners.close();
  });

  rigTest("a port that is taken is named; TCP's ports are others", (rig) => {
    const { fd, port } = udpSocket(rig.sys);
    assert.throws(
      () => opened(rig, rule(port, 53, "udp")),
      (error) => error instanceof SystemError && error.message.includes(`:${port}/udp"`),
    );
    const tcp = check(openTcp(rig.sys), "Open");
    opened(rig, rule(freePort(rig.sys, "tcp"), 53)).close();
    for (const each of [fd, tcp]) rig.sys.close(each);
  });
});
