/**
 * Open connections and none: which segments count, resets, blind attacks, silence. Sources: RFC
 * 9293 §3.8.3-3.8.4 and §3.10.7, RFC 5961, RFC 1122 §4.2.3.6, CVE-2016-5696, CVE-2019-11478.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EngineWorld } from "../../support/engine-harness.ts";
import { GUEST, PEER } from "../../support/engine-settings.ts";
import { ECONNRESET } from "../../support/fake-host.ts";
import { pattern, type TcpFields } from "../../support/packet.ts";
import { established, reach, type SegmentFields, TcpGuest } from "../../support/tcp-guest.ts";

const SECOND = 1_000_000;

const SYNCHRONIZED = [
  "ESTABLISHED",
  "FIN_WAIT_1",
  "FIN_WAIT_2",
  "CLOSE_WAIT",
  "CLOSING",
  "LAST_ACK",
] as const;

/** Window of our SYN-ACK, which holds until the first acknowledgment. */
const WINDOW = 65535;

describe("CLOSED", () => {
  const ports = { destination: PEER, sourcePort: 40000, destinationPort: 80 };
  const CASES: readonly (readonly [string, Partial<TcpFields>, number, Partial<TcpFields>])[] = [
    ["ACK", { flags: "A", seq: 100, ack: 200 }, 0, { flags: "R", seq: 200 }],
    ["data", { flags: "PA", seq: 100, ack: 200 }, 10, { flags: "R", seq: 200 }],
    ["SYN-ACK", { flags: "SA", seq: 100, ack: 200 }, 0, { flags: "R", seq: 200 }],
    ["FIN", { flags: "FA", seq: 100, ack: 0xffffffff }, 0, { flags: "R", seq: 0xffffffff }],
    ["FIN, no ACK", { flags: "F", seq: 100 }, 0, { flags: "RA", seq: 0, ack: 101 }],
    ["data and FIN, no ACK", { flags: "F", seq: 100 }, 10, { flags: "RA", seq: 0, ack: 111 }],
    ["FIN, no ACK, at the wrap", { flags: "F", seq: 0xffffffff }, 0, { flags: "RA", ack: 0 }],
  ];
  for (const [name, fields, length, wanted] of CASES) {
    test(`T25: ${name} for no connection: "${wanted.flags}"`, () => {
      const world = new EngineWorld();
      const before = world.stats;
      world.guest(world.tcp({ ...ports, flags: "A", seq: 0, ...fields }, pattern(length)));
      const reset = world.expect("tcp", { ...wanted, sourcePort: 80, destinationPort: 40000 });
      assert.equal(reset.source, PEER);
      assert.equal(reset.destination, GUEST);
      assert.equal(reset.payload.length, 0);
      world.expectNothing();
      world.expectCounted(before, { dropTcpNoFlow: 1, tcpResetSent: 1 });
    });
  }

  for (const flags of ["R", "RA"]) {
    test(`T25: "${flags}" for no connection gets no answer`, () => {
      const world = new EngineWorld();
      world.guest(world.tcp({ ...ports, flags, seq: 100, ack: 200 }));
      world.expectNothing();
    });
  }

  for (const flags of ["", "P", "SF", "SR", "FR", "SFRPAU", "U"]) {
    test(`T25: the impossible flags "${flags}" are dropped silently`, () => {
      const { world, guest } = established();
      const before = world.stats;
      world.guest(world.tcp({ ...ports, flags, seq: guest.iss + guest.next, ack: guest.irs + 1 }));
      world.guest(world.tcp({ ...ports, sourcePort: 1, flags, seq: 100, ack: 200 }));
      world.expectNothing();
      world.expectCounted(before, { dropTcpFlags: 2 });
      assert.equal(guest.state, "ESTABLISHED");
    });
  }
});

