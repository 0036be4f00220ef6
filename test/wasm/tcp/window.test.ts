/** Both windows: what we advertise to the guest, and what it advertises to us. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { LINK_RX_TSO } from "../../../wasm/abi.ts";
import type { TcpFrame } from "../../support/frame.ts";
import { pattern } from "../../support/packet.ts";
import { established, TcpGuest } from "../../support/tcp-guest.ts";
import { segments } from "../../support/tcp-transfer.ts";

const MSS = 1460;
const RTO = 200_000;
const SECOND = 1_000_000;
/** Shift the engine offers. */
const SCALE = 128;

describe("wasm/tcp/window: what is advertised", () => {
  // Three quarters of the link's queue in full segments, shared by the flows that send.
  for (const [linkQueue, packets] of [
    [8, 6],
    [100, 75],
    [500, 375],
  ] as const) {
    test(`T53: a link queue of ${linkQueue} frames bounds the window`, () => {
      const { guest } = established({ world: { linkQueue } });
      guest.sendBatch(segments(pattern(60_000), MSS));
      const { window } = guest.expect({ ack: 60_001 });
      const wanted = Math.max(packets * MSS, 5535); // the SYN had promised 65,535
      assert.equal(window, Math.ceil(wanted / SCALE));
    });
  }

  test("T53: a guest with offload frames is bounded by memory only", () => {
    const offload = { linkFlags: LINK_RX_TSO, vnetSize: 12 } as const;
    const { guest } = established({ world: { ...offload, linkQueue: 8, chunksMax: 1024 } });
    guest.send({ payload: pattern(MSS) });
    assert.equal(guest.expect({ ack: 1 + MSS }).window, 4194304 / SCALE);
  });

  test("T53: a guest that does not scale gets at most 65,535", () => {
    const { guest } = established({ guest: { options: { mss: MSS } } });
    guest.send({ payload: pattern(MSS) });
    guest.expect({ ack: 1 + MSS, window: 65535 });
  });

  test("T49: more flows that send get less each, but nobody's edge moves left", () => {
    const { guest, world } = established({ world: { linkQueue: 100 } });
    guest.send({ payload: pattern(MSS) });
    const first = guest.expect({ ack: 1 + MSS }).window * SCALE + 1 + MSS;
    for (let i = 1; i < 10; i += 1) {
      const other = new TcpGuest(world, { port: 41000 + i }).open();
      other.send({ payload: pattern(MSS) });
      world.take();
    }
    guest.send({ payload: pattern(MSS) });
    const then = guest.expect({ ack: 1 + 2 * MSS }).window * SCALE + 1 + 2 * MSS;
    assert.ok(then >= first, `${then} after ${first}`);
  });

  test("T47: a ceiling that came down is no reason to acknowledge every octet", () => {
    const { guest, world } = established({ world: { linkQueue: 100 } });
    guest.send({ payload: pattern(MSS) });
    guest.expect({ ack: 1 + MSS });
    for (let i = 1; i < 10; i += 1) {
      const other = new TcpGuest(world, { port: 41000 + i }).open();
      other.send({ payload: pattern(MSS) });
      world.take();
    }
    guest.send({ payload: "x" });
    guest.expectNothing();
    world.advance(500);
    guest.expect({ ack: 2 + MSS });
  });

  // Edges that stand still leave windows below a segment; taking those back would be worse
  // (SHLD-14).
  test("T53: the right edge moves by a segment at least", () => {
    const { guest, world } = established({ world: { linkQueue: 100 } });
    let edge = 65536;
    for (let sent = 0; sent < 300_000; sent += 700) {
      guest.send({ payload: pattern(700) });
      world.advance(500);
      const { ack, window } = guest.expect();
      const now = ((ack - guest.iss) | 0) + window * SCALE;
      assert.ok(now - edge < SCALE || now - edge >= MSS, `moved by ${now - edge}`);
      assert.ok(now >= edge, `moved by ${now - edge}`);
      edge = now;
    }
  });
});

