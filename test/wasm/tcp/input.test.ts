/** Segments from the guest once the connection stands: order, trimming, acknowledging, urgent. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { EngineWorld } from "../../support/engine-harness.ts";
import { GUEST, PEER } from "../../support/engine-settings.ts";
import { PROTOCOL_TCP, pattern, tcp } from "../../support/packet.ts";
import { established, reach, type SegmentFields, TcpGuest } from "../../support/tcp-guest.ts";
import { conversationBeforeWrap, segments } from "../../support/tcp-transfer.ts";

const MSS = 1460;
const ACK_DELAY = 500;
/** Octets the guest may send before it hears of a larger window: the SYN's field is not scaled. */
const FIRST_WINDOW = 65535;

/** A connection whose guest has heard of the window: news of that are never put off. */
function warm(): ReturnType<typeof established> {
  const conversation = established();
  conversation.guest.send({ payload: pattern(MSS) });
  conversation.guest.expect({ flags: "A", ack: 1 + MSS });
  return conversation;
}

/** The guest's segments of a pattern, from its first octet on. */
function fill(guest: TcpGuest, length: number): void {
  guest.sendBatch(segments(pattern(length), MSS));
}

describe("wasm/tcp/input: sequence numbers across the wrap", () => {
  for (const iss of [0xffffffff, 0xfffffff0, 0xffff0000, 0x7fffff00, 0]) {
    test(`T43: upload from initial sequence number ${iss}`, () => {
      const { guest, socket, world } = established({ guest: { iss } });
      fill(guest, 40_000);
      assert.deepEqual(socket.stream, pattern(40_000));
      guest.expect({ flags: "A", ack: 40_001 });
      guest.send({ flags: "FA" });
      guest.expect({ flags: "A", ack: 40_002 });
      assert.equal(guest.state, "CLOSE_WAIT");
      world.checkBalance();
    });

    test(`T43: out of order from initial sequence number ${iss}`, () => {
      const { guest, socket } = established({ guest: { iss } });
      for (const at of [2000, 1000, 3000]) {
        guest.send({ seq: 1 + at, payload: pattern(1000, at) });
      }
      guest.send({ seq: 1, payload: pattern(1000) });
      assert.deepEqual(socket.stream, pattern(4000));
    });
  }

  for (const before of [1, 2, 700, 1460, 20_000]) {
    test(`T43: download that wraps after ${before} octets`, () => {
      const { guest, socket, world } = conversationBeforeWrap(before);
      assert.equal((guest.irs + before) >>> 0, 0);
      socket.push(pattern(60_000));
      assert.deepEqual(guest.receiveAll(), pattern(60_000));
      assert.equal(world.engine.chunkCount, 0);
    });

    test(`T43: retransmission over a wrap after ${before} octets`, () => {
      const { guest, socket, world } = conversationBeforeWrap(before);
      socket.push(pattern(14_600));
      world.take();
      world.advance(1_000_000);
      assert.deepEqual(guest.receiveAll(), pattern(14_600));
    });
  }
});

