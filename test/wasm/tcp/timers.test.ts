/** Round trips, retransmission, keepalive and idle, just before, at and after each deadline. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { pattern } from "../../support/packet.ts";
import { established, reach } from "../../support/tcp-guest.ts";

const MSS = 1460;
const SECOND = 1_000_000;
const FLOOR = 200_000;
const CEILING = 60 * SECOND;

type Conversation = ReturnType<typeof established>;

/** One segment to the guest, acknowledged after this many microseconds. */
function roundTrip({ guest, socket, world }: Conversation, microseconds: number): void {
  socket.push("x");
  guest.expect({ payload: "x" });
  world.advance(microseconds);
  guest.send();
  guest.expectNothing();
}

/** Checks that a lost segment comes again after exactly this long. */
function expectTimeout({ guest, socket, world }: Conversation, microseconds: number): void {
  socket.push("lost");
  const { seq } = guest.expect({ payload: "lost" });
  world.advance(microseconds - 1);
  guest.expectNothing();
  world.advance(1);
  assert.equal(guest.expect({ payload: "lost" }).seq, seq);
}

/** A connection from outside whose handshake took so long: the first sample. */
function opened(microseconds: number): Conversation {
  const conversation = reach("SYN_SENT");
  const { guest, world } = conversation;
  world.advance(microseconds);
  guest.send({ flags: "SA" });
  guest.expect({ flags: "A" });
  return conversation;
}

/** RFC 6298 §2 with a clock of one microsecond. */
function estimate(samples: readonly number[]): number {
  let smoothed = 0;
  let variance = 0;
  samples.forEach((sample, i) => {
    if (i === 0) {
      smoothed = sample;
      variance = Math.floor(sample / 2);
      return;
    }
    variance = Math.floor((3 * variance + Math.abs(smoothed - sample)) / 4);
    smoothed = Math.floor((7 * smoothed + sample) / 8);
  });
  const timeout = smoothed + Math.max(4 * variance, 1000);
  return Math.min(Math.max(timeout, FLOOR), CEILING);
}

describe("wasm/tcp/timers: retransmission timeout", () => {
  test("T57: a second before there is a sample", () => {
    const { guest, world } = reach("SYN_RECEIVED");
    world.advance(SECOND - 1);
    guest.expectNothing();
    world.advance(1);
    guest.expect({ flags: "SA" });
  });

  test("T57: the guest's handshake is a sample, too", () => {
    const conversation = reach("SYN_RECEIVED");
    conversation.world.advance(300_000);
    conversation.guest.send();
    expectTimeout(conversation, estimate([300_000]));
  });

  // The floor departs from the second of RFC 6298 §2.4: the guest is on the same machine.
  const tables: readonly (readonly number[])[] = [
    [100_000],
    [300_000],
    [1],
    [50],
    [300_000, 300_000, 300_000],
    [300_000, 100_000],
    [100_000, 290_000, 200_000, 50_000],
    [900_000, 1000, 1000, 1000, 1000, 1000, 1000, 1000],
    [1000, 190_000],
    [500_000, 500_000, 500_000, 500_000, 500_000, 500_000, 500_000, 500_000, 500_000],
  ];
  for (const samples of tables) {
    test(`T57, T58: after round trips of ${samples.join(", ")} microseconds`, () => {
      const [first = 0, ...others] = samples;
      const conversation = opened(first);
      for (const sample of others) roundTrip(conversation, sample);
      expectTimeout(conversation, estimate(samples));
    });
  }

  test("T58: at least 200 milliseconds, at most a minute", () => {
    assert.equal(estimate([50]), FLOOR);
    const conversation = established();
    conversation.socket.push("lost");
    conversation.guest.expect();
    const { guest, world } = conversation;
    const floors = [1, 2, 4, 8, 16, 32, 64, 128].map((wait) => wait * FLOOR);
    for (const [i, wait] of floors.entries()) {
      world.advance(wait - 1);
      guest.expectNothing();
      world.advance(1);
      guest.expect({ seq: 1, payload: "lost" });
      assert.equal(world.stats.tcpTimeouts, i + 1);
    }
    for (let i = 0; i < 2; i += 1) world.advance(CEILING / 2 - 1);
    assert.deepEqual(world.stats.tcpTimeouts, floors.length + 1);
  });

  test("T60: three seconds after a SYN-ACK that had to be sent again", () => {
    const { world, guest, socket } = reach("SYN_RECEIVED");
    world.advance(SECOND);
    guest.expect({ flags: "SA" });
    guest.send();
    expectTimeout({ world, guest, socket }, 3 * SECOND);
  });

  test("T60: three seconds after a SYN that had to be sent again", () => {
    const { world, guest, socket } = reach("SYN_SENT");
    world.advance(SECOND);
    guest.expect({ flags: "S" });
    guest.send({ flags: "SA" });
    guest.expect({ flags: "A" });
    expectTimeout({ world, guest, socket }, 3 * SECOND);
  });

  test("T56: a segment sent twice is not timed (Karn)", () => {
    const conversation = opened(100_000);
    const { guest, world } = conversation;
    const timeout = estimate([100_000]);
    expectTimeout(conversation, timeout);
    world.advance(5000);
    guest.send(); // for which of the two nobody knows: what was backed off stays
    expectTimeout(conversation, 2 * timeout);
  });

  test("T56: nor is one that was resent fast", () => {
    const conversation = opened(100_000);
    const { guest, socket, world } = conversation;
    socket.push(pattern(4 * MSS));
    world.take();
    world.advance(10);
    for (let i = 0; i < 4; i += 1) guest.send({ ack: 1 }); // the first has another window than SYN
    guest.expect({ seq: 1 });
    guest.send({ ack: 1 + 4 * MSS });
    expectTimeout(conversation, estimate([100_000]));
  });

  test("T56: the next new segment is timed again", () => {
    const conversation = established();
    const { guest } = conversation;
    expectTimeout(conversation, FLOOR);
    guest.send();
    roundTrip(conversation, 300_000); // not before the timeout that was backed off
    expectTimeout(conversation, estimate([1, 300_000]));
  });
});

