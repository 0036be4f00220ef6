/**
 * Header fields and options as a connection uses them: checksum, data offset, MSS, window scale,
 * timestamps, SACK. Sources: RFC 9293 §3.1-3.2 and §3.7.1, RFC 7323, RFC 2018, RFC 6691.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EngineWorld, START } from "../../support/engine-harness.ts";
import { type Octets, pattern, type TcpFields, type TcpOptions } from "../../support/packet.ts";
import { established, TcpGuest } from "../../support/tcp-guest.ts";
import { VARIANTS } from "../../support/wasm.ts";

const DAY_US = 86_400_000_000;

/** A segment of the guest's connection with any field wrong. */
function spoiled(guest: TcpGuest, fields: Partial<TcpFields>, payload: Octets = ""): Uint8Array {
  return guest.world.tcp(
    {
      destination: guest.peer,
      sourcePort: guest.port,
      destinationPort: guest.peerPort,
      flags: "A",
      seq: (guest.iss + guest.next) >>> 0,
      ack: (guest.irs + guest.wanted) >>> 0,
      ...fields,
    },
    payload,
  );
}

/** The guest behind a published port, before it answers our SYN. */
function inbound(options: TcpOptions, window = 65535): TcpGuest {
  const world = new EngineWorld();
  const guest = new TcpGuest(world, { port: 80, peerPort: 50000, options, window });
  world.inboundTcp(guest.port, guest.peer, guest.peerPort);
  world.advance(0);
  return guest;
}

describe("header", () => {
  for (const variant of VARIANTS) {
    test(`T01: every octet that changes on the way costs the segment (${variant})`, () => {
      const { world, guest, socket } = established({ world: { variant } });
      const sound = guest.frame({ payload: "hello" });
      const before = world.stats;
      const places = Array.from({ length: sound.length - 38 }, (_, i) => 38 + i);
      const wanted = places.filter((at) => at !== 46); // 46: data offset, judged before the sum
      for (const at of wanted) {
        const frame = Uint8Array.from(sound);
        frame[at] = (frame[at] ?? 0) ^ 0x41;
        world.guest(frame);
      }
      world.expectNothing();
      world.expectCounted(before, { dropTcpChecksum: wanted.length });
      guest.send({ payload: "hello" });
      assert.equal(socket.text, "hello");
    });

    test(`T01: segments of all lengths carry a right checksum (${variant})`, () => {
      const { guest, socket } = established({ world: { variant } });
      for (const length of [1, 2, 3, 15, 16, 17, 63, 64, 65, 1459, 1460, 5000]) {
        socket.push(pattern(length));
        // The harness refuses a frame with a wrong sum.
        assert.deepEqual(guest.receiveAll(), pattern(length));
      }
    });
  }

  for (const dataOffset of [0, 1, 4, 6, 15]) {
    test(`T06: a data offset of ${dataOffset} in a segment of 20 octets is dropped`, () => {
      const { world, guest } = established();
      const before = world.stats;
      world.guest(spoiled(guest, { dataOffset, flags: "R" }));
      world.expectNothing();
      world.expectCounted(before, { dropTcpDataOffset: 1 });
      assert.equal(guest.state, "ESTABLISHED");
    });
  }
});

