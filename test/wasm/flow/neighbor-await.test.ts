/** What comes in for a guest that nobody has heard of is kept while its MAC is asked for. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { mappedOctetsOf } from "../../../src/lib/addr6.ts";
import { EngineWorld } from "../../support/engine-harness.ts";
import {
  GATEWAY,
  GATEWAY_MAC,
  GUEST,
  GUEST_MAC,
  GUEST6,
  PEER,
  PEER6,
} from "../../support/engine-settings.ts";
import type { FakeSocket } from "../../support/fake-socket.ts";
import { arp, ETHERTYPE_ARP, ethernet } from "../../support/packet.ts";
import { World6 } from "../../support/world6.ts";

const SECOND = 1_000_000;
/** PEER as a socket of both versions has it. */
const MAPPED = "::ffff:c633:6450";
const STRANGER = { guestMac: new Uint8Array(6) };

/** The guest says who it is. */
function answer(world: EngineWorld): void {
  const reply = arp({
    operation: 2,
    senderMac: GUEST_MAC,
    senderAddress: GUEST,
    targetMac: GATEWAY_MAC,
    targetAddress: GATEWAY,
  });
  const header = { destination: GATEWAY_MAC, source: GUEST_MAC, type: ETHERTYPE_ARP };
  world.guest(ethernet(header, reply));
}

function published(world: EngineWorld, family: 4 | 6 = 4): FakeSocket {
  const socket = world.inboundUdp(53, 5300, family);
  assert.ok(socket !== undefined);
  return socket;
}

function kinds(world: EngineWorld): string[] {
  return world.take().map(({ kind }) => kind);
}

describe("wasm/flow/neighbor: datagrams that wait", () => {
  test("P12: all of them arrive in order when the guest has answered", () => {
    const world = new EngineWorld(STRANGER);
    const socket = published(world);
    for (let i = 0; i < 20; i += 1) socket.receive(`trap ${i}`, { address: PEER, port: 162 });
    assert.deepEqual(kinds(world), ["arp"]);
    world.advance(SECOND / 2);
    answer(world);
    const frames = world.take();
    const texts = frames.map((frame) =>
      frame.kind === "udp" ? new TextDecoder().decode(frame.payload) : frame.kind,
    );
    assert.deepEqual(
      texts,
      Array.from({ length: 20 }, (_, i) => `trap ${i}`),
    );
    assert.equal(world.stats.dropNeighbor, 0);
  });

  test("P12: the same in IPv6", () => {
    const world = new World6(STRANGER);
    published(world, 6).receive("trap", { address: PEER6, port: 162 });
    assert.equal(world.take().length, 1, "a solicitation");
    world.guest(world.udp({ to: PEER6, port: 9, from: 1 }, "the guest speaks"));
    world.expect("udp", { destination: GUEST6, destinationPort: 53 });
    assert.equal(world.stats.dropNeighbor, 0);
  });

  test("a guest that does not answer is asked three times, then it is given up, and anew", () => {
    const world = new EngineWorld(STRANGER);
    const socket = published(world);
    socket.receive("first", { address: PEER, port: 162 });
    assert.deepEqual(kinds(world), ["arp"]);
    world.advance(2.5 * SECOND);
    assert.deepEqual(kinds(world), ["arp", "arp"]);
    assert.equal(world.stats.dropNeighbor, 0);
    world.advance(2 * SECOND);
    assert.equal(world.stats.dropNeighbor, 1);
    assert.deepEqual(kinds(world), []);
    world.advance(10 * SECOND);
    socket.receive("second", { address: PEER, port: 162 });
    assert.deepEqual(kinds(world), ["arp"]);
    answer(world);
    world.expect("udp", { destinationPort: 53 });
    assert.equal(world.stats.dropNeighbor, 1);
    world.advance(2 * SECOND);
    assert.ok(world.engine.nextDeadline() > world.now + 60 * SECOND, "nobody waits any more");
  });

  test("a socket of both versions waits for either, and takes what it knows", () => {
    const world = new World6(STRANGER);
    world.engine.addHostPort("udp", mappedOctetsOf(0), 5300);
    world.engine.setDual(53);
    const socket = published(world);
    socket.receive("six", { address: PEER6, port: 162 });
    socket.receive("four", { address: MAPPED, port: 163 });
    const asked = world.take();
    assert.deepEqual(asked.map(({ kind }) => kind).sort(), ["arp", "icmp6"]);
    answer(world);
    world.expect("udp", { source: PEER6, destination: GUEST6, destinationPort: 53 });
    world.expect("udp", { source: PEER, destination: GUEST, destinationPort: 53 });
    world.guest(world.udp({ to: PEER, port: 163, from: 53 }, "a"));
    world.guest(world.udp({ to: PEER6, port: 162, from: 53 }, "b"));
    assert.deepEqual(
      socket.datagrams.map(({ address, port }) => `${address} ${port}`),
      [`${MAPPED} 163`, `${PEER6} 162`],
    );
    assert.equal(world.engine.flowCount, 1);
  });
});
