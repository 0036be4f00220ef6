/** A published UDP port whose guest is not there in the sender's version of IP. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { flowsOf } from "../../../src/engine/flows.ts";
import { mappedOctetsOf } from "../../../src/lib/addr6.ts";
import * as abi from "../../../wasm/abi.ts";
import { GATEWAY, GATEWAY6, GUEST, GUEST6, PEER, PEER6 } from "../../support/engine-settings.ts";
import type { FakeSocket } from "../../support/fake-socket.ts";
import type { UdpFrame } from "../../support/frame.ts";
import { World6 } from "../../support/world6.ts";

const SECOND = 1_000_000;
const LOOPBACK6 = "::1";
const STRANGER = { guestMac: new Uint8Array(6) };
/** Three questions, a second apart, and one second more. */
const GIVEN_UP = 4 * SECOND;

function published(world: World6, family: 4 | 6): FakeSocket {
  const socket = world.inboundUdp(53, 5300, family);
  assert.ok(socket !== undefined);
  return socket;
}

/** The guest says something over IPv4, or over IPv6. */
function speak(world: World6, family: 4 | 6): void {
  const to = family === 4 ? PEER : PEER6;
  world.guest(world.udp({ to, port: 9, from: 1 }, "the guest speaks"));
  world.take();
}

/** The next datagram for the guest, behind any questions for its addresses. */
function expectUdp(world: World6, wanted: Partial<UdpFrame>): void {
  world.run();
  while (world.frames[0]?.kind === "icmp6" || world.frames[0]?.kind === "arp") world.frames.shift();
  world.expect("udp", wanted);
}

describe("wasm/flow/udp-published: a port that is published no longer", () => {
  test("its flow ends at once, and the next socket of the guest port has a new one", () => {
    const world = new World6();
    speak(world, 4);
    const first = published(world, 4);
    first.receive("one", { address: PEER, port: 162 });
    expectUdp(world, { source: PEER, destination: GUEST });
    world.engine.upstreamEvent(first.handle, abi.EVENT_HANGUP, world.now);
    assert.ok(flowsOf(world.engine).every(({ handle }) => handle !== first.handle));
    world.run();
    assert.equal(first.ops.get(abi.OP_CLOSE), undefined, "the host has closed it");
    first.closed = "orderly";
    world.guest(world.udp({ to: PEER, port: 162, from: 53 }, "late"));
    const own = world.host.sockets.at(-1);
    assert.notEqual(own, first);
    assert.equal(own?.datagrams.length, 1, "by a socket of the guest's own");
    const again = published(world, 4);
    assert.notEqual(again.handle, first.handle);
    again.receive("two", { address: PEER, port: 162 });
    expectUdp(world, { source: PEER, destination: GUEST });
  });

  test("flows of the guest's own go on, and published ones that hear of an error", () => {
    const world = new World6();
    speak(world, 4);
    const socket = published(world, 4);
    const [own] = world.host.sockets;
    assert.ok(own !== undefined && own !== socket);
    const there = flowsOf(world.engine).length;
    world.engine.upstreamEvent(own.handle, abi.EVENT_HANGUP, world.now);
    assert.equal(flowsOf(world.engine).length, there);
    for (const events of [abi.EVENT_ERROR, abi.EVENT_ERROR | abi.EVENT_HANGUP]) {
      world.engine.upstreamEvent(socket.handle, events, world.now);
      assert.equal(flowsOf(world.engine).length, there, "an error is no end");
    }
  });
});

describe("wasm/flow/udp-published: a guest of one version of IP", () => {
  test("::1 without IPv6: the first datagram waits for the question, the next does not", () => {
    const world = new World6(STRANGER);
    speak(world, 4);
    const socket = published(world, 6);
    socket.receive("first", { address: LOOPBACK6, port: 162 });
    assert.deepEqual(
      world.take().map(({ kind }) => kind),
      ["icmp6"],
    );
    world.advance(GIVEN_UP);
    const shown = { source: GATEWAY, sourcePort: 162, destination: GUEST };
    expectUdp(world, shown);
    socket.receive("second", { address: LOOPBACK6, port: 162 });
    expectUdp(world, shown);
    assert.equal(world.stats.dropNeighbor, 0);
  });

  test("the answer goes back to who has asked", () => {
    const world = new World6(STRANGER);
    speak(world, 4);
    const socket = published(world, 6);
    socket.receive("question", { address: LOOPBACK6, port: 162 });
    world.advance(GIVEN_UP);
    world.take();
    world.guest(world.udp({ to: GATEWAY, port: 162, from: 53 }, "answer"));
    assert.deepEqual(
      socket.datagrams.map(({ address, port }) => `${address} ${port}`),
      [`${LOOPBACK6} 162`],
    );
  });

  test("a socket of both versions: the other one once nobody has answered", () => {
    const world = new World6(STRANGER);
    world.engine.addHostPort("udp", mappedOctetsOf(0), 5300);
    world.engine.setDual(53);
    speak(world, 4);
    const socket = published(world, 6);
    socket.receive("first", { address: PEER6, port: 162 });
    expectUdp(world, { source: PEER6, destination: GUEST6 });
    world.advance(SECOND);
    world.take();
    socket.receive("second", { address: PEER6, port: 162 });
    expectUdp(world, { source: GATEWAY, destination: GUEST });
    world.guest(world.udp({ to: GATEWAY, port: 162, from: 53 }, "answer"));
    assert.deepEqual(
      socket.datagrams.map(({ address }) => address),
      [PEER6],
    );
  });

  test("a guest without IPv4 is found over IPv6", () => {
    const world = new World6(STRANGER);
    speak(world, 6);
    const socket = published(world, 4);
    socket.receive("first", { address: PEER, port: 162 });
    world.advance(GIVEN_UP);
    expectUdp(world, { source: GATEWAY6, sourcePort: 162, destination: GUEST6 });
    world.guest(world.udp({ to: GATEWAY6, port: 162, from: 53 }, "answer"));
    assert.deepEqual(
      socket.datagrams.map(({ address }) => address),
      [PEER],
    );
  });

  test("a configured MAC address does not speak for IPv6", () => {
    const world = new World6();
    speak(world, 4);
    const socket = published(world, 6);
    socket.receive("first", { address: LOOPBACK6, port: 162 });
    expectUdp(world, { source: GATEWAY6, destination: GUEST6 });
    world.advance(SECOND);
    socket.receive("second", { address: LOOPBACK6, port: 162 });
    expectUdp(world, { source: GATEWAY, destination: GUEST });
  });

  test("who speaks in the version at last is reached in it", () => {
    const world = new World6(STRANGER);
    speak(world, 4);
    const socket = published(world, 6);
    socket.receive("first", { address: PEER6, port: 162 });
    world.advance(GIVEN_UP);
    world.take();
    speak(world, 6);
    socket.receive("second", { address: PEER6, port: 162 });
    world.expect("udp", { source: PEER6, destination: GUEST6 });
  });

  test("a rule that names the guest's address leads nowhere else", () => {
    const world = new World6(STRANGER);
    speak(world, 4);
    const socket = world.inboundUdp(53, 5300, 6, GUEST6);
    assert.ok(socket !== undefined);
    socket.receive("first", { address: PEER6, port: 162 });
    world.advance(GIVEN_UP);
    assert.ok(world.take().every(({ kind }) => kind === "icmp6"));
    assert.equal(world.stats.dropNeighbor, 1);
  });
});