describe("maximum segment size", () => {
  test("T07: the MSS option counts in a SYN only", () => {
    const { guest, socket } = established();
    guest.send({ options: { mss: 100 } });
    socket.push(pattern(1460));
    guest.expect({ length: 1460 });
  });

  for (const mtu of [576, 1280, 1500, 9000, 65535]) {
    test(`T08: SYN and SYN-ACK announce the MTU ${mtu} less 40`, () => {
      const guest = new TcpGuest(new EngineWorld({ mtu }), { options: {} });
      guest.send({ flags: "S" });
      // Nothing else was offered, so nothing else is answered.
      guest.expect({ flags: "SA", options: { mss: mtu - 40 } });
      guest.send();
      guest.world.inboundTcp(443);
      guest.world.advance(0);
      assert.equal(guest.world.expect("tcp", { flags: "S" }).options.mss, mtu - 40);
    });
  }

  const SIZES: readonly (readonly [string, TcpOptions, boolean, number])[] = [
    ["T09: none", {}, false, 536],
    ["T09: none, timestamps", {}, true, 524],
    ["T10: 1460", { mss: 1460 }, false, 1460],
    ["T10: 1460, timestamps", { mss: 1460 }, true, 1448],
    ["T10: 1460, SACK without blocks to send", { mss: 1460, sackPermitted: true }, false, 1460],
    ["T10: 1000", { mss: 1000 }, false, 1000],
    ["T10: more than the path", { mss: 8960 }, false, 1460],
    ["T10: 65535, timestamps", { mss: 65535 }, true, 1448],
    ["T11: 64", { mss: 64 }, false, 64],
    ["T11: 63, CVE-2019-11479", { mss: 63 }, false, 64],
    ["T11: 48, CVE-2019-11477", { mss: 48, sackPermitted: true }, false, 64],
    ["T11: 48, timestamps", { mss: 48 }, true, 52],
    ["T11: 1", { mss: 1 }, false, 64],
    ["T11: 0", { mss: 0 }, false, 64],
  ];
  for (const [name, options, timestamps, size] of SIZES) {
    test(`${name}: segments have ${size} octets`, () => {
      const { guest, socket } = established({ guest: { options, timestamps } });
      socket.push(pattern(2 * size + 1));
      guest.expect({ length: size });
      guest.expect({ length: size });
      guest.send();
      guest.expect({ length: 1, flags: "PA" });
    });
  }

  test("Fast Open, MPTCP and ECN of any kind are left out, and the connection works", () => {
    const mptcp = [30, 12, 0, 0x81, 1, 2, 3, 4, 5, 6, 7, 8];
    const fastOpen = [34, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1];
    for (const raw of [mptcp, [34, 2, 1, 1], fastOpen]) {
      for (const flags of ["S", "SEC"]) {
        const guest = new TcpGuest(new EngineWorld());
        guest.send({ flags, options: { raw: Uint8Array.from(raw) } });
        guest.expect({ flags: "SA" });
        guest.send({ payload: "question" });
        assert.equal(Buffer.concat(guest.socket.streamParts).toString(), "question");
      }
    }
  });

  test("T11: a whole download works in the smallest segments", () => {
    const { world, guest, socket } = established({ guest: { options: { mss: 1 } } });
    const data = pattern(100_000);
    socket.push(data);
    socket.end();
    assert.deepEqual(guest.receiveAll(), data);
    assert.equal(guest.state, "FIN_WAIT_2");
    world.checkBalance();
  });
});

