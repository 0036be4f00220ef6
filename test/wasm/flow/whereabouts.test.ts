/**
 * Which of its addresses a guest gets connections from outside at, and how it is asked for while it
 * has not been heard of.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readCounter } from "../../../src/engine/stats.ts";
import * as abi from "../../../wasm/abi.ts";
import { speak, strangers, syns } from "../../support/arrivals.ts";
import type { EngineWorld } from "../../support/engine-harness.ts";
import { GUEST, GUEST6, PEER } from "../../support/engine-settings.ts";
import { PROTOCOL_UDP, udp } from "../../support/packet.ts";

const MS = 1000;
const SECOND = 1_000_000;
const PEER6 = "2001:db8::80";
const STATIC = "10.0.2.50";
const STATIC6 = "fd10:0:2::50";

/** A datagram of the guest's port 53 from one of its addresses. */
function datagram(world: EngineWorld, from: string, to: string, port: number): Uint8Array {
  const ends = { source: from, destination: to };
  const payload = udp({ ...ends, sourcePort: 53, destinationPort: port }, "answer");
  return world.ip({ ...ends, protocol: PROTOCOL_UDP }, payload);
}

describe("flow/whereabouts: addresses of the guest's own", () => {
  for (const [client, own, usual] of [
    [PEER, STATIC, GUEST],
    [PEER6, STATIC6, GUEST6],
  ] as const) {
    test(`${own}: one that was set by hand is learnt from what the guest says`, () => {
      const world = strangers();
      speak(world, own);
      world.inboundTcp(80, client);
      world.advance(0);
      assert.deepEqual(syns(world), [`${client} > ${own}`]);
    });

    test(`${own}: the configured address comes first while it answers`, () => {
      const world = strangers();
      speak(world, own, usual, own);
      world.inboundTcp(80, client);
      world.advance(0);
      assert.deepEqual(syns(world), [`${client} > ${usual}`]);
    });

    test(`${own}: the guest has moved there, the old address is silent`, () => {
      const world = strangers();
      speak(world, usual);
      world.advance(10 * SECOND);
      speak(world, own);
      world.inboundTcp(80, client);
      world.advance(SECOND);
      assert.deepEqual(syns(world), [`${client} > ${usual}`, `${client} > ${own}`]);
      world.inboundTcp(80, client, 50001);
      world.advance(0);
      assert.deepEqual(syns(world), [`${client} > ${own}`], "the next one at once");
    });

    test(`${own}: not heard of for so long that it is forgotten, it is asked for`, () => {
      const world = strangers();
      speak(world, own);
      for (let i = 0; i < 1300; i += 1) world.advance(SECOND);
      world.take();
      world.inboundTcp(80, client);
      world.advance(0);
      speak(world, own);
      world.advance(100 * MS);
      assert.deepEqual(syns(world), [`${client} > ${own}`]);
    });
  }

  test("a guest that claims many addresses keeps its connections at one", () => {
    const world = strangers();
    speak(world, STATIC);
    world.inboundTcp(80, PEER);
    for (let i = 0; i < 8; i += 1) {
      speak(world, `10.0.2.${60 + i}`, STATIC);
      world.inboundTcp(80, PEER, 50001 + i);
    }
    world.advance(0);
    assert.deepEqual([...new Set(syns(world))], [`${PEER} > ${STATIC}`]);
  });
});

