/**
 * Connections that the host opens, from SYN-SENT on, and floods of half-open ones.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EngineWorld } from "../../support/engine-harness.ts";
import { GATEWAY, GUEST, GUEST_MAC, PEER } from "../../support/engine-settings.ts";
import { pattern } from "../../support/packet.ts";
import { type ExpectedSegment, established, reach, TcpGuest } from "../../support/tcp-guest.ts";

const SECOND = 1_000_000;

/** When our SYN or SYN-ACK goes out again, seconds after the first; then we give up. */
const REPEATS = [1, 3, 7, 15, 31, 63, 123, 183];

const GIVE_UP = 243;

/** The same for a connection from outside, whose client waits. */
const GIVE_UP_ARRIVAL = 31;

/** Not before its time and not later: a segment `at` microseconds after now. */
function expectAfter(guest: TcpGuest, at: number, wanted: ExpectedSegment): void {
  guest.world.advance(at - 1);
  guest.expectNothing();
  guest.world.advance(1);
  guest.expect(wanted);
  guest.expectNothing();
}

/** SYNs to `count` different ports, as many as fit in a batch at a time. */
function flood(world: EngineWorld, count: number): void {
  const ports = { sourcePort: 1024, destinationPort: 0 };
  const template = world.tcp({ destination: PEER, ...ports, flags: "S", seq: 0 });
  const sum = new DataView(template.buffer).getUint16(50);
  for (let first = 0; first < count; first += 64) {
    const frames = Array.from({ length: Math.min(64, count - first) }, (_, i) => {
      const port = 1 + ((first + i) % 50000);
      const more = Math.floor((first + i) / 50000);
      const frame = template.slice();
      const view = new DataView(frame.buffer);
      view.setUint16(34, ports.sourcePort + more);
      view.setUint16(36, port);
      view.setUint16(50, (sum - port - more + 0xffff) % 0xffff); // RFC 1624
      return frame;
    });
    world.guest(...frames);
    world.frames.length = 0;
    world.trace.length = 0;
  }
}

describe("SYN-SENT", () => {
  test("T23: the guest's SYN-ACK opens, ours is the last acknowledgment", () => {
    const { guest, socket } = reach("SYN_SENT");
    guest.send({ flags: "SA" });
    guest.expect({ flags: "A", seq: 1, ack: 1, length: 0 });
    assert.equal(guest.state, "ESTABLISHED");
    socket.push("request");
    guest.expect({ seq: 1, payload: "request" });
  });

  test("T41: SYN is repeated for half a minute, then the client is reset", () => {
    const { guest, socket } = reach("SYN_SENT");
    let now = 0;
    for (const at of REPEATS.filter((each) => each < GIVE_UP_ARRIVAL)) {
      expectAfter(guest, (at - now) * SECOND, { flags: "S", seq: 0 });
      now = at;
    }
    expectAfter(guest, (GIVE_UP_ARRIVAL - now) * SECOND, { flags: "RA", seq: 1 });
    assert.equal(guest.state, "CLOSED");
    assert.equal(socket.closed, "abort");
    guest.world.checkBalance();
  });
});

describe("SYN-SENT, the SYNs cross", () => {
  for (const simultaneous of ["SYN-ACK", "ACK"]) {
    test(`T23, N10: SYNs cross, the guest goes on with ${simultaneous}`, () => {
      const { guest, socket } = reach("SYN_SENT");
      guest.send({ flags: "S" });
      guest.expect({ flags: "SA", seq: 0, ack: 1 });
      assert.equal(guest.state, "SYN_RECEIVED");
      if (simultaneous === "ACK") guest.send();
      else guest.send({ flags: "SA", seq: 0 });
      assert.equal(guest.state, "ESTABLISHED");
      guest.world.take();
      guest.send({ payload: "hello" });
      assert.equal(socket.text, "hello");
      guest.world.take();
      socket.push("world");
      guest.expect({ seq: 1, ack: 6, payload: "world" });
    });
  }

  test("T23: SYNs cross, our SYN-ACK is lost and repeated", () => {
    const { guest } = reach("SYN_SENT");
    guest.send({ flags: "S" });
    guest.expect({ flags: "SA", seq: 0, ack: 1 });
    expectAfter(guest, SECOND, { flags: "SA", seq: 0, ack: 1 });
  });

  test("T24: SYNs cross, a reset then reports the refusal to the client", () => {
    const { guest, socket } = reach("SYN_SENT");
    guest.send({ flags: "S" });
    guest.expect({ flags: "SA" });
    guest.send({ flags: "R", seq: 1 });
    assert.equal(guest.state, "CLOSED");
    assert.equal(socket.closed, "abort");
  });
});

