/** How much goes out at once, how it grows, and how losses are repaired. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { pattern } from "../../support/packet.ts";
import { type Conversation, established, reach } from "../../support/tcp-guest.ts";

const MSS = 1460;
const SECOND = 1_000_000;
const WITHOUT_SACK = { options: { mss: MSS, windowScale: 7 } };

/** Relative sequence number of full segment `index` of the stream. */
function at(index: number): number {
  return 1 + index * MSS;
}

/** Relative sequence numbers of the data segments that wait. */
function sentAt({ guest, world }: Conversation): number[] {
  return world
    .take()
    .filter((frame) => frame.kind === "tcp")
    .filter((frame) => frame.payload.length > 0)
    .map((frame) => (frame.seq - guest.irs) | 0);
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => at(from + i));
}

/** An open connection whose host has sent full segments; those that went out are taken. */
function sending(segments: number, guest = {}): Conversation & { readonly first: number[] } {
  const conversation = established({ guest });
  conversation.socket.push(pattern(segments * MSS));
  return { ...conversation, first: sentAt(conversation) };
}

/** Nobody answers until the timeout: three probes, then all is taken for lost. */
function timeout(conversation: Conversation): void {
  const { world } = conversation;
  sentAt(conversation);
  for (let steps = 0; world.stats.tcpTimeouts === 0; steps += 1) {
    assert.ok(steps < 1000, "no timeout");
    sentAt(conversation);
    world.advance(1000);
  }
  assert.deepEqual(sentAt(conversation), [1]);
}

describe("wasm/tcp/congestion: window", () => {
  // RFC 6928: ten segments of the common size; 64 KiB where the RFC has 14,600 octets, as the path
  // is one local link.
  const initial: readonly [mss: number, mtu: number, octets: number][] = [
    [536, 1500, 5360],
    [1460, 1500, 14_600],
    [8960, 9000, 65_535],
    [65_480, 65_520, 130_960],
  ];
  for (const [mss, mtu, octets] of initial) {
    test(`T61: at first ${octets} octets of segments of ${mss}`, () => {
      const { guest, socket } = established({
        world: { mtu },
        guest: { options: { mss, windowScale: 7 } },
      });
      guest.send();
      socket.push(pattern(300_000));
      assert.equal(guest.takePayload().length, octets - (octets % mss));
    });
  }

  test("T61: slow start adds what is acknowledged", () => {
    const conversation = sending(100);
    const { guest } = conversation;
    assert.deepEqual(conversation.first, range(0, 10));
    guest.send({ ack: at(2) });
    assert.deepEqual(sentAt(conversation), range(10, 14));
    guest.send({ ack: at(14) });
    assert.deepEqual(sentAt(conversation), range(14, 38));
  });

  test("T61: after a timeout one segment, then slow start up to half of what was out", () => {
    const conversation = sending(100);
    const { guest } = conversation;
    timeout(conversation);
    guest.send({ ack: at(1) });
    assert.deepEqual(sentAt(conversation), range(1, 3));
    guest.send({ ack: at(3) });
    assert.deepEqual(sentAt(conversation), range(3, 7));
    guest.send({ ack: at(7) }); // the threshold, 5 segments, holds from here on
    const flight = sentAt(conversation).length;
    assert.ok(flight === 5 || flight === 6, `${flight} segments`);
  });

  test("T61: an acknowledgment of much at once does not jump over the threshold", () => {
    const conversation = sending(100);
    const { guest } = conversation;
    timeout(conversation);
    guest.send({ ack: at(10) }); // nine of ten had arrived
    assert.deepEqual(sentAt(conversation), range(10, 15));
  });

  test("T61: avoidance adds one segment a round trip", () => {
    const conversation = sending(400);
    const { guest } = conversation;
    timeout(conversation);
    guest.send({ ack: at(10) });
    let next = 15;
    assert.deepEqual(sentAt(conversation), range(10, next));
    for (let flight = 6; flight < 10; flight += 1) {
      guest.send({ ack: at(next) });
      const count = sentAt(conversation).length;
      assert.equal(count, flight);
      next += count;
    }
  });

  test("T61: a window that is not used does not grow", () => {
    const conversation = established();
    const { guest, socket } = conversation;
    for (let i = 0; i < 100; i += 1) {
      socket.push(pattern(MSS));
      assert.equal(sentAt(conversation).length, 1);
      guest.send({ ack: at(i + 1) });
    }
    socket.push(pattern(50 * MSS));
    assert.equal(sentAt(conversation).length, 10);
  });

  test("T63: after a pause of more than the timeout it starts from the initial window", () => {
    const conversation = sending(38);
    const { guest, socket, world } = conversation;
    guest.send({ ack: at(10) });
    guest.send({ ack: at(30) });
    guest.send({ ack: at(38) });
    sentAt(conversation);
    world.advance(SECOND);
    socket.push(pattern(100 * MSS));
    assert.deepEqual(sentAt(conversation), range(38, 48));
  });
});