describe("wasm/tcp/input: acknowledging", () => {
  test("T46: a batch is acknowledged once, when all of it has been handled", () => {
    const { guest } = established();
    fill(guest, 8 * MSS);
    guest.expect({ flags: "A", seq: 1, ack: 1 + 8 * MSS });
    guest.expectNothing();
  });

  test("T47: a full segment is acknowledged at once", () => {
    const { guest } = established();
    guest.send({ payload: pattern(MSS) });
    guest.expect({ flags: "A", ack: 1 + MSS });
  });

  test("T47: less waits half a millisecond for a reply to carry it", () => {
    const { guest, world } = warm();
    guest.send({ payload: "x" });
    world.advance(ACK_DELAY - 1);
    guest.expectNothing();
    world.advance(1);
    guest.expect({ flags: "A", ack: 2 + MSS });
    world.advance(1_000_000);
    guest.expectNothing();
  });

  test("T47: small segments that add up to a full one are acknowledged at once", () => {
    const { guest } = warm();
    guest.send({ payload: pattern(MSS - 1) });
    guest.expectNothing();
    guest.send({ payload: "x" });
    guest.expect({ flags: "A", ack: 1 + 2 * MSS });
  });

  test("T47: the reply carries the acknowledgment", () => {
    const { guest, socket, world } = warm();
    guest.send({ payload: "ping" });
    socket.push("pong");
    guest.expect({ flags: "PA", ack: 5 + MSS, payload: "pong" });
    world.advance(ACK_DELAY);
    guest.expectNothing();
  });

  test("T47: where four replies in a row carried it, it waits 40 ms; then 0.5 ms again", () => {
    const { guest, socket, world } = warm();
    let asked = 1 + MSS;
    const ask = (): void => {
      guest.send({ payload: "ping" });
      asked += 4;
    };
    for (let i = 0; i < 4; i += 1) {
      ask();
      world.advance(ACK_DELAY - 1);
      guest.expectNothing();
      socket.push("pong");
      guest.expect({ flags: "PA", ack: asked, payload: "pong" });
    }
    ask();
    world.advance(40_000 - 1);
    guest.expectNothing();
    world.advance(1);
    guest.expect({ flags: "A", ack: asked });
    ask();
    world.advance(ACK_DELAY - 1);
    guest.expectNothing();
    world.advance(1);
    guest.expect({ flags: "A", ack: asked });
  });

  test("T48: out of order is acknowledged at once, so is what fills the gap", () => {
    const { guest } = established();
    guest.send({ seq: 101, payload: "x" });
    guest.expect({ flags: "A", ack: 1, sack: [[101, 102]] });
    guest.send({ seq: 1, payload: pattern(100) });
    guest.expect({ flags: "A", ack: 102, sack: [] });
  });

  test("T48: without SACK each of many behind a gap, though they come at once", () => {
    const { guest } = established({ guest: { options: { mss: MSS, windowScale: 7 } } });
    const behind = [0, 2, 3, 4, 5].map((at) => ({ seq: 1 + at * MSS, payload: pattern(MSS) }));
    guest.sendBatch(behind);
    for (let i = 0; i < 5; i += 1) guest.expect({ flags: "A", ack: 1 + MSS });
    guest.expectNothing();
    guest.send({ seq: 1 + 6 * MSS, payload: pattern(MSS) });
    guest.expect({ flags: "A", ack: 1 + MSS });
    guest.send({ seq: 1 + MSS, payload: pattern(MSS) });
    guest.expect({ flags: "A", ack: 1 + 7 * MSS });
    guest.expectNothing();
  });

  test("T48: with SACK one report tells of all that came at once", () => {
    const { guest } = established();
    guest.sendBatch([2, 3, 4].map((at) => ({ seq: 1 + at * MSS, payload: pattern(MSS) })));
    guest.expect({ flags: "A", ack: 1, sack: [[1 + 2 * MSS, 1 + 5 * MSS]] });
    guest.expectNothing();
  });

  test("T48: what came before is acknowledged again at once", () => {
    const { guest, socket, world } = established();
    guest.send({ payload: "hello" });
    world.advance(ACK_DELAY);
    guest.expect({ ack: 6 });
    guest.send({ seq: 1, payload: "hello" });
    guest.expect({ flags: "A", ack: 6 });
    assert.equal(socket.text, "hello");
  });
});

describe("wasm/tcp/input: trimming", () => {
  const cases: readonly [what: string, at: number, length: number, taken: number][] = [
    ["all known", 1, 10, 10],
    ["known front", 6, 10, 15],
    ["known front by all but one", 1, 11, 11],
    ["beyond the window's edge", 11, 20, 30],
  ];
  for (const [what, seq, length, taken] of cases) {
    test(`T39: a segment with ${what}`, () => {
      const { guest, socket } = established();
      guest.send({ payload: pattern(10) });
      guest.send({ seq, payload: pattern(length, seq - 1) });
      assert.deepEqual(socket.stream, pattern(taken));
    });
  }

  test("T39: what lies beyond the window is cut off and comes again", () => {
    const { guest, socket, world } = established();
    socket.sendRoom = 0;
    fill(guest, 60_000);
    guest.sendBatch(segments(pattern(10_000, 60_000), MSS, 60_001));
    const before = world.stats;
    guest.send({ seq: 2 + FIRST_WINDOW, payload: "beyond" }); // the field counts in 128 octets
    assert.equal(world.stats.dropTcpWindow - before.dropTcpWindow, 1);
    socket.room(Number.POSITIVE_INFINITY);
    world.advance(ACK_DELAY);
    assert.deepEqual(socket.stream, pattern(FIRST_WINDOW));
  });
});

describe("wasm/tcp/input: zero window", () => {
  /** The host takes nothing; the guest has used its window and been shown zero. */
  function shut(): ReturnType<typeof established> {
    const conversation = established();
    const { guest, socket, world } = conversation;
    socket.sendRoom = 0;
    fill(guest, FIRST_WINDOW);
    world.advance(1_000_000);
    guest.send({ seq: 1, payload: pattern(MSS) });
    guest.expect({ flags: "A", ack: 1, window: 0 });
    return conversation;
  }

  test("T44: an acknowledgment counts", () => {
    const { guest, socket, world } = shut();
    socket.push("answer");
    guest.expect({ payload: "answer" });
    guest.send();
    world.advance(10_000_000);
    assert.equal(world.stats.tcpTimeouts, 0);
  });

  test("T44: so does that of a probe with an octet beyond the window", () => {
    const { guest, socket, world } = shut();
    socket.push("answer");
    guest.expect({ payload: "answer" });
    guest.send({ payload: "p" });
    guest.expect({ flags: "A", ack: 1, window: 0 });
    world.advance(10_000_000);
    assert.equal(world.stats.tcpTimeouts, 0);
  });

  test("T44: probes with an octet are no duplicate acknowledgments", () => {
    const { guest, socket, world } = shut();
    socket.push("answer");
    for (let i = 0; i < 4; i += 1) guest.send({ seq: 1 + FIRST_WINDOW, ack: 1, payload: "p" });
    assert.equal(world.stats.tcpFastRetransmits, 0);
  });

  test("T44: a reset counts", () => {
    const { guest, socket } = shut();
    guest.send({ flags: "R" });
    assert.equal(guest.state, "CLOSED");
    assert.equal(socket.closed, "abort");
  });

  test("T44: urgent data are refused like others", () => {
    const { guest, socket, world } = shut();
    guest.send({ flags: "AU", seq: 1 + FIRST_WINDOW, payload: "u", urgent: 1 });
    guest.expect({ flags: "A", ack: 1, window: 0 });
    socket.room(Number.POSITIVE_INFINITY);
    world.run();
    assert.equal(socket.stream.length, FIRST_WINDOW);
  });
});

