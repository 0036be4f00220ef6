/** The life of datagram flows: time-outs, the full table, sockets that cannot be had. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { mappedOctetsOf } from "../../../src/lib/addr6.ts";
import * as abi from "../../../wasm/abi.ts";
import { DatagramWorld } from "../../support/datagram-world.ts";
import { PEER } from "../../support/engine-settings.ts";

const OTHER = "203.0.113.9";

describe("UDP time-outs and the full table", () => {
  test("N03: a mapping lives for the configured time, 300 s by default", () => {
    for (const [configured, seconds] of [
      [0, 300],
      [120, 120],
    ] as const) {
      const world = new DatagramWorld({ udpTimeoutSeconds: configured });
      world.guest(world.udp(PEER, 9, "x"));
      world.advance(seconds - 1);
      assert.ok(!world.socket().closed);
      world.advance(2);
      assert.ok(world.socket().closed);
      assert.equal(world.engine.flowCount, 0);
    }
  });

  test("N04: outbound traffic refreshes, and inbound does too", () => {
    const world = new DatagramWorld({ udpTimeoutSeconds: 120 });
    world.guest(world.udp(PEER, 9, "x"));
    world.advance(100);
    world.guest(world.udp(PEER, 9, "x"));
    world.advance(100);
    world.socket().receive("y", PEER, 9);
    world.take();
    world.advance(119);
    assert.ok(!world.socket().closed);
    world.advance(2);
    assert.ok(world.socket().closed);
  });

  test("N04: what the strict filter refuses refreshes nothing", () => {
    const world = new DatagramWorld({ udpTimeoutSeconds: 120, strictFilter: true });
    world.guest(world.udp(PEER, 9, "x"));
    world.advance(100);
    world.socket().receive("y", OTHER, 9);
    world.take();
    world.advance(21);
    assert.ok(world.socket().closed);
  });

  test("N16: a full table evicts the flow that was idle longest, and counts it", () => {
    const world = new DatagramWorld({ flowsMax: 16, preservesUdpPorts: true });
    const published = world.publish(8000, 30000);
    // Six slots are kept for TCP and DNS, one the published port has.
    for (let i = 0; i < 9; i += 1) world.guest(world.udp(PEER, 9, "x", { sourcePort: 20000 + i }));
    world.guest(world.udp(PEER, 9, "x", { sourcePort: 20000 }));
    world.guest(world.udp(PEER, 9, "new", { sourcePort: 30000 }));
    const closed = world.host.sockets.filter((socket) => socket.closed);
    assert.deepEqual(
      closed.map(({ preferred }) => preferred),
      [20001],
    );
    assert.equal(world.stats.udpEvicted, 1);
    assert.equal(world.engine.flowCount, 10);
    assert.ok(!published.closed);
    assert.deepEqual(world.socket().texts, ["new"]);
  });

  test("N16: published ports leave the guest's UDP the slots that are kept for it", () => {
    const world = new DatagramWorld({ flowsMax: 16 });
    const ports = Array.from({ length: 9 }, (_, i) => world.publish(8000 + i, 30000 + i));
    assert.equal(world.stats.udpEvicted, 1, "half of the table, then the oldest gives way");
    world.guest();
    assert.deepEqual(
      ports.map(({ closed }) => closed),
      ports.map((_, i) => i === 0),
    );
    for (let i = 0; i < 2; i += 1) world.guest(world.udp(PEER, 9, "x", { sourcePort: 20000 + i }));
    assert.equal(world.stats.dropUdpTableFull, 0);
    assert.equal(world.stats.udpEvicted, 1);
    world.guest(world.udp(PEER, 9, "x"));
    assert.equal(world.stats.udpEvicted, 2, "who has most beyond what is kept for it");
    assert.equal(world.stats.dropUdpTableFull, 0);
    assert.equal(world.take().length, 0);
  });

  test("a slot is kept for published ports when the guest's UDP has all others", () => {
    const world = new DatagramWorld({ flowsMax: 32 });
    world.engine.addHostPort("udp", mappedOctetsOf(0), 30000);
    for (let i = 0; i < 64; i += 1) world.guest(world.udp(PEER, 9, "x", { sourcePort: 2000 + i }));
    const { udpEvicted } = world.stats;
    world.publish(8000, 30000).receive("hello", PEER, 999);
    assert.equal(world.datagrams()[0]?.destinationPort, 8000);
    assert.equal(world.stats.udpEvicted, udpEvicted);
  });

  test("more sockets than operations fit into a turn are all opened", () => {
    const world = new DatagramWorld({ flowsMax: 1024 });
    for (let batch = 0; batch < 8; batch += 1) {
      const frames = Array.from({ length: 64 }, (_, i) =>
        world.udp(PEER, 9, "x", { sourcePort: 2000 + batch * 64 + i }),
      );
      world.guest(...frames);
    }
    assert.equal(world.stats.udpToHost, 512);
    world.advance(301);
    assert.equal(world.host.live.length, 0);
    assert.equal(world.stats.udpOpened, world.stats.udpClosed);
  });

  test("events for a flow that is gone are counted, no more", () => {
    const world = new DatagramWorld();
    world.guest(world.udp(PEER, 9, "x"));
    const { handle } = world.socket();
    world.advance(301);
    world.engine.upstreamEvent(handle, abi.EVENT_READABLE, world.now);
    world.run();
    assert.equal(world.stats.staleEvents, 1);
  });

  test("a socket that cannot be opened loses the batch and nothing else", () => {
    const world = new DatagramWorld();
    world.host.openResults.push(-24);
    world.guest(world.udp(PEER, 9, "a"), world.udp(PEER, 9, "b"));
    assert.equal(world.stats.dropUdpSend, 2);
    assert.equal(world.engine.flowCount, 0);
    world.guest(world.udp(PEER, 9, "c"));
    assert.deepEqual(world.socket().texts, ["c"]);
  });
});