describe("wasm/tcp/congestion: fast retransmit", () => {
  test("T62: the third duplicate sends the first segment again, not the second", () => {
    const conversation = sending(10);
    const { guest, world } = conversation;
    for (let i = 0; i < 2; i += 1) guest.send({ ack: 1 });
    assert.deepEqual(sentAt(conversation), []);
    guest.send({ ack: 1 });
    assert.deepEqual(sentAt(conversation), [1]);
    for (let i = 0; i < 20; i += 1) guest.send({ ack: 1 });
    assert.deepEqual(sentAt(conversation), []);
    assert.equal(world.stats.tcpFastRetransmits, 1);
  });

  const others: readonly [what: string, fields: object][] = [
    ["with data", { payload: "x" }],
    ["with another window each time", {}],
    ["with an older acknowledgment", { ack: 0 }],
  ];
  for (const [what, fields] of others) {
    test(`T62: no duplicate: a segment ${what}`, () => {
      const { guest, world } = sending(10);
      for (let i = 0; i < 6; i += 1) {
        guest.send({ ack: 1, window: what.includes("window") ? 1000 + i : 65535, ...fields });
      }
      assert.equal(world.stats.tcpFastRetransmits, 0);
    });
  }

  test("T62: no duplicate: nothing is out", () => {
    const { guest, world } = established();
    for (let i = 0; i < 6; i += 1) guest.send();
    assert.equal(world.stats.tcpFastRetransmits, 0);
    guest.expectNothing();
  });

  test("T62: seven tenths of the window, and what goes out follows what arrives (RFC 6937)", () => {
    const conversation = sending(100);
    const { guest } = conversation;
    let sent = 10;
    for (let i = 1; i < 10; i += 1) {
      guest.send({ ack: 1, sack: [[at(1), at(1 + i)]] });
      const out = sentAt(conversation);
      // Two new segments before the loss is sure (RFC 3042), then the hole, then seven for ten.
      if (i === 3) assert.deepEqual(out, [1]);
      else sent += out.length;
      assert.ok(out.length <= 2);
    }
    assert.ok(sent >= 14 && sent <= 16, `${sent} segments`);
    guest.send({ ack: at(sent) });
    assert.equal(sentAt(conversation).length, 7);
  });

  test("T62: without SACK each partial acknowledgment names the next hole", () => {
    const conversation = sending(200, WITHOUT_SACK);
    const { guest, world } = conversation;
    for (let i = 0; i < 3; i += 1) guest.send({ ack: 1 });
    const out = sentAt(conversation);
    assert.ok(out.includes(1));
    for (let hole = 1; hole < 10; hole += 1) {
      guest.send({ ack: at(hole) });
      out.push(...sentAt(conversation));
    }
    const again = out.filter((seq) => seq < at(10));
    assert.deepEqual(again, range(0, 10), "each once, in order");
    assert.ok(out.length - again.length <= 14, `${out.length - again.length} new segments`);
    assert.equal(world.stats.tcpFastRetransmits, 1);
  });

  test("T62: what duplicates added to the window is not kept by a partial acknowledgment", () => {
    const conversation = sending(200, WITHOUT_SACK);
    const { guest } = conversation;
    guest.send({ ack: at(10) });
    guest.send({ ack: at(30) });
    assert.equal(sentAt(conversation).length, 60); // 40 of them are out
    for (let i = 0; i < 38; i += 1) guest.send({ ack: at(30) });
    const sent = sentAt(conversation).length;
    assert.ok(sent <= 28, `${sent} segments`); // seven tenths of 40
    guest.send({ ack: at(69) }); // the last of the 40 was lost too
    const out = sentAt(conversation);
    assert.equal(out[0], at(69));
    assert.ok(out.length <= 3, `${out.length} segments`);
  });

  // A guest that drops all it has no memory for: one segment for each round trip took a minute.
  for (const what of ["SACK", "no SACK"] as const) {
    test(`T62: a guest that keeps nothing behind a hole, ${what}`, () => {
      const conversation = sending(200, what === "SACK" ? {} : WITHOUT_SACK);
      const { guest, world } = conversation;
      guest.send({ ack: at(10) });
      guest.send({ ack: at(30) });
      assert.deepEqual(sentAt(conversation), range(10, 70));
      for (let i = 0; i < 3; i += 1) guest.send({ ack: at(30) });
      let next = 30;
      let rounds = 0;
      for (; next < 70; rounds += 1) {
        assert.ok(rounds < 20, `only ${next} after ${rounds} round trips`);
        const frames = sentAt(conversation);
        world.advance(1000);
        for (const seq of frames) {
          if (seq === at(next)) next += 1;
          guest.send({ ack: at(next) });
        }
      }
      assert.ok(rounds <= 13, `${rounds} round trips`); // 40 segments
      assert.equal(world.stats.tcpTimeouts, 0);
    });
  }

  test("T62: a guest that reports what it holds is sent the holes only", () => {
    const conversation = sending(200);
    const { guest } = conversation;
    for (let i = 0; i < 3; i += 1) guest.send({ ack: 1, sack: [[at(2), at(3 + i)]] });
    const again = sentAt(conversation).filter((seq) => seq < at(10));
    guest.send({ ack: at(1), sack: [[at(2), at(10)]] });
    again.push(...sentAt(conversation).filter((seq) => seq < at(10)));
    assert.deepEqual(again, range(0, 2));
  });

  test("T62: not again for the same window of data", () => {
    const conversation = sending(10);
    const { guest, world } = conversation;
    timeout(conversation); // all goes again, so duplicates are sure to come
    for (let i = 0; i < 6; i += 1) guest.send({ ack: 1 });
    assert.equal(world.stats.tcpFastRetransmits, 0);
  });

  test("T62: in a half-closed connection too, on either side", () => {
    const half = reach("CLOSE_WAIT");
    half.socket.push(pattern(5 * MSS));
    assert.equal(sentAt(half).length, 5);
    for (let i = 0; i < 3; i += 1) half.guest.send({ ack: 1 });
    assert.deepEqual(sentAt(half), [1]);

    const ended = established();
    ended.socket.push(pattern(5 * MSS));
    ended.socket.end();
    assert.equal(sentAt(ended).length, 5);
    assert.equal(ended.guest.state, "FIN_WAIT_1");
    for (let i = 0; i < 3; i += 1) ended.guest.send({ ack: 1 });
    assert.deepEqual(sentAt(ended), [1]);
  });
});

