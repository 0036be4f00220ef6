/**
 * TIME-WAIT: how long it lasts, what it owns, and who may have its tuple.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { pattern } from "../../support/packet.ts";
import { established, reach, TcpGuest } from "../../support/tcp-guest.ts";

const SECOND = 1_000_000;

const TIME_WAIT = 60 * SECOND;

describe("TIME-WAIT", () => {
  // 60 s, twice an MSL of 30 s: shorter than the MSL of RFC 9293 and as Linux has it.
  test("T37: it lasts 60 s and owns neither socket nor memory", () => {
    const { world, guest, socket } = reach("TIME_WAIT");
    assert.equal(socket.closed, "orderly");
    assert.equal(world.engine.chunkCount, 0);
    world.advance(TIME_WAIT - 1);
    assert.equal(guest.state, "TIME_WAIT");
    world.advance(1);
    assert.equal(guest.state, "CLOSED");
    guest.expectNothing();
    world.checkBalance();
  });

  test("T37: a repeated FIN starts the time anew", () => {
    const { world, guest } = reach("TIME_WAIT");
    world.advance(TIME_WAIT - 1);
    guest.send({ flags: "FA", seq: guest.next - 1 });
    guest.expect({ flags: "A", seq: 2, ack: 2 });
    world.advance(TIME_WAIT - 1);
    assert.equal(guest.state, "TIME_WAIT");
    world.advance(1);
    assert.equal(guest.state, "CLOSED");
  });

  for (const offset of [0, 1, -1]) {
    test(`T37: a reset at RCV.NXT + ${offset} does not cut it short (RFC 1337)`, () => {
      const { world, guest } = reach("TIME_WAIT");
      guest.send({ flags: "R", seq: guest.next + offset });
      world.take();
      assert.equal(guest.state, "TIME_WAIT");
      world.advance(TIME_WAIT);
      assert.equal(guest.state, "CLOSED");
    });
  }
});

describe("TIME-WAIT, the tuple is wanted again", () => {
  for (const [name, seq, tsval, opens] of [
    ["a higher sequence number", 3, undefined, true],
    ["the next sequence number", 2, undefined, false],
    ["a lower sequence number", -5, undefined, false],
    ["a lower sequence number, a newer timestamp", -5, 1, true],
    ["a higher sequence number, the same timestamp", 3, 0, true],
    ["a lower sequence number, the same timestamp", -5, 0, false],
    ["a higher sequence number, an older timestamp", 3, -1, false],
  ] as const) {
    test(`T37: SYN with ${name} ${opens ? "opens anew" : "is answered by an ACK"}`, () => {
      const { world, guest } = reach("TIME_WAIT", { guest: { timestamps: tsval !== undefined } });
      const newest = Math.floor(world.now / 1000) + guest.timestampOffset;
      const stamp = tsval === undefined ? {} : { timestamps: [newest + tsval, 0] as const };
      guest.send({ flags: "S", seq, ...stamp });
      if (opens) guest.expect({ flags: "SA", ack: seq + 1 });
      else guest.expect({ flags: "A", seq: 2, ack: 2 });
      guest.expectNothing();
      assert.equal(guest.state, opens ? "SYN_RECEIVED" : "TIME_WAIT");
      world.checkBalance();
    });
  }

  test("T37: the new connection's sequence numbers lie above all the old one has used", () => {
    const { world, guest, socket } = established();
    socket.push(pattern(1_000_000));
    socket.end();
    guest.receiveAll();
    guest.send({ flags: "FA" });
    assert.equal(guest.state, "TIME_WAIT");
    world.take();
    const last = guest.irs + guest.wanted;
    guest.send({ flags: "S", seq: 100 });
    const { seq } = guest.expect({ flags: "SA", ack: 101 });
    assert.equal(((seq - last) | 0) > 0, true);
  });

  test("T37: it makes room for new connections, the oldest first", () => {
    // RFC 9293 §3.6.1 would keep each for its time: departed from when the table is full.
    const { world } = reach("TIME_WAIT", { world: { flowsMax: 16 } });
    // Four slots are kept for others than the guest's connections.
    const guests = Array.from({ length: 12 }, (_, i) => {
      return new TcpGuest(world, { port: 50000 + i }).open();
    });
    assert.equal(
      guests.every(({ state }) => state === "ESTABLISHED"),
      true,
    );
    assert.equal(world.stats.timeWaitEvicted, 1);
    const late = new TcpGuest(world, { port: 60000 });
    late.send({ flags: "S" });
    late.expect({ flags: "RA", seq: 0, ack: 1 });
    world.checkBalance();
  });
});
