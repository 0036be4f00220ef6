/** Which connections give way when there are too many, and which end by themselves. */
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import { describe, test } from "node:test";
import { createShares } from "../../src/hooks/calls.ts";
import { Connections } from "../../src/hooks/connections.ts";
import { keepingLog } from "../support/hook-server.ts";

/** What the program promises. */
const CONNECTION_COUNT_MAX = 128;
const IDLE_ms = 60_000;

class Session extends EventEmitter {
  isOpen = true;

  destroy(): void {
    this.isOpen = false;
  }
}

function world() {
  const { log, lines } = keepingLog();
  let now_ms = 0;
  const shares = createShares(log, () => now_ms);
  const connections = new Connections(shares);
  const connect = (): Session => {
    const session = new Session();
    const socket = { destroy: () => session.destroy() } as Socket;
    connections.add(session as unknown as ServerHttp2Session, socket);
    now_ms += 1;
    return session;
  };
  const stream = (session: Session): EventEmitter => {
    const made = new EventEmitter();
    session.emit("stream", made);
    return made;
  };
  const wait = (time_ms: number): void => {
    now_ms += time_ms;
  };
  return { connect, stream, wait, connections, lines, ...shares };
}

describe("too many connections", () => {
  test("the one that has been idle longest gives way", () => {
    const { connect, stream, lines, pressure } = world();
    const all = Array.from({ length: CONNECTION_COUNT_MAX }, connect);
    const [first, second] = all;
    assert.ok(first && second);
    stream(first).emit("close");
    const late = connect();
    assert.deepEqual([first.isOpen, second.isOpen, late.isOpen], [true, false, true]);
    for (let count = 0; count < 1000; count += 1) connect();
    assert.equal(pressure.counters.connections_evicted, 1001);
    assert.equal(lines.length, 1);
  });

  test("then the oldest whose calls are incomplete, never one that is served", () => {
    const { connect, stream, calls } = world();
    const all = Array.from({ length: CONNECTION_COUNT_MAX }, connect);
    for (const session of all) stream(session);
    const [served, incomplete] = all;
    assert.ok(served && incomplete);
    calls.open({ kind: "domain", method: "m", connection: served }).complete();
    const late = connect();
    assert.deepEqual([served.isOpen, incomplete.isOpen, late.isOpen], [true, false, true]);
  });

  test("when all are served, the new one is refused", () => {
    const { connect, stream, calls, pressure } = world();
    for (let count = 0; count < CONNECTION_COUNT_MAX; count += 1) {
      const connection = connect();
      stream(connection);
      const kind = count % 2 === 0 ? "domain" : "control";
      calls.open({ kind, method: "m", connection }).complete();
    }
    assert.ok(!connect().isOpen);
    assert.equal(pressure.counters.connections_refused, 1);
  });
});

test("an idle connection is ended after a time, one with a call is not", () => {
  const { connect, stream, wait, connections, pressure } = world();
  const [idle, calling, over] = [connect(), connect(), connect()];
  stream(calling);
  const call = stream(over);
  wait(IDLE_ms);
  call.emit("close");
  connections.sweep();
  assert.deepEqual([idle.isOpen, calling.isOpen, over.isOpen], [false, true, true]);
  assert.equal(pressure.counters.connections_timed_out, 1);
  assert.equal([...connections.sessions].length, 2);
});