describe("wasm/tcp/timers: when the retransmission timer runs", () => {
  test("T59: it starts with data and stops when all are acknowledged", () => {
    const conversation = established();
    const { guest, world } = conversation;
    roundTrip(conversation, 100);
    world.advance(60 * SECOND);
    guest.expectNothing();
    assert.equal(world.stats.tcpTimeouts, 0);
  });

  test("T59: it starts over with each acknowledgment of something new", () => {
    const { guest, socket, world } = opened(300_000);
    socket.push(pattern(MSS + 10));
    world.take();
    world.advance(300_000);
    guest.send({ ack: 1 + MSS });
    const timeout = estimate([300_000, 300_000]);
    world.advance(timeout - 1);
    guest.expectNothing();
    world.advance(1);
    guest.expect({ seq: 1 + MSS, length: 10 });
    assert.equal(world.stats.tcpTimeouts, 1);
  });

  test("T59: further data do not start it over, nor do duplicate acknowledgments", () => {
    const { guest, socket, world } = established();
    socket.push("one");
    guest.expect();
    world.advance(150_000);
    socket.push("two");
    guest.expect();
    guest.send({ ack: 1 });
    world.advance(50_000 - 1);
    guest.expectNothing();
    world.advance(1);
    guest.expect({ seq: 1, payload: "onetwo" });
  });

  test("T59: it doubles with each expiry, and what is sent begins at the first octet", () => {
    const { guest, socket, world } = established();
    socket.push(pattern(MSS));
    world.take();
    for (const wait of [1, 2, 4]) {
      world.advance(wait * FLOOR - 1);
      guest.expectNothing();
      world.advance(1);
      guest.expect({ seq: 1, length: MSS });
      guest.expectNothing();
    }
    guest.send({ ack: 1 + MSS });
    guest.expectNothing();
  });

  test("T59: timestamps measure round trips of what was sent again (RFC 7323 §4)", () => {
    const { guest, socket, world } = established({ guest: { timestamps: true } });
    socket.push("lost");
    guest.expect();
    for (const wait of [1, 2, 4]) world.advance(wait * FLOOR);
    assert.equal(world.take().length, 3);
    world.advance(5000);
    guest.timestampEcho += 7 * 200; // of the last of them
    guest.send({ ack: 5 });
    socket.push("more");
    guest.expect();
    world.advance(FLOOR);
    assert.equal(world.take().length, 1, "no timeout is left from before");
  });

  test("T41: data nobody acknowledges end the connection as late as with Linux, both sides", () => {
    const { guest, socket, world } = established();
    socket.push("lost");
    world.advance(924 * SECOND);
    assert.equal(guest.state, "ESTABLISHED");
    world.advance(60 * SECOND);
    assert.equal(guest.state, "CLOSED");
    assert.equal(socket.closed, "abort");
    assert.equal(world.engine.chunkCount, 0);
    assert.ok(world.take().some((frame) => frame.kind === "tcp" && frame.flags.includes("R")));
  });

  test("T41: a shut window that nobody answers for ends it as late", () => {
    const { guest, socket, world } = established();
    guest.send({ window: 0 });
    socket.push("waits");
    world.advance(924 * SECOND);
    assert.equal(guest.state, "ESTABLISHED");
    world.advance(60 * SECOND);
    assert.equal(guest.state, "CLOSED");
  });
});

