/**
 * Connections from outside: which address of the guest they go to, what its refusal and its silence
 * lead to, and how soon the client hears of it. Source: RFC 9293 §3.10.7.3, RFC 8305 in spirit.
 */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { flowsOf } from "../../../src/engine/flows.ts";
import { readCounter } from "../../../src/engine/stats.ts";
import { speak, strangers, syns } from "../../support/arrivals.ts";
import { EngineWorld } from "../../support/engine-harness.ts";
import { GATEWAY, GATEWAY6, GUEST, GUEST6, PEER } from "../../support/engine-settings.ts";
import type { FakeSocket } from "../../support/fake-socket.ts";
import { icmp, PROTOCOL_ICMP, PROTOCOL_TCP, tcp } from "../../support/packet.ts";
import { TcpGuest } from "../../support/tcp-guest.ts";
import { World6 } from "../../support/world6.ts";

const MS = 1000;
const SECOND = 1_000_000;
const PEER6 = "2001:db8::80";
const STATIC = "10.0.2.50";
const STATIC6 = "fd10:0:2::50";

function arriving(world: EngineWorld, peer: string, guest = ""): FakeSocket {
  const socket = world.inboundTcp(80, peer, 50000, guest);
  assert.ok(socket !== undefined);
  return socket;
}

/** The owner of whatever address the SYN was sent to refuses it. */
function refuse(world: EngineWorld, source: string): void {
  const syn = world.expect("tcp", { source, flags: "S" });
  const ends = { source: syn.destination, destination: syn.source };
  const ports = { sourcePort: syn.destinationPort, destinationPort: syn.sourcePort };
  const reset = tcp({ ...ends, ...ports, flags: "RA", seq: 0, ack: (syn.seq + 1) >>> 0 }, "");
  world.guest(world.ip({ ...ends, protocol: PROTOCOL_TCP }, reset));
}

describe("arrival: the other version of IP", () => {
  for (const [name, client, first, second, target] of [
    ["IPv6, then IPv4", "::1", GATEWAY6, GATEWAY, GUEST],
    ["IPv4, then IPv6", "127.0.0.1", GATEWAY, GATEWAY6, GUEST6],
    ["IPv6 from afar, then IPv4 as the gateway", PEER6, PEER6, GATEWAY, GUEST],
  ] as const) {
    test(`a refusal of one leads to the other at once: ${name}`, () => {
      const world = strangers();
      speak(world, GUEST, GUEST6);
      const socket = arriving(world, client);
      refuse(world, first);
      assert.deepEqual(syns(world), [`${second} > ${target}`]);
      assert.equal(flowsOf(world.engine)[0]?.state, "SYN_SENT");
      assert.equal(socket.closed, "no");
    });
  }

  test("through it the connection works as any other", () => {
    const world = strangers();
    speak(world, GUEST, GUEST6);
    const socket = arriving(world, "::1");
    refuse(world, GATEWAY6);
    const guest = new TcpGuest(world, { peer: GATEWAY, port: 80, peerPort: 50000 });
    guest.expect({ flags: "S", seq: 0 });
    guest.send({ flags: "SA" });
    guest.expect({ flags: "A", seq: 1, ack: 1 });
    guest.send({ payload: "hello" });
    assert.equal(Buffer.from(socket.stream).toString(), "hello");
    world.take();
    socket.push("world");
    guest.expect({ payload: "world" });
    socket.end();
    world.checkBalance();
  });

  test("both refuse: the client is reset at once, neither is tried again", () => {
    const world = strangers();
    speak(world, GUEST, GUEST6);
    const socket = arriving(world, "::1");
    refuse(world, GATEWAY6);
    refuse(world, GATEWAY);
    world.run();
    assert.equal(socket.closed, "abort");
    assert.equal(world.engine.flowCount, 0);
    world.checkBalance();
  });

  test("an address that a rule names is the only one", () => {
    const world = strangers();
    speak(world, GUEST, GUEST6, STATIC);
    const socket = arriving(world, "::1", STATIC);
    refuse(world, GATEWAY);
    assert.equal(socket.closed, "abort");
    arriving(world, PEER, STATIC6);
    world.advance(200 * MS);
    speak(world, STATIC6);
    world.advance(100 * MS);
    assert.deepEqual(syns(world), [`${GATEWAY6} > ${STATIC6}`]);
  });

  test("without IPv6 served, or with it alone, there is no other", () => {
    const world = new World6({ ipv4: false });
    const socket = arriving(world, PEER6);
    refuse(world, PEER6);
    assert.equal(socket.closed, "abort");
    const four = new EngineWorld();
    const other = arriving(four, PEER);
    refuse(four, PEER);
    assert.equal(other.closed, "abort");
  });

  test("port unreachable is a refusal like a reset", () => {
    const world = strangers();
    speak(world, GUEST);
    const socket = arriving(world, PEER);
    const [syn] = world.take().filter((frame) => frame.kind === "tcp");
    assert.ok(syn !== undefined);
    speak(world, GUEST6);
    const error = icmp({ type: 3, code: 3, rest: 0 }, syn.octets.subarray(14, 42));
    world.guest(world.ip({ destination: PEER, protocol: PROTOCOL_ICMP }, error));
    assert.deepEqual(syns(world), [`${GATEWAY6} > ${GUEST6}`]);
    assert.equal(socket.closed, "no");
  });
});