describe("window scale", () => {
  const SCALES: readonly (readonly [number | undefined, number | undefined, number])[] = [
    [undefined, undefined, 100],
    [0, 7, 100],
    [2, 7, 400],
    [7, 7, 12800],
  ];
  for (const [offered, answered, octets] of SCALES) {
    const shift = offered === undefined ? {} : { windowScale: offered };
    test(`T12: the guest offers ${offered}, a window field of 100 means ${octets}`, () => {
      const guest = new TcpGuest(new EngineWorld(), { options: { mss: 1280, ...shift } });
      guest.send({ flags: "S" });
      assert.equal(guest.expect({ flags: "SA" }).options.windowScale, answered);
      guest.send({ window: 100 });
      guest.socket.push(pattern(20000));
      assert.equal(guest.takePayload().length, octets);
    });

    test(`T12: inbound, the guest answers with ${offered}, 100 means ${octets}`, () => {
      const guest = inbound({ mss: 1280, ...shift }, 100);
      assert.equal(guest.expect({ flags: "S" }).options.windowScale, 7);
      guest.send({ flags: "SA" });
      const { window } = guest.expect({ flags: "A" });
      // Scaled or not: the first window is at least the one of the SYN.
      assert.equal(window < 65535 ? window >= 511 : offered === undefined, true);
      guest.send();
      guest.socket.push(pattern(20000));
      assert.equal(guest.takePayload().length, octets);
    });
  }

  test("T12: a window scale option after the SYN is ignored", () => {
    const { guest, socket } = established({ guest: { options: { mss: 1280, windowScale: 7 } } });
    guest.send({ window: 100, options: { windowScale: 10 } });
    socket.push(pattern(20000));
    assert.equal(guest.takePayload().length, 12800);
  });

  test("T13: the window field of our SYN-ACK and SYN is not scaled", () => {
    const guest = new TcpGuest(new EngineWorld());
    guest.send({ flags: "S" });
    guest.expect({ flags: "SA", window: 65535 });
    inbound({}).expect({ flags: "S", window: 65535 });
  });

  test("T13: the window field of the guest's SYN-ACK is not scaled", () => {
    const guest = inbound({ mss: 1460, windowScale: 7 }, 1000);
    guest.expect({ flags: "S" });
    guest.socket.push(pattern(5000));
    guest.send({ flags: "SA" });
    assert.equal(guest.takePayload().length, 1000);
  });

  for (const windowScale of [13, 14, 15, 255]) {
    const octets = windowScale === 13 ? 8192 : 16384;
    test(`T14: with a shift of ${windowScale} a window field of 1 means ${octets}`, () => {
      // "log" of RFC 7323 §2.3 is departed from: the engine has no log.
      const { guest, socket } = established({ guest: { options: { mss: 1024, windowScale } } });
      socket.push(pattern(60000));
      assert.equal(guest.takePayload().length, 10240);
      guest.send({ window: 1 });
      assert.equal(guest.takePayload().length, octets);
      guest.expectNothing();
    });
  }
});

describe("timestamps", () => {
  const TIMESTAMPS = { guest: { timestamps: true } };

  test("T15: every segment but a reset carries them", () => {
    const { world, guest, socket } = established(TIMESTAMPS);
    guest.send({ payload: "a" });
    world.advance(1000);
    socket.push(pattern(3000));
    world.run();
    guest.send({ seq: guest.next + 5, payload: "late" });
    guest.send({ flags: "FA" });
    socket.end();
    world.advance(5_000_000);
    assert.equal(world.frames.length > 6, true);
    for (const frame of world.take()) {
      assert.equal(frame.kind === "tcp" && frame.options.timestamps !== undefined, true);
    }
  });

  test("T15: segments without them are taken all the same, as Linux does", () => {
    const { world, guest, socket } = established(TIMESTAMPS);
    const before = world.stats;
    world.guest(spoiled(guest, { flags: "PA" }, "data"));
    guest.next += 4;
    world.advance(1000);
    guest.expect({ flags: "A", ack: 5 });
    assert.equal(socket.text, "data");
    // They say nothing about time: what is echoed is the last that was there.
    const echoed = guest.timestampOffset + Math.floor(START / 1000);
    guest.send({ payload: "more", timestamps: [echoed - 1, guest.timestampEcho] });
    world.expectCounted(before, { dropTcpPaws: 1, tcpBytesToHost: 4 });
    guest.expect({ flags: "A", ack: 5 });
    guest.next -= 4;
    world.guest(spoiled(guest, { flags: "R" }));
    assert.equal(guest.state, "CLOSED");
  });

  test("T15: a guest whose every segment after the handshake lacks them gets through", () => {
    const guest = new TcpGuest(new EngineWorld(), TIMESTAMPS.guest);
    guest.send({ flags: "S" });
    guest.expect({ flags: "SA" });
    const { world } = guest;
    world.guest(spoiled(guest, { flags: "A" }));
    world.guest(spoiled(guest, { flags: "PA" }, "request"));
    guest.next += 7;
    guest.socket.push("answer");
    guest.expect({ payload: "answer" });
    world.guest(spoiled(guest, { flags: "FA" }));
    assert.equal(guest.state, "CLOSE_WAIT");
    assert.equal(guest.socket.text, "request");
  });

  test("T16: TSecr is 0 in our SYN, the guest's TSval in our SYN-ACK", () => {
    const [, echo] = inbound({}).expect({ flags: "S" }).options.timestamps ?? [];
    assert.equal(echo, 0);
    const guest = new TcpGuest(new EngineWorld(), TIMESTAMPS.guest);
    guest.send({ flags: "S", timestamps: [77, 0] });
    assert.equal(guest.expect({ flags: "SA" }).options.timestamps?.[1], 77);
  });

  test("T16: what was not negotiated is not echoed", () => {
    const { guest } = established();
    guest.send({ payload: "a", seq: guest.next + 1, timestamps: [5, 6] });
    assert.equal(guest.expect({ flags: "A" }).options.timestamps, undefined);
  });

  test("T16: a reset may carry them, even old ones", () => {
    const { guest } = established(TIMESTAMPS);
    guest.send({ flags: "R", timestamps: [1, 0] });
    assert.equal(guest.state, "CLOSED");
  });

  test("T17: a segment beyond a gap does not change what is echoed", () => {
    const { world, guest } = established(TIMESTAMPS);
    const old = Math.floor(world.now / 1000) + guest.timestampOffset;
    guest.send({ seq: 11, payload: "later", timestamps: [old + 500, guest.timestampEcho] });
    assert.equal(guest.expect({ flags: "A" }).options.timestamps?.[1], old);
    guest.send({ seq: 1, payload: "0123456789", timestamps: [old + 700, guest.timestampEcho] });
    assert.equal(guest.expect({ flags: "A", ack: 16 }).options.timestamps?.[1], old + 700);
  });

  test("T17: of segments acknowledged together the first one's is echoed", () => {
    const { world, guest } = established(TIMESTAMPS);
    const old = Math.floor(world.now / 1000) + guest.timestampOffset;
    guest.sendBatch([
      { payload: pattern(1448), timestamps: [old + 10, guest.timestampEcho] },
      { seq: 1449, payload: pattern(1448), timestamps: [old + 20, guest.timestampEcho] },
    ]);
    assert.equal(guest.expect({ flags: "A", ack: 2897 }).options.timestamps?.[1], old + 10);
  });
});