describe("wasm/tcp/window: a host that takes nothing", () => {
  test("T49: the edge stands; after a second the window shows zero, until then not", () => {
    for (const [wait, shut] of [
      [SECOND - 1, false],
      [SECOND, true],
      [SECOND + 1, true],
    ] as const) {
      const { guest, socket, world } = established();
      socket.sendRoom = 0;
      guest.send({ payload: pattern(MSS) });
      world.advance(wait);
      guest.expectNothing();
      guest.send({ seq: 1, payload: pattern(MSS) });
      guest.expect({ flags: "A", ack: 1, window: shut ? 0 : 512 });
    }
  });

  test("T49: the window opens as soon as the host takes something", () => {
    const { guest, socket, world } = established();
    socket.sendRoom = 0;
    guest.send({ payload: pattern(MSS) });
    world.advance(2 * SECOND);
    guest.send({ seq: 1, payload: pattern(MSS) });
    guest.expect({ flags: "A", ack: 1, window: 0 });
    socket.room(Number.POSITIVE_INFINITY);
    const { window } = guest.expect({ flags: "A", ack: 1 + MSS });
    assert.ok(window * SCALE > 65535);
  });

  test("T47: few octets the host takes late are acknowledged, though nothing else happens", () => {
    const { guest, socket, world } = established();
    socket.sendRoom = 0;
    guest.send({ payload: "hello" });
    world.advance(2 * SECOND);
    guest.send({ seq: 1, payload: "hello" });
    guest.expect({ flags: "A", ack: 1, window: 0 });
    socket.room(3);
    world.advance(500);
    guest.expect({ flags: "A", ack: 4 });
    socket.room(3);
    world.advance(500);
    assert.ok(guest.expect({ flags: "A", ack: 6 }).window > 0);
    assert.equal(socket.text, "hello");
  });

  test("T44: every probe of the guest is answered, for ever", () => {
    const { guest, socket, world } = established();
    socket.sendRoom = 0;
    guest.send({ payload: pattern(MSS) });
    world.advance(SECOND);
    for (let i = 0; i < 200; i += 1) {
      world.advance(60 * SECOND);
      guest.send({ seq: 0 });
      guest.expect({ flags: "A", ack: 1, window: 0 });
    }
    assert.equal(guest.state, "ESTABLISHED");
  });
});

describe("wasm/tcp/window: a guest that shrinks its window", () => {
  // A Linux guest sends its FIN again (a tail loss probe) with a smaller sequence number than its
  // last segment had, and a newer acknowledgment: by WL1 alone the old, larger window would stay.
  test("T50: a newer acknowledgment brings its window, whatever its sequence number", () => {
    const { guest, socket } = established();
    socket.push(pattern(100_000));
    const first = guest.takePayload().length;
    guest.send({ seq: 101, ack: 1, payload: "later" });
    guest.expect({ ack: 1 });
    guest.send({ seq: 1, ack: 1 + first, window: Math.ceil((3 * MSS) / SCALE) });
    assert.equal(guest.takePayload().length, 3 * MSS);
    guest.expectNothing();
  });

  test("T50: nothing new goes out, what fits is sent again", () => {
    const { guest, socket, world } = established();
    socket.push(pattern(4 * MSS));
    world.take();
    guest.send({ ack: 1, window: 12 }); // 1,536 octets: one segment
    socket.push(pattern(4 * MSS));
    guest.expectNothing();
    world.advance(RTO);
    for (const frame of world.take()) {
      const { seq, payload } = frame as TcpFrame;
      assert.ok(((seq - guest.irs) | 0) + payload.length <= 1 + 1536, "beyond the window");
    }
    assert.ok(world.stats.tcpRetransmits > 0);
  });

  test("T50: to zero with data on the way: the engine asks and gives up nothing", () => {
    const { guest, socket, world } = established();
    socket.push(pattern(4 * MSS));
    world.take();
    guest.send({ ack: 1, window: 0 });
    world.advance(RTO - 1);
    guest.expectNothing();
    world.advance(10_000); // the time that it took to see that no probe was to be sent
    guest.expect({ flags: "A", seq: 0, length: 0 });
    for (let i = 0; i < 50; i += 1) {
      world.advance(60 * SECOND);
      const asked = world.take();
      assert.ok(asked.length > 0, "no question in a minute");
      assert.ok(asked.every((frame) => frame.kind === "tcp" && frame.payload.length === 0));
      guest.send({ ack: 1, window: 0 });
    }
    assert.equal(world.stats.tcpFastRetransmits, 0);
    guest.send({ ack: 1, window: 512 });
    assert.deepEqual(guest.receiveAll(), pattern(4 * MSS));
    assert.equal(world.engine.chunkCount, 0);
  });

  test("T50: to less than a segment with data on the way: it is used after a while", () => {
    const { guest, socket, world } = established();
    socket.push(pattern(2 * MSS));
    world.take();
    guest.send({ ack: 1, window: 5 }); // 640 octets
    for (let i = 0; i < 20; i += 1) {
      world.advance(3 * SECOND);
      for (const frame of world.take()) {
        assert.ok(frame.kind === "tcp" && frame.payload.length <= 640, "beyond the window");
      }
      guest.send({ ack: 1, window: 5 });
    }
    assert.equal(guest.state, "ESTABLISHED");
    assert.ok(world.stats.tcpRetransmits > 0);
  });

  test("T50: to zero in an acknowledgment of all: nothing is taken from the host", () => {
    const { guest, socket, world } = established();
    socket.push(pattern(MSS));
    guest.expect({ length: MSS });
    guest.send({ window: 0 });
    socket.push("more");
    guest.expectNothing();
    assert.equal(world.engine.chunkCount, 0);
    guest.send({ window: 512 });
    guest.expect({ flags: "PA", payload: "more" });
  });

  test("T50: to zero with our FIN on the way: the FIN comes again", () => {
    const { guest, socket, world } = established();
    socket.end();
    guest.expect({ flags: "FA", seq: 1 });
    guest.send({ ack: 1, window: 0 });
    world.advance(RTO);
    guest.expect({ flags: "FA", seq: 1 });
  });
});

