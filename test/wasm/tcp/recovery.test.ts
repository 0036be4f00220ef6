/** What is lost, found without waiting for a timeout: RACK, tail probes, and repairs taken back. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readTcpFlow } from "../../../src/engine/tcp-flow.ts";
import { pattern } from "../../support/packet.ts";
import { type Conversation, established, type TcpGuestOptions } from "../../support/tcp-guest.ts";

const MSS = 1448;
const RTT = 10_000;
/** Two round trips and 3 ms: until the guest is asked what it has. */
const PROBE = 2 * RTT + 3000;
const TIMEOUT = 200_000;

/** Relative sequence number of full segment `index` of the stream. */
function at(index: number): number {
  return 1 + index * MSS;
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => at(from + i));
}

/** Relative sequence numbers of the data segments that wait; their timestamp is to be echoed. */
function sentAt({ guest, world }: Conversation): number[] {
  const frames = world.take().filter((frame) => frame.kind === "tcp");
  const last = frames.at(-1)?.options.timestamps;
  if (last !== undefined) guest.timestampEcho = last[0];
  return frames
    .filter((frame) => frame.payload.length > 0)
    .map((frame) => (frame.seq - guest.irs) | 0);
}

/** Octets of the congestion window. */
function windowOf({ guest, world }: Conversation): number {
  return readTcpFlow(world.engine, guest.flow?.handle ?? 0)?.cwnd ?? 0;
}

const WITH_TIMESTAMPS: TcpGuestOptions = { timestamps: true };
/** 12 octets less, as with timestamps, so that segments are the same. */
const PLAIN: TcpGuestOptions = { options: { mss: MSS, windowScale: 7, sackPermitted: true } };
const WITHOUT_SACK: TcpGuestOptions = { options: { mss: MSS, windowScale: 7 } };

/** Some full segments are out, to a guest that is RTT away and knows it. */
function sending(segments: number, guest: TcpGuestOptions): Conversation {
  const conversation = established({ guest });
  const { world, socket } = conversation;
  for (let i = 0; i < 40; i += 1) {
    socket.push("x".repeat(MSS));
    sentAt(conversation);
    world.advance(RTT);
    conversation.guest.wanted += MSS;
    conversation.guest.send();
  }
  conversation.guest.irs += 40 * MSS;
  conversation.guest.wanted = 1;
  socket.push(pattern(segments * MSS));
  return conversation;
}

const KINDS: readonly (readonly [string, TcpGuestOptions])[] = [
  ["timestamps", WITH_TIMESTAMPS],
  ["no timestamps", PLAIN],
];

describe("wasm/tcp/recovery: what overtakes tells what is lost", () => {
  for (const [missing, again] of [
    [0, [at(0)]],
    [1, []],
  ] as const) {
    test(`T64: a report of three segments less ${missing} octets is ${again.length} loss`, () => {
      const conversation = sending(10, PLAIN);
      const { guest, world } = conversation;
      sentAt(conversation);
      world.advance(RTT);
      guest.send({ ack: at(0), sack: [[at(1), at(4) - missing]] });
      assert.deepEqual(sentAt(conversation), again);
    });
  }

  for (const [name, options] of KINDS) {
    test(`T64: a lost retransmission goes again when what was sent later arrives, ${name}`, () => {
      const conversation = sending(10, options);
      const { guest, world } = conversation;
      assert.deepEqual(sentAt(conversation), range(0, 10));
      world.advance(RTT);
      guest.send({
        ack: at(0),
        sack: [
          [at(1), at(2)],
          [at(3), at(10)],
        ],
      });
      assert.deepEqual(sentAt(conversation), [at(0), at(2)]);
      world.advance(RTT);
      guest.send({ ack: at(0), sack: [[at(1), at(10)]] }); // the second of them arrives
      assert.deepEqual(sentAt(conversation), [at(0)]);
      world.advance(RTT);
      guest.send({ ack: at(10) });
      assert.equal(world.stats.tcpTimeouts, 0);
      assert.equal(world.stats.tcpFastRetransmits, 1);
      assert.equal(world.engine.chunkCount, 0);
    });
  }

  test("T64: with fewer than three segments behind it a hole has a quarter of a round trip", () => {
    const conversation = sending(3, PLAIN);
    const { guest, world } = conversation;
    assert.deepEqual(sentAt(conversation), range(0, 3));
    world.advance(RTT);
    guest.send({ ack: at(0), sack: [[at(1), at(3)]] });
    assert.deepEqual(sentAt(conversation), []);
    world.advance(RTT);
    assert.deepEqual(sentAt(conversation), [at(0)]);
    assert.equal(world.stats.tcpTailProbes, 0);
  });

  test("T64: what comes out of order makes it wait, and nothing goes again", () => {
    const conversation = sending(10, PLAIN);
    const { guest, world } = conversation;
    sentAt(conversation);
    world.advance(RTT);
    guest.send({ ack: at(0), sack: [[at(3), at(4)]] });
    guest.send({
      ack: at(0),
      sack: [
        [at(1), at(2)],
        [at(3), at(4)],
      ],
    }); // overtaken, not lost
    guest.send({
      ack: at(0),
      sack: [
        [at(1), at(2)],
        [at(3), at(7)],
      ],
    });
    assert.deepEqual(sentAt(conversation), []);
    world.advance(500);
    guest.send({ ack: at(10) });
    assert.deepEqual(sentAt(conversation), []);
    assert.equal(world.stats.tcpRetransmits, 0);
  });
});