describe("old duplicates by timestamp", () => {
  const wide = { world: { tcpIdleSeconds: 40 * 86400 }, guest: { timestamps: true } };

  for (const [age, delivered] of [
    [1, false],
    [0x7fffffff, false],
    [0, true],
    [-1, true],
  ] as const) {
    const outcome = delivered ? "taken" : "answered, dropped";
    test(`T18: a TSval ${age} below the newest is ${outcome}`, () => {
      const { world, guest, socket } = established(wide);
      const newest = Math.floor(world.now / 1000) + guest.timestampOffset;
      const before = world.stats;
      guest.send({ payload: "data", timestamps: [(newest - age) >>> 0, guest.timestampEcho] });
      world.advance(1000);
      guest.expect({ flags: "A", ack: delivered ? 5 : 1 });
      assert.equal(world.stats.dropTcpPaws - before.dropTcpPaws, delivered ? 0 : 1);
      assert.equal(socket.text, delivered ? "data" : "");
      assert.equal(guest.state, "ESTABLISHED");
    });
  }

  test("T18: the comparison goes across the wrap of the clock", () => {
    const { world, guest, socket } = established(wide);
    const echo = guest.timestampEcho;
    for (const [payload, value] of [
      ["a", 0x7fffffff],
      ["b", 0xfffffff0],
      ["c", 5],
      ["d", 0xfffffff1],
    ] as const) {
      guest.send({ payload, timestamps: [value, echo] });
      world.advance(1000); // a delayed acknowledgment is what TS.Recent follows
    }
    assert.equal(socket.text, "abc");
  });

  test("T18: the newest one expires after 24 days of silence, not before", () => {
    const { world, guest, socket } = established(wide);
    const old = [1000, guest.timestampEcho] as const;
    world.advance(24 * DAY_US);
    guest.send({ seq: 1, payload: "x", timestamps: old });
    guest.expect({ flags: "A", ack: 1 });
    guest.next = 1;
    world.advance(1);
    guest.send({ payload: "y", timestamps: old });
    assert.equal(socket.text, "y");
  });
});
