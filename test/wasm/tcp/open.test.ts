/**
 * How connections begin, by state: CONNECTING (a SYN held while the host connects), SYN-RECEIVED,
 * SYN-SENT (a published port). Sources: RFC 9293 §3.5 and §3.10.7.3, RFC 6528, 4987, 5382.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EngineWorld } from "../../support/engine-harness.ts";
import { GATEWAY } from "../../support/engine-settings.ts";
import { ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT } from "../../support/fake-host.ts";
import { type ExpectedSegment, reach, TcpGuest } from "../../support/tcp-guest.ts";

const SECOND = 1_000_000;

const EACCES = 13;

/** When our SYN or SYN-ACK goes out again, seconds after the first; then we give up. */
const REPEATS = [1, 3, 7, 15, 31, 63, 123, 183];

const GIVE_UP = 243;

/** Not before its time and not later: a segment `at` microseconds after now. */
function expectAfter(guest: TcpGuest, at: number, wanted: ExpectedSegment): void {
  guest.world.advance(at - 1);
  guest.expectNothing();
  guest.world.advance(1);
  guest.expect(wanted);
  guest.expectNothing();
}

/** A guest whose SYN has been answered, with nothing sent since. */
function initialSequence(options: { seed?: number; port?: number; at?: number; peer?: string }) {
  const { seed = 1, at = 0, ...tuple } = options;
  const world = new EngineWorld({ seed });
  world.advance(at);
  const guest = new TcpGuest(world, tuple);
  guest.send({ flags: "S" });
  return guest.expect({ flags: "SA" }).seq;
}

describe("initial sequence number", () => {
  for (const [at, ticks] of [
    [4, 1],
    [4000, 1000],
    [60 * SECOND, 15_000_000],
  ] as const) {
    test(`T22: of one tuple it is ${ticks} higher after ${at} microseconds`, () => {
      assert.equal((initialSequence({ at }) - initialSequence({})) >>> 0, ticks);
    });
  }

  test("T22: those of different tuples have nothing to do with each other", () => {
    const world = new EngineWorld({ flowsMax: 1024 });
    const found = Array.from({ length: 64 }, (_, i) => {
      const guest = new TcpGuest(world, { port: 40000 + i });
      guest.send({ flags: "S" });
      return guest.expect({ flags: "SA" }).seq;
    });
    const steps = found.slice(1).map((seq, i) => (seq - (found[i] ?? 0)) >>> 0);
    assert.equal(new Set(steps).size, 63);
    // Of 64 fair draws from 256 values 57 differ on average.
    assert.equal(new Set(found.map((seq) => seq >>> 24)).size > 40, true);
    assert.equal(new Set(found.map((seq) => seq & 0xff)).size > 40, true);
  });

  test("T22: it depends on the peer, the port and the secret", () => {
    const tuples = [{}, { peer: "198.51.100.81" }, { port: 40001 }, { seed: 2 }];
    assert.equal(new Set(tuples.map((tuple) => initialSequence(tuple))).size, 4);
  });
});

describe("CONNECTING", () => {
  test("T33: SYN-ACK goes out when the host has connected, not before", () => {
    const { world, guest, socket } = reach("CONNECTING");
    world.advance(100 * SECOND);
    guest.expectNothing();
    socket.connected();
    guest.expect({ flags: "SA", seq: 0, ack: 1 });
    assert.equal(guest.state, "SYN_RECEIVED");
  });

  test("T33: a repeated SYN neither gets an answer nor a second socket", () => {
    const { world, guest } = reach("CONNECTING");
    const before = world.stats;
    guest.send({ flags: "S", seq: 0 });
    guest.send({ flags: "S", seq: 0 });
    guest.expectNothing();
    world.expectCounted(before, { dropTcpDuplicate: 2 });
    assert.equal(world.host.sockets.length, 1);
  });

  test("T33: acknowledgments and data are dropped silently", () => {
    const { world, guest } = reach("CONNECTING");
    const before = world.stats;
    guest.send({ flags: "A", seq: 1 });
    guest.send({ flags: "PA", seq: 1, payload: "early" });
    guest.send({ flags: "FA", seq: 1 });
    guest.expectNothing();
    world.expectCounted(before, { dropTcpWindow: 3 });
    assert.equal(guest.state, "CONNECTING");
  });

  for (const [seq, ends] of [
    [0, false],
    [1, true],
    [2, false],
  ] as const) {
    test(`T24: a reset at ${seq} ${ends ? "cancels the attempt" : "is ignored"}`, () => {
      const { world, guest, socket } = reach("CONNECTING");
      guest.send({ flags: "R", seq });
      guest.expectNothing();
      assert.equal(guest.state, ends ? "CLOSED" : "CONNECTING");
      assert.equal(socket.closed, ends ? "abort" : "no");
      world.checkBalance();
    });
  }

  test("T32: a host that never answers: silence, and the end after 190 s", () => {
    const { world, guest, socket } = reach("CONNECTING");
    world.advance(190 * SECOND - 1);
    assert.equal(guest.state, "CONNECTING");
    world.advance(1);
    guest.expectNothing();
    assert.equal(guest.state, "CLOSED");
    assert.equal(socket.closed, "abort");
    world.checkBalance();
  });
});