describe("arrival: nobody has the address", () => {
  test("a guest without IPv6 gets what comes by IPv6 at its IPv4 address after 250 ms", () => {
    const world = strangers();
    speak(world, GUEST);
    arriving(world, "::1");
    world.advance(200 * MS);
    assert.deepEqual(syns(world), []);
    world.advance(100 * MS);
    assert.deepEqual(syns(world), [`${GATEWAY} > ${GUEST}`]);
  });

  test("the next one goes there at once", () => {
    const world = strangers();
    speak(world, GUEST);
    arriving(world, "::1");
    world.advance(300 * MS);
    world.take();
    world.inboundTcp(80, PEER6, 50001);
    world.advance(0);
    assert.deepEqual(syns(world), [`${GATEWAY} > ${GUEST}`]);
  });

  test("a guest that is refused IPv4 and has no IPv6: reset, at once from the second on", () => {
    const world = strangers();
    speak(world, GUEST);
    const socket = arriving(world, "127.0.0.1");
    refuse(world, GATEWAY);
    world.advance(400 * MS);
    assert.equal(socket.closed, "abort");
    world.take();
    const next = arriving(world, "127.0.0.1");
    refuse(world, GATEWAY);
    assert.equal(next.closed, "abort");
    world.checkBalance();
  });

  for (const client of ["::1", "127.0.0.1"]) {
    test(`neither is there: both are asked for, and a client of ${client} is reset in 3 s`, () => {
      const world = strangers();
      const socket = arriving(world, client);
      world.advance(2_800 * MS);
      assert.equal(socket.closed, "no");
      assert.ok(readCounter(world.engine, "arpRequests") >= 2);
      assert.ok(readCounter(world.engine, "ndpRequests") >= 2);
      world.advance(200 * MS);
      assert.equal(socket.closed, "abort");
      world.checkBalance();
    });
  }

  test("whoever is found first gets the connection", () => {
    const world = strangers();
    arriving(world, "::1");
    world.advance(2 * SECOND);
    speak(world, GUEST);
    world.advance(100 * MS);
    assert.deepEqual(syns(world), [`${GATEWAY} > ${GUEST}`]);
  });
});

describe("arrival: silence", () => {
  test("a guest that has gone without a word: the client is reset in 3 s", () => {
    const world = strangers();
    speak(world, GUEST, GUEST6);
    world.advance(30 * SECOND);
    world.take();
    const socket = arriving(world, PEER6);
    world.advance(2_800 * MS);
    assert.equal(socket.closed, "no");
    world.advance(200 * MS);
    assert.equal(socket.closed, "abort");
    world.checkBalance();
  });

  test("a guest that is there and does not answer: the SYN is repeated, the client known", () => {
    const world = strangers();
    speak(world, GUEST, GUEST6);
    world.advance(SECOND);
    world.take();
    const socket = arriving(world, PEER6);
    for (let i = 0; i < 30; i += 1) {
      world.advance(SECOND - 1);
      speak(world, GUEST6);
    }
    const found = syns(world);
    assert.ok(found.length >= 5);
    assert.deepEqual([...new Set(found)], [`${PEER6} > ${GUEST6}`]);
    assert.equal(socket.closed, "no");
    world.advance(2 * SECOND);
    assert.equal(socket.closed, "abort");
  });

  test("a client that is the gateway to the guest anyway takes turns with both versions", () => {
    const world = strangers();
    speak(world, GUEST, GUEST6);
    world.advance(SECOND);
    world.take();
    arriving(world, "::1");
    world.advance(500 * MS);
    speak(world, GUEST, GUEST6);
    world.advance(3 * SECOND);
    const [six, four] = [`${GATEWAY6} > ${GUEST6}`, `${GATEWAY} > ${GUEST}`];
    assert.deepEqual(syns(world), [six, four, six]);
  });
});