describe("flow/whereabouts: published UDP ports", () => {
  for (const [client, own, usual] of [
    [PEER, STATIC, GUEST],
    [PEER6, STATIC6, GUEST6],
  ] as const) {
    const family = client.includes(":") ? 6 : 4;

    test(`09: datagrams go to ${own} where the guest uses that, and answers come back`, () => {
      const world = strangers();
      speak(world, own);
      const socket = world.inboundUdp(53, 5300, family);
      assert.ok(socket !== undefined);
      socket.receive("question", { address: client, port: 777 });
      world.expect("udp", { source: client, destination: own, destinationPort: 53 });
      world.guest(datagram(world, own, client, 777));
      assert.deepEqual(socket.datagrams[0]?.address, client);
      assert.equal(world.engine.flowCount, 1);
    });

    test(`09: a flow of ${usual} ends when the guest is at ${own}: the socket has another`, () => {
      const world = strangers();
      const before = world.inboundUdp(53, 5300, family);
      speak(world, own);
      before?.receive("question", { address: client, port: 777 });
      world.run();
      assert.notEqual(before?.closed, "no", "back to the host, unread");
      world.expectNothing();
      const after = world.inboundUdp(53, 5300, family);
      after?.receive("question", { address: client, port: 777 });
      world.expect("udp", { source: client, destination: own, destinationPort: 53 });
      assert.equal(world.engine.flowCount, 1);
    });

    test(`09: what ${own} sends first leaves from the published port`, () => {
      const world = strangers();
      speak(world, own);
      const socket = world.inboundUdp(53, 5300, family);
      world.guest(datagram(world, own, client, 777));
      assert.equal(socket?.datagrams.length, 1);
      assert.equal(world.engine.flowCount, 1);
    });

    test(`09: a rule with ${own} leads there and nowhere else`, () => {
      const world = strangers();
      const socket = world.inboundUdp(53, 5300, family, own);
      assert.ok(socket !== undefined);
      speak(world, usual, own);
      socket.receive("question", { address: client, port: 777 });
      world.expect("udp", { source: client, destination: own, destinationPort: 53 });
      world.guest(datagram(world, usual, client, 777));
      assert.equal(socket.datagrams.length, 0, `${usual} has a socket of its own`);
      const other = family === 6 ? 4 : 6;
      assert.equal(world.inboundUdp(54, 5301, other, own), undefined);
    });
  }
});

describe("flow/whereabouts: asking for one", () => {
  function asking(world: EngineWorld, on: boolean): void {
    const at = (world.engine.bases.config + abi.CONFIG_FLAGS_OFFSET) >> 2;
    const flags = world.engine.words[at] ?? 0;
    const bit = abi.CONFIG_FLAG_ASK_GUEST;
    world.engine.words[at] = on ? flags | bit : flags & ~bit;
  }

  test("both versions at once, every second, then every five; not when unwanted", () => {
    const world = strangers();
    const asked = (): number => readCounter(world.engine, "ndpRequests");
    world.advance(10 * SECOND);
    assert.equal(asked(), 0);
    asking(world, true);
    world.advance(1);
    assert.equal(asked(), 1);
    assert.equal(readCounter(world.engine, "arpRequests"), 1);
    for (let i = 0; i < 10; i += 1) world.advance(SECOND);
    assert.equal(asked(), 8);
    for (let i = 0; i < 20; i += 1) world.advance(SECOND);
    assert.equal(asked(), 13);
    asking(world, false);
    for (let i = 0; i < 20; i += 1) world.advance(SECOND);
    assert.equal(asked(), 13);
  });

  test("09: one that only listens, at an address set by hand, is found in two seconds", () => {
    const world = strangers();
    asking(world, true);
    const asked = new Set<string>();
    for (let i = 0; i < 20; i += 1) {
      world.advance(100 * MS);
      for (const frame of world.take()) if (frame.kind === "arp") asked.add(frame.targetAddress);
    }
    // All of the network but its two ends, gateway and DNS.
    assert.equal(asked.size, 252);
    assert.ok(asked.has(STATIC) && asked.has(GUEST));
    for (const ours of ["10.0.2.0", "10.0.2.2", "10.0.2.3", "10.0.2.255"]) {
      assert.equal(asked.has(ours), false);
    }
  });

  test("what the guest says from an address of the link is counted, link-local is not", () => {
    const world = strangers();
    const heard = (): number =>
      world.engine.view.getUint32(world.engine.bases.control + abi.CONTROL_HEARD_OFFSET, true);
    assert.equal(heard(), 0);
    speak(world, "fe80::5054:ff:fe12:3456");
    assert.equal(heard(), 0);
    speak(world, GUEST);
    assert.equal(heard(), 1);
    speak(world, STATIC6);
    assert.equal(heard(), 2);
  });
});