describe("CONNECTING, the host refuses", () => {
  for (const late of [false, true]) {
    const word = late ? "later" : "at once";
    /** A guest whose connection fails with this errno. */
    const failed = (errno: number): TcpGuest => {
      const guest = new TcpGuest(new EngineWorld());
      guest.world.host.connect = () => (late ? "pending" : { errno });
      guest.send({ flags: "S" });
      if (late) guest.socket.fail(errno);
      return guest;
    };

    test(`T32: refused ${word}: a reset that acknowledges the SYN`, () => {
      const guest = failed(ECONNREFUSED);
      guest.expect({ flags: "RA", seq: 0, ack: 1, length: 0 });
      guest.expectNothing();
      assert.equal(guest.state, "CLOSED");
      guest.world.checkBalance();
    });

    for (const [name, errno, code] of [
      ["network unreachable", ENETUNREACH, 0],
      ["host unreachable", EHOSTUNREACH, 1],
      ["timed out", ETIMEDOUT, 1],
      ["prohibited", EACCES, 13],
    ] as const) {
      test(`T32: ${name} ${word}: an ICMP error that quotes the SYN`, () => {
        const guest = failed(errno);
        const error = guest.world.expect("icmp", { type: 3, code, source: GATEWAY });
        const quote = new DataView(error.payload.buffer, error.payload.byteOffset);
        assert.equal(quote.getUint32(12), 0x0a00020f);
        assert.equal(quote.getUint16(20), guest.port);
        assert.equal(quote.getUint16(22), guest.peerPort);
        assert.equal(quote.getUint32(24), guest.iss);
        guest.expectNothing();
        assert.equal(guest.state, "CLOSED");
        guest.world.checkBalance();
      });
    }
  }
});

describe("SYN-RECEIVED", () => {
  test("T41: SYN-ACK is repeated for three minutes and more, then both sides are reset", () => {
    const { guest, socket } = reach("SYN_RECEIVED");
    let now = 0;
    for (const at of REPEATS) {
      expectAfter(guest, (at - now) * SECOND, { flags: "SA", seq: 0, ack: 1 });
      now = at;
    }
    expectAfter(guest, (GIVE_UP - now) * SECOND, { flags: "RA", seq: 1 });
    assert.equal(guest.state, "CLOSED");
    assert.equal(socket.closed, "abort");
    guest.world.checkBalance();
  });

  test("T38: a repeated SYN gets the SYN-ACK again", () => {
    const { guest } = reach("SYN_RECEIVED");
    guest.send({ flags: "S", seq: 0 });
    guest.expect({ flags: "SA", seq: 0, ack: 1 });
    guest.expectNothing();
    assert.equal(guest.state, "SYN_RECEIVED");
  });

  for (const ack of [0, 2, -1, 0x7fffffff]) {
    test(`T26: an acknowledgment of ${ack} gets a reset and changes nothing`, () => {
      const { guest } = reach("SYN_RECEIVED");
      guest.send({ ack });
      guest.expect({ flags: "R", seq: ack, length: 0 });
      assert.equal(guest.state, "SYN_RECEIVED");
      guest.send();
      assert.equal(guest.state, "ESTABLISHED");
    });
  }

  for (const [seq, what] of [
    [1, "forgotten"],
    [2, "challenged"],
    [0, "ignored"],
    [80000, "ignored"],
  ] as const) {
    test(`T24: a reset at ${seq}: the connection is ${what}`, () => {
      const { world, guest, socket } = reach("SYN_RECEIVED");
      guest.send({ flags: "R", seq });
      if (what === "challenged") guest.expect({ flags: "A", seq: 1, ack: 1 });
      guest.expectNothing();
      assert.equal(guest.state, what === "forgotten" ? "CLOSED" : "SYN_RECEIVED");
      assert.equal(socket.closed, what === "forgotten" ? "abort" : "no");
      world.checkBalance();
    });
  }
});

describe("SYN-RECEIVED, on the way to ESTABLISHED", () => {
  test("T33: octets of the host wait for the guest's acknowledgment", () => {
    const { guest, socket } = reach("SYN_RECEIVED");
    socket.push("banner");
    guest.expectNothing();
    guest.send();
    guest.expect({ flags: "PA", seq: 1, payload: "banner" });
  });

  test("T32: the host breaks before the handshake is over: the guest is reset", () => {
    const { guest, socket } = reach("SYN_RECEIVED");
    socket.fail(ECONNREFUSED);
    guest.expect({ flags: "RA", seq: 1, ack: 1 });
    assert.equal(guest.state, "CLOSED");
  });

  test("T38: the acknowledgment may bring data and FIN", () => {
    const { guest, socket } = reach("SYN_RECEIVED");
    guest.send({ flags: "FA", payload: "all" });
    guest.expect({ flags: "A", ack: 5 });
    assert.equal(guest.state, "CLOSE_WAIT");
    assert.equal(socket.text, "all");
    assert.equal(socket.shutDown, true);
  });

  test("T39: data of the SYN itself is not acknowledged, so it comes again", () => {
    const guest = new TcpGuest(new EngineWorld());
    guest.send({ flags: "S", payload: "early" });
    guest.expect({ flags: "SA", ack: 1 });
    guest.next = 1;
    guest.send({ payload: "early" });
    assert.equal(guest.socket.text, "early");
  });

  test("T41: after a lost SYN-ACK the first retransmission timeout is 3 s", () => {
    const { guest, socket } = reach("SYN_RECEIVED");
    expectAfter(guest, SECOND, { flags: "SA" });
    guest.send();
    socket.push("data");
    guest.expect({ seq: 1, payload: "data" });
    expectAfter(guest, 3 * SECOND, { seq: 1, payload: "data" });
  });
});
