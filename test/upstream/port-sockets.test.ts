/** Sockets of published ports that the next engine gets as they are. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Epoll } from "../../src/sys/epoll.ts";
import { EADDRINUSE, EAGAIN, ENOSPC } from "../../src/sys/errno.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { accept } from "../../src/sys/socket.ts";
import { Listeners } from "../../src/upstream/listener.ts";
import { PortSockets } from "../../src/upstream/port-sockets.ts";
import { HostSockets } from "../../src/upstream/sockets.ts";
import { connect, freeRow, rule } from "./listener-rig.ts";
import { rigTest } from "./rig.ts";

function fake(): { sys: Libc; closed: number[] } {
  const closed: number[] = [];
  return { sys: { close: (fd: number) => closed.push(fd) } as unknown as Libc, closed };
}

describe("port sockets", () => {
  test("each is opened once, and comes again in the order it was asked for", () => {
    const { sys, closed } = fake();
    const sockets = new PortSockets(sys);
    const opens = [11, -EADDRINUSE, 12];
    const ask = (): number[] => [0, 1, 2].map(() => sockets.next(() => opens.shift() ?? -1));
    assert.deepEqual(ask(), [11, -EADDRINUSE, 12]);
    sockets.rewind();
    assert.deepEqual(ask(), [11, -EADDRINUSE, 12], "what could not be had is not asked for again");
    assert.deepEqual(closed, []);
    sockets.answering = 2;
    sockets.close();
    sockets.close();
    assert.deepEqual([closed, sockets.answering], [[11, 12], 0]);
  });

  test("one there is no place for is closed, and stays so", () => {
    const { sys, closed } = fake();
    const sockets = new PortSockets(sys);
    sockets.next(() => 11);
    assert.equal(sockets.refuse(-ENOSPC), -ENOSPC);
    sockets.rewind();
    assert.equal(
      sockets.next(() => 12),
      -ENOSPC,
    );
    sockets.close();
    assert.deepEqual(closed, [11]);
  });
});

describe("published ports of the next engine", () => {
  rigTest("who waits to be accepted is accepted, datagrams are there", (rig) => {
    const { sys, engine } = rig;
    const tcp = freeRow(sys, "tcp", 1);
    const sockets = new PortSockets(sys);
    const rules = [rule(tcp, 80)];
    const first = new Listeners(sys, engine, rig.sockets, undefined, sockets);
    first.open(rules, rig.epoll);
    first.answer(true);
    const client = connect(rig, tcp);
    first.leave();
    const epoll = new Epoll(sys);
    const next = new Listeners(
      sys,
      engine,
      new HostSockets(sys, epoll, engine, 0),
      undefined,
      sockets,
    );
    next.open(rules, epoll);
    assert.equal(epoll.wait(8, 1_000_000), 1, "it is watched, and has news");
    assert.equal(next.accept(epoll.dataLo(0), 1e6), 1);
    assert.equal(sys.recv(client, sys.scratch.address, 1, 0), -EAGAIN, "nobody has reset it");
    assert.equal(next.answer(false), true);
    assert.ok(connect(rig, tcp) < 0 || accept(sys, client) < 0);
    next.close();
    epoll.close();
    sys.close(client);
  });

  rigTest("a connection that the engine fails at costs no descriptor", (rig) => {
    const { sys, engine } = rig;
    const tcp = freeRow(sys, "tcp", 1);
    const listeners = new Listeners(sys, engine, rig.sockets);
    listeners.open([rule(tcp, 80)], rig.epoll);
    listeners.answer(true);
    const client = connect(rig, tcp);
    engine.inboundTcp = () => {
      throw new Error("trap");
    };
    assert.throws(() => listeners.accept(0, 1e6), /trap/);
    assert.notEqual(sys.recv(client, sys.scratch.address, 1, 0), -EAGAIN, "it has been reset");
    assert.equal(rig.sockets.openCount, 0);
    listeners.close();
    sys.close(client);
  });
});