describe("wasm/tcp/congestion: selective acknowledgment", () => {
  test("T62: only the holes go again, each once", () => {
    const conversation = sending(10);
    const { guest } = conversation;
    const sack = [
      [at(1), at(3)],
      [at(4), at(7)],
    ] as const;
    guest.send({ ack: 1, sack }); // five segments arrived: that is loss enough
    assert.deepEqual(sentAt(conversation), [at(0), at(3)]);
    for (let i = 0; i < 5; i += 1) guest.send({ ack: 1, sack });
    assert.deepEqual(sentAt(conversation), []);
  });

  test("T62: a hole of several segments is filled, and only it", () => {
    const conversation = sending(10);
    const { guest } = conversation;
    const out: number[] = [];
    for (let i = 0; i < 8; i += 1) {
      guest.send({ ack: 1, sack: [[at(4), at(10)]] });
      out.push(...sentAt(conversation));
    }
    assert.deepEqual(out, range(0, 4));
  });

  test("T21: what was reported stays in memory until it is acknowledged", () => {
    const { guest, world } = sending(10);
    const before = world.engine.chunkCount;
    guest.send({ ack: 1, sack: [[at(1), at(10)]] });
    assert.equal(world.engine.chunkCount, before);
    guest.send({ ack: at(10) });
    assert.equal(world.engine.chunkCount, 0);
  });

  test("T21: a guest that forgets what it reported gets it again", () => {
    const conversation = sending(10);
    const { guest, world } = conversation;
    guest.send({ ack: 1, sack: [[at(1), at(10)]] });
    sentAt(conversation);
    world.advance(2 * SECOND);
    guest.send({ ack: at(1) });
    const out = sentAt(conversation);
    assert.deepEqual(out.slice(-2), range(1, 3));
    guest.wanted = at(3);
    guest.send();
    assert.deepEqual(guest.receiveAll(), pattern(7 * MSS, 3 * MSS));
  });

  const nonsense: readonly [what: string, sack: readonly (readonly [number, number])[]][] = [
    ["of what was never sent", [[at(20), at(30)]]],
    ["beyond what was sent", [[at(5), at(11)]]],
    ["turned round", [[at(5), at(3)]]],
    ["empty", [[at(5), at(5)]]],
    ["below the acknowledgment", [[1 - MSS, 1]]],
    ["half the sequence space away", [[2 ** 31, 2 ** 31 + 5 * MSS]]],
  ];
  for (const [what, sack] of nonsense) {
    test(`T19: a block ${what} means nothing`, () => {
      const conversation = sending(10);
      conversation.guest.send({ ack: 1, sack });
      assert.deepEqual(sentAt(conversation), []);
      assert.equal(conversation.world.stats.tcpFastRetransmits, 0);
    });
  }

  test("T62: acknowledgments that were overtaken say nothing new", () => {
    const conversation = sending(10);
    const { guest, world } = conversation;
    guest.send({ ack: at(6) });
    sentAt(conversation);
    for (const i of [4, 3, 2]) guest.send({ ack: at(1), sack: [[at(i), at(i + 1)]] });
    assert.equal(world.stats.tcpFastRetransmits, 0);
  });

  test("T62: more ranges than are remembered are repaired all the same", () => {
    const conversation = sending(40);
    const { guest, world } = conversation;
    guest.send({ ack: at(10) });
    sentAt(conversation);
    for (let i = 29; i > 11; i -= 2) guest.send({ ack: at(10), sack: [[at(i), at(i + 1)]] });
    sentAt(conversation);
    guest.wanted = at(10);
    world.advance(SECOND);
    assert.deepEqual(guest.receiveAll(), pattern(30 * MSS, 10 * MSS));
  });
});