describe("wasm/tcp/timers: silence", () => {
  const IDLE = 7440 * SECOND;

  test("T65, N12: no question by default before two hours and four minutes", () => {
    const { guest, world } = established();
    world.advance(IDLE - 1);
    guest.expectNothing();
    world.advance(1);
    guest.expect({ flags: "A", seq: 0, length: 0 });
    assert.equal(guest.state, "ESTABLISHED");
  });

  test("T65: no question while data are on their way: these are question enough", () => {
    const { guest, socket, world } = established({ world: { keepaliveSeconds: 30 } });
    socket.push("x");
    world.advance(800 * SECOND);
    const frames = world.take();
    assert.ok(frames.every((frame) => frame.kind === "tcp" && frame.payload.length === 1));
    assert.equal(guest.state, "ESTABLISHED");
  });

  test("T65: with keepalive the guest is asked after that time, and every 75 seconds", () => {
    const { guest, world } = established({ world: { keepaliveSeconds: 30 } });
    world.advance(30 * SECOND - 1);
    guest.expectNothing();
    world.advance(1);
    guest.expect({ flags: "A", seq: 0, length: 0 });
    world.advance(75 * SECOND - 1);
    guest.expectNothing();
    world.advance(1);
    guest.expect({ flags: "A", seq: 0, length: 0 });
  });

  test("T65: an answer ends the asking until it is silent again", () => {
    const { guest, world } = established({ world: { keepaliveSeconds: 30 } });
    for (let i = 0; i < 20; i += 1) {
      world.advance(30 * SECOND);
      guest.expect({ flags: "A", seq: 0 });
      guest.send();
      guest.expectNothing();
      world.advance(45 * SECOND); // the time of the next question is not taken back
    }
    assert.equal(guest.state, "ESTABLISHED");
  });

  test("T65: lost questions are no death, nine in a row are", () => {
    const { guest, world } = established({ world: { keepaliveSeconds: 30 } });
    world.advance(30 * SECOND + 8 * 75 * SECOND);
    assert.equal(world.take().length, 9);
    guest.send();
    world.advance(10 * 75 * SECOND - 1);
    assert.equal(guest.state, "ESTABLISHED");
    world.advance(1);
    assert.equal(guest.state, "CLOSED");
  });

  test("T65: a configured idle time holds", () => {
    const { guest, socket, world } = established({ world: { tcpIdleSeconds: 40_000 } });
    world.advance(40_000 * SECOND - 1);
    guest.expectNothing();
    world.advance(1);
    guest.expect({ flags: "A", seq: 0 });
    assert.equal(socket.keepalive, 32_767, "the kernel takes no more");
  });

  test("T36: half-closed connections last for four minutes (RFC 5382 REQ-5)", () => {
    for (const state of ["CLOSE_WAIT", "FIN_WAIT_2"] as const) {
      const { guest, world } = reach(state);
      world.advance(240 * SECOND - 1);
      assert.equal(guest.state, state);
      world.advance(65_536); // progress is measured in ticks
      assert.equal(guest.state, "CLOSED");
    }
  });
});