describe("wasm/tcp/recovery: probes", () => {
  test("T64: the last segment goes again after two round trips, no sooner", () => {
    const conversation = sending(4, PLAIN);
    const { guest, world } = conversation;
    sentAt(conversation);
    world.advance(RTT);
    guest.send({ ack: at(2) }); // the last two of a burst were lost
    world.advance(PROBE - 1000);
    assert.deepEqual(sentAt(conversation), []);
    world.advance(PROBE);
    assert.deepEqual(sentAt(conversation), [at(3)]);
    world.advance(RTT);
    guest.send({ ack: at(2), sack: [[at(3), at(4)]] }); // so the one before is missing
    assert.deepEqual(sentAt(conversation), [at(2)]);
    guest.send({ ack: at(4) });
    assert.equal(world.stats.tcpTailProbes, 1);
    assert.equal(world.stats.tcpTimeouts, 0);
  });

  test("T64: without SACK it is the first, and the answer names the next hole", () => {
    const conversation = sending(4, WITHOUT_SACK);
    const { guest, world } = conversation;
    sentAt(conversation);
    world.advance(PROBE + RTT);
    assert.deepEqual(sentAt(conversation), [at(0)]);
    world.advance(RTT);
    guest.send({ ack: at(2) });
    assert.deepEqual(sentAt(conversation), [at(2)]);
    guest.send({ ack: at(4) });
    assert.equal(world.stats.tcpTimeouts, 0);
  });

  test("T64: three probes at growing distances, then the timeout", () => {
    const conversation = sending(4, PLAIN);
    const { world } = conversation;
    sentAt(conversation);
    const times: number[] = [];
    const begin = world.now;
    while (world.stats.tcpTimeouts === 0) {
      world.advance(1000);
      if (sentAt(conversation).length > 0) times.push(world.now - begin);
    }
    assert.equal(times.length, 4);
    const gaps = times.map((time, i) => time - (times[i - 1] ?? 0));
    for (let i = 1; i < 3; i += 1) assert.ok((gaps[i] ?? 0) > 1.8 * (gaps[i - 1] ?? 0), `${gaps}`);
    assert.ok((gaps[3] ?? 0) >= TIMEOUT, `${gaps}`);
  });

  test("T64: a single segment, whose acknowledgment may be delayed, waits for the timeout", () => {
    const conversation = sending(1, PLAIN);
    const { world } = conversation;
    sentAt(conversation);
    world.advance(TIMEOUT - 1);
    assert.deepEqual(sentAt(conversation), []);
    world.advance(1);
    assert.deepEqual(sentAt(conversation), [at(0)]);
    assert.equal(world.stats.tcpTailProbes, 0);
  });

  for (const late of [true, false]) {
    test(`T64: a probe that was ${late ? "not " : ""}needed, as the echo tells`, () => {
      const conversation = sending(10, WITH_TIMESTAMPS);
      const { guest, world, socket } = conversation;
      sentAt(conversation);
      const before = windowOf(conversation);
      const { timestampEcho } = guest;
      world.advance(PROBE + RTT);
      assert.deepEqual(sentAt(conversation), [at(9)]);
      if (late) guest.timestampEcho = timestampEcho; // of what was sent first
      guest.send({ ack: at(10) });
      socket.push(pattern(MSS));
      const after = windowOf(conversation);
      assert.equal(after < before, !late, `${before} became ${after}`);
    });
  }
});

describe("wasm/tcp/recovery: timeouts", () => {
  /** Nothing is heard from the guest until the timeout. */
  function untilTimeout(conversation: Conversation): number[] {
    const { world } = conversation;
    let out: number[] = [];
    for (let i = 0; world.stats.tcpTimeouts === 0; i += 1) {
      assert.ok(i < 2000, "no timeout");
      sentAt(conversation);
      world.advance(1000);
      out = sentAt(conversation);
    }
    return out;
  }

  test("T21: what was reported before it is not sent again after it", () => {
    const conversation = sending(10, PLAIN);
    const { guest, world } = conversation;
    sentAt(conversation);
    world.advance(RTT);
    guest.send({ ack: at(0), sack: [[at(2), at(9)]] });
    const out = untilTimeout(conversation);
    assert.deepEqual(out, [at(0)]);
    guest.send({ ack: at(1), sack: [[at(2), at(9)]] });
    guest.send({ ack: at(9) });
    out.push(...sentAt(conversation));
    assert.deepEqual(out, [at(0), at(1), at(9)]);
  });

  test("T59: one that was not needed is taken back (RFC 3522)", () => {
    const conversation = sending(10, WITH_TIMESTAMPS);
    const { guest, world } = conversation;
    sentAt(conversation);
    const { timestampEcho } = guest;
    untilTimeout(conversation);
    assert.equal(windowOf(conversation), MSS);
    guest.timestampEcho = timestampEcho; // the guest was stopped, and what was sent first arrives
    guest.send({ ack: at(1) });
    assert.ok(windowOf(conversation) >= 10 * MSS);
    guest.send({ ack: at(10) });
    const again = sentAt(conversation);
    assert.deepEqual(again, []);
    assert.equal(world.stats.tcpTimeouts, 1);
  });
});