describe("wasm/tcp/input: CVE-2026-9539 class: urgent data are ordinary data", () => {
  const pointers = [0, 1, 4, 5, 6, 1000, 65535];
  for (const urgent of pointers) {
    test(`T66: pointer ${urgent} with data`, () => {
      const { guest, socket } = established();
      guest.send({ flags: "AU", payload: "hello", urgent });
      guest.send({ payload: " world" });
      assert.equal(socket.text, "hello world");
    });

    test(`T66: pointer ${urgent} without data, out of order, before known data`, () => {
      const { guest, socket } = established();
      guest.send({ flags: "AU", urgent });
      guest.send({ flags: "AU", seq: 6, payload: " world", urgent });
      guest.send({ flags: "AU", seq: 1, payload: "hello", urgent });
      guest.send({ flags: "AU", seq: 1, payload: "hello world!", urgent });
      assert.equal(socket.text, "hello world!");
    });

    test(`T66: pointer ${urgent} without the URG flag, and when the host takes nothing`, () => {
      const { guest, socket, world } = established();
      socket.sendRoom = 2;
      guest.send({ payload: "hello", urgent });
      guest.send({ flags: "AU", payload: " world", urgent });
      assert.equal(socket.text, "he");
      socket.room(100);
      world.run();
      assert.equal(socket.text, "hello world");
    });
  }

  test("T66: any length, a whole batch", () => {
    const { guest, socket } = established();
    const batch = segments(pattern(20_000), MSS).map(
      (segment): SegmentFields => ({ ...segment, flags: "AU", urgent: 65535 }),
    );
    guest.sendBatch(batch);
    assert.deepEqual(socket.stream, pattern(20_000));
  });
});

describe("wasm/tcp/input: SYN nobody may answer", () => {
  function syn(world: EngineWorld, source: string, destination: string): Uint8Array {
    const fields = { source, destination, sourcePort: 40000, destinationPort: 80 };
    const segment = tcp({ ...fields, seq: 1, flags: "S" });
    return world.ip({ source, destination, protocol: PROTOCOL_TCP }, segment);
  }
  const destinations = ["255.255.255.255", "10.0.2.255", "224.0.0.1", "239.255.255.250", "0.0.0.0"];
  for (const destination of destinations) {
    test(`T70: to ${destination}`, () => {
      const { world } = reach("ESTABLISHED", { guest: { port: 1 } });
      const [before, sockets] = [world.stats, world.host.sockets.length];
      world.guest(syn(world, GUEST, destination));
      world.expectNothing();
      assert.equal(world.host.sockets.length, sockets);
      world.expectCounted(before, { dropIpDestination: 1 });
    });
  }
  const sources = [
    "224.0.0.5",
    "255.255.255.255",
    "10.0.2.255",
    "10.0.2.0",
    "0.0.0.0",
    "0.1.2.3",
    "127.0.0.1",
    "10.0.2.2",
    "10.0.2.3",
    PEER,
  ];
  for (const source of sources) {
    test(`T70: from ${source}`, () => {
      const { world } = reach("ESTABLISHED", { guest: { port: 1 } });
      const before = world.stats;
      world.guest(syn(world, source, PEER));
      world.expectNothing();
      world.expectCounted(before, { dropIpSource: 1 });
    });
  }
});

describe("wasm/tcp/input: one stream out of many segments", () => {
  test("T45: segments of one octet, each twice, backwards", () => {
    const { guest, socket } = established();
    const content = pattern(30);
    const batch = Array.from(content, (octet, i) => {
      return { seq: 1 + i, payload: Uint8Array.of(octet) };
    });
    guest.sendBatch(batch.toReversed().flatMap((segment) => [segment, segment]));
    assert.deepEqual(socket.stream, content);
  });

  test("T45: two flows in one batch are not mixed", () => {
    const { guest, socket, world } = established();
    const other = new TcpGuest(world, { port: 40001, peerPort: 81 }).open();
    world.guest(
      ...segments(pattern(8000), MSS).flatMap((segment) => [
        guest.frame(segment),
        other.frame({ ...segment, payload: negative(segment.payload) }),
      ]),
    );
    assert.deepEqual(socket.stream, pattern(8000));
    assert.deepEqual(other.socket.stream, negative(pattern(8000)));
  });
});

function negative(octets: Uint8Array): Uint8Array {
  return octets.map((octet) => ~octet);
}