describe("wasm/tcp/window: a window told with an old sequence number", () => {
  test("on a segment sent again it counts, as its acknowledgment does", () => {
    const { guest, socket, world } = established({
      guest: { options: { mss: MSS }, window: 3000 },
    });
    socket.push(pattern(2 * MSS));
    guest.expect({ seq: 1, length: MSS });
    guest.expect({ seq: 1 + MSS, length: MSS });
    guest.send({ seq: 101, payload: pattern(100, 100), ack: 1 });
    guest.expect({ ack: 1 });
    // The reader was slow: all has come, but only 80 octets of room are left.
    guest.send({ seq: 1, payload: pattern(100), ack: 1 + 2 * MSS, window: 80 });
    guest.expect({ ack: 201 });
    socket.push(pattern(1000, 2 * MSS));
    world.advance(5 * RTO);
    const lengths = world.take().map((frame) => (frame.kind === "tcp" ? frame.payload.length : 0));
    assert.ok(Math.max(0, ...lengths) <= 80, lengths.join(" "));
  });
});

describe("wasm/tcp/window: a guest whose window is zero", () => {
  /** The guest has taken a segment and shut its window; the host has more. */
  function shut(): ReturnType<typeof established> {
    const conversation = established();
    const { guest, socket } = conversation;
    socket.push(pattern(MSS));
    guest.expect({ length: MSS });
    guest.send({ window: 0 });
    socket.push("more");
    guest.expectNothing();
    return conversation;
  }

  test("T52: the first question comes after the retransmission time, the next ever later", () => {
    const { guest, world } = shut();
    world.advance(RTO - 1);
    guest.expectNothing();
    world.advance(1);
    guest.expect({ flags: "A", seq: MSS, length: 0 });
    for (let wait = 2 * RTO; wait <= 64 * RTO; wait *= 2) {
      guest.send({ window: 0 });
      world.advance(wait - 1);
      guest.expectNothing();
      world.advance(1);
      guest.expect({ flags: "A", seq: MSS, length: 0 });
    }
  });

  test("T51: a guest that answers is asked for ever, a minute apart at most", () => {
    const { guest, world } = shut();
    for (let i = 0; i < 180; i += 1) {
      world.advance(60 * SECOND);
      assert.ok(world.take().length > 0);
      guest.send({ window: 0 });
    }
    assert.equal(guest.state, "ESTABLISHED");
    guest.send({ window: 512 });
    guest.expect({ payload: "more" });
  });

  test("T51: one that does not answer is given up after a quarter of an hour", () => {
    const { guest, socket, world } = shut();
    world.advance(900 * SECOND);
    assert.equal(guest.state, "ESTABLISHED");
    world.advance(120 * SECOND);
    assert.equal(guest.state, "CLOSED");
    assert.equal(socket.closed, "abort");
    assert.equal(world.engine.chunkCount, 0);
  });

  test("T51: the window that opens in answer to a question is used at once", () => {
    const { guest, world } = shut();
    world.advance(RTO);
    guest.expect({ seq: MSS });
    guest.send({ window: 512 });
    guest.expect({ flags: "PA", seq: 1 + MSS, payload: "more" });
    guest.send();
    world.advance(600 * SECOND);
    guest.expectNothing();
  });

  test("T51: a host that had nothing more is no reason to give up", () => {
    const { guest, socket, world } = established({ guest: { window: 0 } });
    guest.send({ window: 8 });
    socket.push(pattern(1024));
    guest.expect({ length: 1024 });
    guest.send({ window: 0 }); // all taken: whether there is more is not known yet
    world.advance(RTO);
    guest.expect({ seq: 1024, length: 0 });
    guest.send({ window: 512 });
    world.advance(600 * SECOND);
    assert.equal(guest.state, "ESTABLISHED");
    guest.expectNothing();
    socket.push("later");
    guest.expect({ payload: "later" });
  });

  // Whether the host's stream goes on or has ended shows only when it is read.
  test("T51: the host's end of stream waits for the window too", () => {
    const { guest, socket } = established({ guest: { window: 0 } });
    guest.send({ window: 0 });
    socket.end();
    guest.expectNothing();
    guest.send({ window: 512 });
    guest.expect({ flags: "FA", seq: 1 });
  });
});
