/** What waits for a guest that does not read: the relay pauses, bounds hold, others go on. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { webUpstream } from "../../../src/network/web/index.ts";
import { FakeSocket, packet, READY } from "../../support/web/fake-socket.ts";
import { FakeHost, TcpProbe } from "../../support/web/probe.ts";

const DATA = 2;
const CLOSE = 4;
const KIB = 1024;
const SECOND = 1_000_000;

function setUp(count: number) {
  const host = new FakeHost();
  const socket = new FakeSocket([]);
  function Given(): FakeSocket {
    return socket;
  }
  const relay = {
    url: "ws://relay/",
    webSocket: Given as never,
    ...{ streamMib: 1, totalMib: 3 },
  };
  const upstream = webUpstream({ relay, host });
  const probes = Array.from({ length: count }, () => new TcpProbe(upstream, {}));
  socket.gives(READY);
  const give = (stream: number, kib: number): void => {
    for (let i = 0; i < kib; i += 64) socket.gives(packet(DATA, stream, new Uint8Array(64 * KIB)));
  };
  const probe = (stream: number): TcpProbe => {
    const found = probes[stream - 1];
    assert.ok(found);
    return found;
  };
  const stats = () => {
    const found = upstream.relayStats();
    assert.ok(found);
    return found;
  };
  return { host, socket, give, probe, stats };
}

describe("room for what a relay sends", () => {
  test("half of a stream's bound pauses the relay, and reading has it go on", async () => {
    const { socket, give, probe, stats } = setUp(1);
    give(1, 448);
    assert.equal(socket.isPaused, false);
    give(1, 128);
    assert.equal(socket.isPaused, true);
    await probe(1).receive(256 * KIB);
    assert.equal(socket.isPaused, false);
    await probe(1).receive(320 * KIB);
    assert.equal(stats().held, 0);
  });

  test("half of the bound of all pauses it, too", () => {
    const { socket, give } = setUp(4);
    for (let stream = 1; stream <= 3; stream += 1) give(stream, 448);
    assert.equal(socket.isPaused, false);
    give(4, 256);
    assert.equal(socket.isPaused, true);
  });

  test("a relay that does not pause has the stream reset that exceeds its bound", async () => {
    const { socket, give, probe, stats } = setUp(2);
    give(2, 64);
    give(1, 1088);
    assert.equal(probe(1).code, "ENOBUFS");
    assert.equal(stats().overflowed, 1);
    assert.deepEqual(
      socket.takes(CLOSE).map((each) => each[1]),
      [1],
    );
    assert.equal(socket.isPaused, false);
    assert.equal((await probe(2).receive(64 * KIB)).length, 64 * KIB);
    assert.equal(stats().held, 0);
  });

  test("beyond the bound of all, who holds most is reset, not who came last", () => {
    const { give, probe, stats } = setUp(5);
    give(1, 960);
    for (const stream of [2, 3]) give(stream, 896);
    give(4, 256);
    assert.equal(stats().overflowed, 0);
    give(5, 128);
    assert.equal(probe(1).code, "ENOBUFS");
    assert.equal(probe(5).code, undefined);
    assert.equal(stats().overflowed, 1);
  });

  test("all of them together stay below their bound", () => {
    const { give, stats } = setUp(8);
    for (let round = 0; round < 10; round += 1) {
      for (let stream = 1; stream <= 8; stream += 1) give(stream, 64);
      assert.ok(stats().held <= 3 << 20);
    }
    assert.ok(stats().overflowed > 0);
  });

  test("messages of one octet count for what they cost", () => {
    const { socket, probe, stats } = setUp(1);
    for (let i = 0; i < 9000; i += 1) socket.gives(packet(DATA, 1, [i]));
    assert.equal(probe(1).code, "ENOBUFS");
    assert.equal(stats().overflowed, 1);
  });

  test("who reads nothing while the others wait is reset after 15 seconds", () => {
    const { host, socket, give, probe, stats } = setUp(2);
    give(1, 640);
    host.pass(10 * SECOND);
    give(2, 64);
    host.pass(5 * SECOND);
    assert.equal(probe(1).code, "ENOBUFS");
    assert.equal(probe(2).code, undefined);
    assert.equal(stats().stalled, 1);
    assert.equal(socket.isPaused, false);
    assert.deepEqual(host.waits.length, 0);
  });

  test("a stream that waits for little is none of those that have others wait", () => {
    const { host, give, probe } = setUp(2);
    give(2, 64);
    give(1, 640);
    host.pass(15 * SECOND);
    assert.equal(probe(1).code, "ENOBUFS");
    assert.equal(probe(2).code, undefined);
  });

  test("so is one whose far side has ended, and which holds the others up", () => {
    const { host, socket, give, probe, stats } = setUp(1);
    give(1, 640);
    socket.gives(packet(CLOSE, 1, [2]));
    assert.equal(probe(1).code, undefined);
    assert.equal(socket.isPaused, true);
    host.pass(16 * SECOND);
    assert.equal(probe(1).code, "ENOBUFS");
    assert.equal(stats().held, 0);
    assert.equal(socket.isPaused, false);
  });

  test("a connection that is closed gives back what it held", () => {
    const { socket, give, probe, stats } = setUp(1);
    give(1, 640);
    probe(1).socket.close(true);
    assert.equal(stats().held, 0);
    assert.equal(socket.isPaused, false);
  });
});
