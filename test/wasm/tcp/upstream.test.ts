/** The host socket of a connection: short writes, readiness, memory shared by many flows. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { OP_TCP_RECV, OP_TCP_SEND } from "../../../wasm/abi.ts";
import { EngineWorld } from "../../support/engine-harness.ts";
import { GATEWAY } from "../../support/engine-settings.ts";
import type { FakeSocket } from "../../support/fake-socket.ts";
import { pattern } from "../../support/packet.ts";
import { established, reach, TcpGuest } from "../../support/tcp-guest.ts";
import { checkProperty, decisions, segments } from "../../support/tcp-transfer.ts";

const MSS = 1460;
const SECOND = 1_000_000;
const EINTR = 4;

function ops(socket: FakeSocket, kind: number): number {
  return socket.ops.get(kind) ?? 0;
}

describe("wasm/tcp/upstream: guest to host", () => {
  test("T46: the segments of a batch go to the host in one operation", () => {
    const { guest, socket } = established();
    guest.sendBatch(segments(pattern(20 * MSS), MSS));
    assert.equal(ops(socket, OP_TCP_SEND), 1);
    assert.deepEqual(socket.stream, pattern(20 * MSS));
  });

  for (const room of [1, MSS - 1, MSS, MSS + 1, 3 * MSS + 7, 5 * MSS - 1]) {
    test(`T45: a host that takes ${room} octets gets the others once it can`, () => {
      const { guest, socket, world } = established();
      socket.sendRoom = room;
      guest.sendBatch(segments(pattern(5 * MSS), MSS));
      assert.deepEqual(socket.stream, pattern(room));
      world.advance(500);
      const { ack } = guest.expect();
      assert.equal((ack - guest.iss) | 0, 1 + room);
      socket.room(Number.POSITIVE_INFINITY);
      world.advance(500);
      assert.deepEqual(socket.stream, pattern(5 * MSS));
      guest.expect({ flags: "A", ack: 1 + 5 * MSS });
      assert.equal(world.engine.chunkCount, 0);
    });
  }

  test("T45: a socket that is full is not tried again until it says so", () => {
    const { guest, socket, world } = established();
    socket.sendRoom = 0;
    guest.sendBatch(segments(pattern(5 * MSS), MSS));
    const tried = ops(socket, OP_TCP_SEND);
    for (let i = 0; i < 20; i += 1) {
      guest.send({ seq: 1, payload: pattern(MSS) });
      guest.send({ payload: pattern(100, 5 * MSS + 100 * i) });
      world.advance(SECOND);
    }
    assert.equal(ops(socket, OP_TCP_SEND), tried);
    socket.room(Number.POSITIVE_INFINITY);
    world.run();
    assert.deepEqual(socket.stream, pattern(5 * MSS + 2000));
  });

  test("T45: an interrupted send is tried again without being asked", () => {
    const { guest, socket, world } = established();
    socket.pendingErrno = EINTR;
    guest.send({ payload: "hello" });
    assert.equal(socket.text, "hello");
    world.advance(500);
    guest.expect({ flags: "A", ack: 6 });
  });

  test("T45: held octets of more pieces than one operation takes", () => {
    const { guest, socket, world } = established({ world: { chunksMax: 1024 } });
    for (let i = 199; i > 0; i -= 1) guest.send({ seq: 1 + 2 * i, payload: pattern(1, 2 * i) });
    for (let i = 0; i < 200; i += 1) {
      guest.send({ seq: 2 + 2 * i, payload: pattern(1, 2 * i + 1) });
    }
    assert.equal(socket.stream.length, 0);
    guest.send({ seq: 1, payload: pattern(1) });
    assert.deepEqual(socket.stream, pattern(400));
    assert.equal(world.engine.chunkCount, 0);
  });

  test("T36: while the host is full the other direction flows", () => {
    const { guest, socket, world } = established();
    socket.sendRoom = 0;
    guest.sendBatch(segments(pattern(5 * MSS), MSS));
    socket.push(pattern(200_000));
    assert.deepEqual(guest.receiveAll(), pattern(200_000));
    socket.room(Number.POSITIVE_INFINITY);
    world.run();
    assert.deepEqual(socket.stream, pattern(5 * MSS));
    assert.equal(world.engine.chunkCount, 0);
  });
});

describe("wasm/tcp/upstream: host to guest", () => {
  test("T50: no more is taken from the host than may be sent", () => {
    const { guest, socket, world } = established();
    socket.push(pattern(100_000));
    world.take();
    const left = socket.incoming.reduce((sum, part) => sum + part.length, 0);
    assert.equal(100_000 - left, 10 * MSS);
    guest.send({ ack: 1, window: 0 });
    assert.equal(world.engine.chunkCount, 1);
  });

  test("T50: a host with more to read causes no work while the guest owes acknowledgments", () => {
    const { guest, socket, world } = established();
    socket.push(pattern(100_000));
    world.take();
    const received = ops(socket, OP_TCP_RECV);
    assert.equal(world.engine.ready, false);
    for (let i = 0; i < 50; i += 1) {
      socket.push("more");
      world.run();
      assert.equal(world.engine.ready, false);
    }
    assert.equal(ops(socket, OP_TCP_RECV), received);
    guest.expectNothing();
  });

  test("T50: nor does time, between the deadlines of the timers", () => {
    const { guest, socket, world } = established();
    guest.send({ window: 0 });
    socket.push("data");
    world.run();
    for (let last = 0, i = 0; i < 20; i += 1) {
      const next = world.engine.nextDeadline();
      assert.ok(next - world.now >= 200_000, `next deadline after ${next - world.now}`);
      world.advance(next - world.now);
      world.take();
      guest.send({ window: 0 });
      assert.ok(next > last);
      last = next;
    }
  });

  test("T50: a socket that is drained is not asked again until it says so", () => {
    const { guest, socket, world } = established();
    socket.push("hello");
    guest.expect({ payload: "hello" });
    const received = ops(socket, OP_TCP_RECV);
    for (let i = 0; i < 10; i += 1) {
      guest.send();
      world.advance(SECOND);
    }
    assert.equal(ops(socket, OP_TCP_RECV), received);
  });

  test("T36: octets that come with the host's FIN arrive before it", () => {
    const { guest, socket } = established();
    socket.push(pattern(50_000));
    socket.end();
    assert.deepEqual(guest.receiveAll(), pattern(50_000));
    assert.equal(guest.wanted, 50_002);
    assert.equal(guest.state, "FIN_WAIT_2");
  });

  test("T38: no FIN while octets are not sent yet, it follows the last one", () => {
    const { guest, socket, world } = established();
    guest.send({ window: 10 });
    socket.push(pattern(2000));
    socket.end();
    const first = world.take();
    assert.ok(first.every((frame) => frame.kind === "tcp" && !frame.flags.includes("F")));
    for (const frame of first) if (frame.kind === "tcp") guest.wanted += frame.payload.length;
    guest.send({ window: 512 });
    const rest = world.take().map((frame) => (frame.kind === "tcp" ? frame.flags : ""));
    assert.equal(rest.at(-1), "FA");
  });
});

describe("wasm/tcp/upstream: the pool is shared", () => {
  const CHUNKS = 16;

  interface Party {
    readonly guest: TcpGuest;
    readonly socket: FakeSocket;
    readonly content: Uint8Array;
    acked: number;
  }

  function parties(world: EngineWorld, count: number, length: number): Party[] {
    return Array.from({ length: count }, (_, i) => {
      const guest = new TcpGuest(world, { port: 41_000 + i, peerPort: 1000 + i }).open();
      return { guest, socket: guest.socket, content: pattern(length, 7 * i), acked: 1 };
    });
  }

  /** Takes all frames that wait, each for the party whose it is. */
  function sort(world: EngineWorld, all: readonly Party[]): void {
    for (const frame of world.take()) {
      const party = all.find(({ guest }) => {
        return frame.kind === "tcp" && frame.destinationPort === guest.port;
      });
      if (party === undefined || frame.kind !== "tcp") continue;
      party.acked = Math.max(party.acked, (frame.ack - party.guest.iss) | 0);
    }
  }

  test("T45: many blocked uploads use no more than the pool, all data are right in the end", () => {
    const world = new EngineWorld({ chunksMax: CHUNKS });
    const all = parties(world, 40, 40_000);
    for (const { socket } of all) socket.sendRoom = 0;
    for (let round = 0; round < 200; round += 1) {
      for (const { guest, content, acked } of all) {
        const rest = content.subarray(acked - 1, acked - 1 + 20 * MSS);
        if (rest.length > 0) guest.sendBatch(segments(rest, MSS, acked));
        assert.ok(world.engine.chunkCount <= CHUNKS, `${world.engine.chunkCount} chunks`);
      }
      if (round > 3) for (const { socket } of all) socket.room(3000);
      world.advance(1000);
      sort(world, all);
      if (all.every(({ acked, content }) => acked === 1 + content.length)) break;
    }
    for (const { socket, content } of all) assert.deepEqual(socket.stream, content);
    assert.equal(world.engine.chunkCount, 0);
    world.checkBalance();
  });

  test("T50: many downloads at once use no more than the pool, and all arrive", () => {
    const world = new EngineWorld({ chunksMax: CHUNKS });
    const all = parties(world, 40, 40_000);
    for (const { socket, content } of all) socket.push(content);
    world.run();
    assert.ok(world.engine.chunkCount <= CHUNKS, `${world.engine.chunkCount} chunks`);
    const got = new Map(all.map(({ guest }) => [guest.port, new Uint8Array(40_000)]));
    for (let round = 0; round < 2000; round += 1) {
      for (const frame of world.take()) {
        if (frame.kind !== "tcp") continue;
        const guest = all.find((party) => party.guest.port === frame.destinationPort)?.guest;
        if (guest === undefined) continue;
        const at = (frame.seq - guest.irs) | 0;
        got.get(guest.port)?.set(frame.payload, at - 1);
        if (at === guest.wanted) guest.wanted += frame.payload.length;
      }
      assert.ok(world.engine.chunkCount <= CHUNKS, `${world.engine.chunkCount} chunks`);
      const late = all.filter(({ guest }) => guest.wanted <= 40_000);
      for (const { guest } of all) guest.send();
      if (late.length === 0) break;
    }
    for (const { guest, content } of all) assert.deepEqual(got.get(guest.port), content);
    assert.equal(world.engine.chunkCount, 0);
    world.checkBalance();
  });

  test("T45: a segment of which only the front finds memory is taken up to there", () => {
    const world = new EngineWorld({ chunksMax: CHUNKS });
    const [last, ...others] = parties(world, 6, 65_000);
    assert.ok(last !== undefined);
    for (const { socket, content } of others) socket.push(content.subarray(0, MSS));
    world.take();
    const before = world.engine.chunkCount;
    const { guest, socket, content } = last;
    socket.sendRoom = 0;
    guest.sendBatch(segments(content, MSS));
    // Sixteen, less two that are kept and one for each of the others: of nine a flow holds half.
    assert.equal(world.engine.chunkCount - before, 4);
    socket.room(Number.POSITIVE_INFINITY);
    world.run();
    assert.deepEqual(socket.stream, content.subarray(0, 4 * 16_384));
    const sent = Math.floor((4 * 16_384) / MSS) * MSS;
    guest.sendBatch(segments(content.subarray(sent), MSS, 1 + sent));
    assert.deepEqual(socket.stream, content);
  });

  test("T50: chunks of a connection that breaks serve the next one at once", () => {
    const world = new EngineWorld({ chunksMax: CHUNKS });
    const all = parties(world, 40, 14_000);
    for (const { socket, content } of all) socket.push(content);
    world.run();
    const waiting = all.filter(({ socket }) => socket.incoming.length > 0);
    assert.ok(waiting.length > 0, "someone has to wait for memory");
    world.take();
    for (const party of all) if (!waiting.includes(party)) party.socket.fail(104);
    world.run();
    const served = world.take().filter((frame) => {
      return frame.kind === "tcp" && frame.payload.length > 0;
    });
    assert.ok(served.length > 0, "memory is free, nobody was served");
  });

  test("T50: chunks given back beside a frame that still waits serve the next one too", () => {
    const world = new EngineWorld({ chunksMax: CHUNKS });
    const all = parties(world, CHUNKS + 1, 14_000);
    for (const { socket, content } of all) socket.push(content);
    world.run();
    assert.equal(world.engine.chunkCount, CHUNKS);
    world.take();
    const [first] = all;
    assert.ok(first !== undefined);
    world.guest(world.ping(GATEWAY, 1, 1, "x"), first.guest.frame({ ack: 14_001 }));
    world.expect("icmp", { type: 0 });
    assert.ok(world.frames.length > 0, "memory is free, nobody was served");
  });

  const abuse = fc.record({ seed: fc.nat(), flows: fc.integer({ min: 1, max: 30 }) });

  test("T45, T50: whatever happens, table and pool are empty when all flows are gone", () => {
    checkProperty(
      fc.property(abuse, ({ seed, flows }) => {
        const pick = decisions(seed);
        const world = new EngineWorld({ chunksMax: CHUNKS, flowsMax: 64 });
        const all = parties(world, flows, 1);
        for (let step = 0; step < 150; step += 1) disturb(world, all, pick);
        for (const { guest, socket } of all) {
          if (socket.closed === "no") socket.fail(104);
          world.run();
          world.take();
          assert.notEqual(guest.state, "ESTABLISHED");
        }
        world.advance(1000 * SECOND); // a guest that says nothing any more is given up by then
        assert.equal(world.engine.flowCount, 0);
        assert.equal(world.engine.chunkCount, 0);
        assert.equal(world.host.live.length, 0);
        assert.equal(world.engine.nextDeadline(), 0);
        world.checkBalance();
      }),
      25,
    );
  });

  function disturb(world: EngineWorld, all: readonly Party[], pick: (n: number) => number): void {
    const party = all[pick(all.length)];
    if (party === undefined) return;
    const { guest, socket } = party;
    const open = socket.closed === "no";
    const size = 1 + pick(MSS);
    switch (pick(10)) {
      case 0:
        guest.send({ payload: pattern(size) });
        break;
      case 1:
        guest.send({ seq: guest.next + pick(60_000), payload: pattern(size) });
        break;
      case 2:
        if (open) socket.push(pattern(1 + pick(100_000)));
        break;
      case 3:
        if (open) socket.sendRoom = 0;
        break;
      case 4:
        if (open) socket.room(1 + pick(50_000));
        break;
      case 5:
        guest.send({ window: pick(3) * 100 });
        break;
      case 6:
        world.advance(pick(3 * SECOND));
        break;
      case 7:
        if (pick(5) === 0) guest.send({ flags: "FA" });
        break;
      case 8:
        if (pick(5) === 0 && open) socket.end();
        break;
      default:
        world.run();
        for (const frame of world.frames.splice(0)) follow(all, frame, pick);
    }
  }

  /** Now and then a guest takes what it was sent. */
  function follow(
    all: readonly Party[],
    frame: ReturnType<EngineWorld["take"]>[number],
    pick: (n: number) => number,
  ): void {
    if (frame.kind !== "tcp" || pick(4) === 0) return;
    const guest = all.find((party) => party.guest.port === frame.destinationPort)?.guest;
    if (guest === undefined || ((frame.seq - guest.irs) | 0) !== guest.wanted) return;
    guest.wanted += frame.payload.length + (frame.flags.includes("F") ? 1 : 0);
    guest.send();
  }

  test("T37: a table full of connections returns to empty", () => {
    const world = new EngineWorld({ flowsMax: 64 });
    for (let i = 0; i < 60; i += 1) {
      const guest = new TcpGuest(world, { port: 42_000 + i }).open();
      guest.send({ payload: "bye" });
      guest.send({ flags: "FA" });
      guest.socket.end();
      world.take();
      guest.wanted = 2;
      guest.send();
    }
    assert.equal(world.engine.flowCount, 0);
    world.checkBalance();
    const { guest } = reach("TIME_WAIT");
    guest.world.advance(61 * SECOND);
    assert.equal(guest.world.engine.flowCount, 0);
    assert.equal(guest.world.engine.nextDeadline(), 0);
  });
});