describe("SYN-SENT, what is refused", () => {
  for (const [flags, ack, reset] of [
    ["A", 0, true],
    ["A", 2, true],
    ["SA", 0, true],
    ["SA", 2, true],
    ["FA", 2, true],
    ["RA", 0, false],
    ["RA", 2, false],
    ["R", 1, false],
    ["A", 1, false],
    ["FA", 1, false],
  ] as const) {
    test(`T26: ${flags} with ack ${ack} gets ${reset ? "a reset" : "nothing"}`, () => {
      const { guest, socket } = reach("SYN_SENT");
      guest.send({ flags, ack });
      if (reset) guest.expect({ flags: "R", seq: ack, length: 0 });
      guest.expectNothing();
      assert.equal(guest.state, "SYN_SENT");
      assert.equal(socket.closed, "no");
    });
  }

  test("T26: a reset with the right acknowledgment refuses", () => {
    const { world, guest, socket } = reach("SYN_SENT");
    guest.send({ flags: "RA", ack: 1 });
    guest.expectNothing();
    assert.equal(guest.state, "CLOSED");
    assert.equal(socket.closed, "abort");
    world.checkBalance();
  });

  test("T41: while the guest's MAC is unknown, ARP goes out in place of SYN", () => {
    const world = new EngineWorld({ guestMac: new Uint8Array(6) });
    world.inboundTcp(80);
    world.advance(0);
    world.expect("arp", { operation: 1, targetAddress: GUEST });
    const request = { operation: 2, senderMac: GUEST_MAC, targetAddress: GATEWAY };
    world.guest(world.arp(request));
    world.advance(100_000);
    world.expect("tcp", { flags: "S", destinationPort: 80, destinationMac: GUEST_MAC });
  });

  test("T23: clients that look alike to the guest get ports of their own", () => {
    const world = new EngineWorld();
    world.inboundTcp(80, PEER, 65535);
    world.inboundTcp(80, PEER, 65535);
    world.advance(0);
    world.expect("tcp", { flags: "S", source: PEER, sourcePort: 65535 });
    world.expect("tcp", { flags: "S", source: PEER, sourcePort: 1024 });
  });
});

describe("floods", () => {
  for (const [count, outcome] of [
    [100_000, "pending"],
    [10_000, "ok"],
  ] as const) {
    test(`T42: SYNs to ${count} ports (connect ${outcome}) leave an open connection alone`, () => {
      const { world, guest, socket } = established();
      world.host.connect = () => outcome;
      flood(world, count);
      // A quarter of the table, and the connection.
      assert.equal(world.engine.flowCount, 64 + 1);
      assert.equal(world.host.live.length, 64 + 1);
      guest.send({ payload: pattern(1460) });
      assert.deepEqual(socket.stream, pattern(1460));
      world.take();
      socket.push("alive");
      assert.equal(guest.receiveAll().length, 5);
      world.checkBalance();
    });
  }

  test("T42: the oldest half-open connection makes room, new ones still get through", () => {
    const world = new EngineWorld();
    flood(world, 1000);
    const guest = new TcpGuest(world).open();
    assert.equal(guest.state, "ESTABLISHED");
    // Half-open ones end by themselves.
    world.advance((GIVE_UP + 1) * SECOND);
    assert.equal(world.engine.flowCount, 1);
    world.checkBalance();
  });

  test("T42: connections that are reset after SYN-ACK leak no slot", () => {
    const world = new EngineWorld({ flowsMax: 16 });
    for (let i = 0; i < 500; i += 1) {
      const guest = new TcpGuest(world, { port: 1024 + i });
      guest.send({ flags: "S" });
      guest.expect({ flags: "SA" });
      guest.send({ flags: "R" });
      assert.equal(world.engine.flowCount, 0);
    }
    assert.equal(world.host.live.length, 0);
    world.checkBalance();
  });

  test("T42: ten SYNs into a black hole delay nobody", () => {
    const world = new EngineWorld();
    world.host.connect = (address) => (address === PEER ? "ok" : "pending");
    for (let i = 0; i < 10; i += 1) {
      new TcpGuest(world, { port: 2000 + i, peer: "192.0.2.1" }).send({ flags: "S" });
    }
    const guest = new TcpGuest(world).open();
    guest.send({ payload: "hello" });
    assert.equal(guest.socket.text, "hello");
  });
});
