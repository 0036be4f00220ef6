/** Datagrams from the host in bulk: order, fairness, errors of receives. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as abi from "../../../wasm/abi.ts";
import { ECONNREFUSED } from "../../support/datagram-host.ts";
import { DatagramWorld } from "../../support/datagram-world.ts";
import { PEER } from "../../support/engine-settings.ts";
import { pattern } from "../../support/packet.ts";

describe("UDP from the host in bulk", () => {
  test("datagrams keep order and boundaries, however many there are", () => {
    const world = new DatagramWorld();
    world.guest(world.udp(PEER, 9, "x"));
    for (let i = 0; i < 300; i += 1) world.socket().receive(pattern(i), PEER, 1000 + i);
    const frames = world.datagrams();
    assert.equal(frames.length, 300);
    for (const [i, { payload, sourcePort }] of frames.entries()) {
      assert.equal(sourcePort, 1000 + i);
      assert.deepEqual(payload, pattern(i));
    }
    assert.equal(world.stats.udpToGuest, 300);
    assert.equal(world.stats.dropTxFull, 0);
  });

  test("many busy sockets share a turn and lose nothing", () => {
    const world = new DatagramWorld();
    for (let i = 0; i < 60; i += 1) world.guest(world.udp(PEER, 9, "x", { sourcePort: 2000 + i }));
    for (const [i, socket] of world.host.sockets.entries()) {
      for (let k = 0; k < 20; k += 1) socket.receive(pattern(200, i * 20 + k), PEER, 9);
    }
    const frames = world.datagrams();
    assert.equal(frames.length, 1200);
    for (let i = 0; i < 60; i += 1) {
      const own = frames.filter(({ destinationPort }) => destinationPort === 2000 + i);
      const want = Array.from({ length: 20 }, (_, k) => pattern(200, i * 20 + k));
      assert.deepEqual(
        own.map(({ payload }) => payload),
        want,
      );
    }
  });

  // They kept their memory until a frame was sent: none was, the loop span, all flows starved.
  test("receives that bring nothing take nothing for good", () => {
    const world = new DatagramWorld();
    world.guest(world.udp(PEER, 9, "x"));
    world.take();
    for (let i = 0; i < 100; i += 1) {
      world.socket().events |= abi.EVENT_READABLE;
      world.run();
    }
    world.socket().receive("there", PEER, 9);
    assert.equal(world.datagrams().length, 1);
  });

  test("an errno of a receive is taken once and the data after it", () => {
    const world = new DatagramWorld();
    world.guest(world.udp(PEER, 9, "x"));
    world.socket().receiveErrors.push(ECONNREFUSED);
    world.socket().receive("after", PEER, 9);
    assert.equal(world.datagrams().length, 1);
    world.socket().receiveErrors.push(9, 9, 9);
    world.socket().receive("lost to a broken socket until the next event", PEER, 9);
    assert.equal(world.take().length, 0);
  });
});