describe("RST", () => {
  for (const state of SYNCHRONIZED) {
    for (const [offset, what] of [
      [0, "reset"],
      [1, "challenge"],
      [WINDOW - 3, "challenge"],
      [-1, "nothing"],
      [-100000, "nothing"],
      [0x7fffffff, "nothing"],
    ] as const) {
      test(`T27: ${state}, RST at RCV.NXT + ${offset}: ${what}`, () => {
        const { world, guest } = reach(state);
        const before = world.stats;
        guest.send({ flags: "R", seq: guest.next + offset });
        if (what === "challenge") guest.expect({ flags: "A", ack: guest.next });
        guest.expectNothing();
        assert.equal(guest.state, what === "reset" ? "CLOSED" : state);
        const counted = world.stats.tcpResetReceived - before.tcpResetReceived;
        assert.equal(counted, what === "reset" ? 1 : 0);
        world.checkBalance();
      });
    }
  }

  for (const [offset, challenged] of [
    [WINDOW - 1, true],
    [WINDOW, false],
    [WINDOW + 1, false],
  ] as const) {
    test(`T27: RST ${offset - WINDOW} from the right edge is ${challenged ? "in" : "out"}`, () => {
      const { guest } = established();
      guest.send({ flags: "R", seq: guest.next + offset });
      if (challenged) guest.expect({ flags: "A" });
      guest.expectNothing();
      assert.equal(guest.state, "ESTABLISHED");
    });
  }

  test("T31: with data it is still a reset", () => {
    const { guest, socket } = established();
    guest.send({ flags: "R", payload: "because" });
    guest.expectNothing();
    assert.equal(guest.state, "CLOSED");
    assert.equal(socket.text, "");
    assert.equal(socket.closed, "abort");
  });

  test("T31: data that reaches into the window does not bring it in", () => {
    const { world, guest } = established();
    const before = world.stats;
    guest.send({ flags: "R", seq: -5, payload: "0123456789" });
    guest.expectNothing();
    world.expectCounted(before, { dropTcpRst: 1 });
    assert.equal(guest.state, "ESTABLISHED");
  });
});

describe("SYN", () => {
  for (const state of SYNCHRONIZED) {
    for (const flags of ["S", "SA"]) {
      test(`T28: ${state}, "${flags}" anywhere is challenged and changes nothing`, () => {
        const { world, guest } = reach(state);
        for (const offset of [0, 100, -1, -100, 100_000, 0x7fffffff]) {
          const before = world.stats.tcpChallengeAcks;
          world.guest(guest.frame({ flags, seq: guest.next + offset }));
          guest.expect({ flags: "A", ack: guest.next, length: 0 });
          guest.expectNothing();
          assert.equal(world.stats.tcpChallengeAcks, before + 1);
        }
        assert.equal(guest.state, state);
        // The answer lets a guest that really began anew clear the way.
        guest.send({ flags: "R" });
        assert.equal(guest.state, "CLOSED");
      });
    }
  }
});

describe("acknowledgments", () => {
  const narrow = { guest: { window: 1000, options: { mss: 1460 } } };

  for (const [offset, accepted] of [
    [0, true],
    [-1000, true],
    [-1001, false],
    [-0x70000000, false],
    [1, false],
    [0x70000000, false],
  ] as const) {
    const word = accepted ? "taken" : "answered by an ACK and dropped";
    test(`T29: a segment that acknowledges SND.UNA + ${offset} is ${word}`, () => {
      const { world, guest, socket } = established(narrow);
      const before = world.stats;
      guest.send({ ack: guest.wanted + offset, payload: "data" });
      world.advance(1000);
      guest.expect({ flags: "A", seq: 1, ack: accepted ? 5 : 1 });
      assert.equal(socket.text, accepted ? "data" : "");
      assert.equal(world.stats.dropTcpAck - before.dropTcpAck, accepted ? 0 : 1);
      assert.equal(guest.state, "ESTABLISHED");
    });
  }
});

describe("challenge acknowledgments", () => {
  test("T30: ten challenges a second, then silence until the next", () => {
    const { world, guest } = established();
    const probe = (): number => {
      for (let i = 0; i < 30; i += 1) guest.send({ flags: "R", seq: guest.next + 1 });
      return world.take().length;
    };
    assert.equal(probe(), 10);
    world.advance(SECOND - 1);
    assert.equal(probe(), 0);
    world.advance(1);
    assert.equal(probe(), 10);
  });

  for (const [name, fields] of [
    ["SYN", { flags: "S", seq: 5 }],
    ["old ACK", { ack: -0x70000000 }],
    ["early ACK", { ack: 100_000 }],
    ["old segment", { seq: -100_000 }],
  ] as const) {
    test(`T30: answers to ${name} are limited too, so that no two ends answer for ever`, () => {
      const { world, guest } = established();
      for (let i = 0; i < 30; i += 1) guest.send(fields);
      assert.equal(world.take().length, 10);
    });
  }

  test("T30: one connection's limit tells nothing about another's (CVE-2016-5696)", () => {
    const { world, guest } = established();
    const other = new TcpGuest(world, { port: 40001 }).open();
    for (let i = 0; i < 30; i += 1) guest.send({ flags: "R", seq: guest.next + 1 });
    world.take();
    for (let i = 0; i < 10; i += 1) other.send({ flags: "R", seq: other.next + 1 });
    assert.equal(world.take().length, 10);
  });

  test("T30: thousands of SACK ranges cost nothing (CVE-2019-11478)", () => {
    const { world, guest, socket } = established();
    socket.push(pattern(14600));
    guest.takePayload();
    const chunks = world.engine.chunkCount;
    for (let i = 0; i < 2000; i += 1) {
      const left = 2000 + ((i * 7) % 12000);
      guest.send({ ack: 1, sack: [[left, left + 3]] });
      world.take();
    }
    assert.equal(world.engine.chunkCount, chunks);
    guest.send();
    assert.equal(world.engine.chunkCount, 0);
  });
});

describe("acceptability", () => {
  const CASES: readonly (readonly [string, SegmentFields, number, string])[] = [
    ["no length, at RCV.NXT", { seq: 1 }, 0, ""],
    ["no length, last of the window", { seq: WINDOW }, 0, ""],
    ["no length, beyond the window", { seq: WINDOW + 2 }, 1, ""],
    ["no length, before the window", { seq: -9 }, 1, ""],
    ["no length, a keepalive probe", { seq: 0 }, 1, ""],
    ["length, before the window", { seq: -3, payload: "1234" }, 1, ""],
    ["length, a keepalive probe's octet", { seq: 0, payload: "?" }, 1, ""],
    ["length, across the left edge", { seq: -1, payload: "xxnew" }, 1, "new"],
    ["length, behind the window", { seq: WINDOW + 1, payload: "1234" }, 1, ""],
  ];
  for (const [name, fields, answers, delivered] of CASES) {
    test(`T39: window open, ${name}: ${answers === 0 ? "no answer" : "an ACK"}`, () => {
      const { world, guest, socket } = established();
      guest.send(fields);
      assert.equal(socket.text, delivered);
      assert.equal(world.frames.length, answers);
      if (answers > 0) guest.expect({ flags: "A", seq: 1, ack: 1 + delivered.length, length: 0 });
    });
  }

  test("T39: window open, length across the right edge: what fits is kept", () => {
    const { guest, socket } = established();
    guest.send({ seq: WINDOW - 1, payload: "0123456789" });
    guest.expect({ flags: "A", ack: 1, sack: [[WINDOW - 1, WINDOW + 1]] });
    assert.equal(socket.text, "");
  });

  for (const [name, fields, answered] of [
    ["no length, at RCV.NXT", { seq: 1001 }, false],
    ["no length, elsewhere", { seq: 0 }, true],
    ["length", { seq: 1, payload: pattern(1000) }, true],
    ["length, a reset", { flags: "R", seq: 1, payload: "x" }, false],
  ] as const) {
    test(`T39: window shut, ${name}: ${answered ? "an ACK" : "no answer"}`, () => {
      const { world, guest, socket } = established();
      socket.sendRoom = 0;
      guest.send({ payload: pattern(1000) });
      world.advance(SECOND);
      world.take();
      guest.send(fields);
      if (answered) guest.expect({ flags: "A", ack: 1, window: 0 });
      guest.expectNothing();
    });
  }
});

describe("resets of the host", () => {
  for (const state of ["ESTABLISHED", "FIN_WAIT_1", "FIN_WAIT_2", "CLOSE_WAIT"] as const) {
    test(`T34: ${state}, the host's connection breaks: the guest is reset`, () => {
      const { world, guest, socket } = reach(state);
      socket.fail(ECONNRESET);
      guest.expect({ flags: "RA", seq: guest.wanted, ack: guest.next });
      guest.expectNothing();
      assert.equal(guest.state, "CLOSED");
      assert.equal(socket.closed, "abort");
      world.checkBalance();
    });
  }
});
