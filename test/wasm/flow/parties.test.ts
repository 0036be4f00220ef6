/** Crowds: who gives way to whom among connections from different addresses. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Arrival, arrive, crowd } from "../../support/arrivals.ts";
import { EngineWorld } from "../../support/engine-harness.ts";
import { IPV6 } from "../../support/engine-settings.ts";

const FLOWS = 64;
const MOST = FLOWS / 2;
const CROWD = "192.0.2.66";
const OTHER = "198.51.100.7";
const SECOND = 1_000_000;

const ended = (all: readonly Arrival[]): number[] =>
  all.flatMap(({ socket }, i) => (socket.closed === "abort" ? [i] : []));

describe("wasm/flow/parties", () => {
  test("a newcomer takes the place of the crowd's member without progress for longest", () => {
    const world = new EngineWorld({ flowsMax: FLOWS });
    const all = crowd(world, CROWD, MOST);
    world.advance(SECOND);
    for (const { guest } of all.slice(0, 3)) guest.send({ payload: "alive" });
    assert.ok(arrive(world, OTHER, 1) !== undefined);
    assert.deepEqual(ended(all), [3]);
    assert.ok(arrive(world, OTHER, 2) !== undefined);
    assert.deepEqual(ended(all), [3, 4]);
    assert.equal(world.stats.tcpGaveWay, 2);
    world.checkBalance();
  });

  test("the crowd itself gets one more only for one that has been idle for ten seconds", () => {
    const world = new EngineWorld({ flowsMax: FLOWS });
    const all = crowd(world, CROWD, MOST);
    assert.equal(arrive(world, CROWD, 9000), undefined);
    assert.equal(world.stats.outsideRefused, 1);
    world.advance(9 * SECOND);
    for (const { guest } of all.slice(1)) guest.send({ payload: "alive" });
    world.advance(2 * SECOND);
    assert.ok(arrive(world, CROWD, 9001) !== undefined);
    assert.deepEqual(ended(all), [0]);
    assert.equal(arrive(world, CROWD, 9002), undefined);
  });

  test("the larger of two crowds gives way to the smaller, a single one to neither", () => {
    const world = new EngineWorld({ flowsMax: FLOWS });
    const single = arrive(world, "203.0.113.5", 1);
    const first = crowd(world, CROWD, MOST);
    const second = crowd(world, OTHER, MOST);
    assert.equal(single?.socket.closed, "no");
    const living = (all: readonly Arrival[]): number => all.length - ended(all).length;
    // Until it has half of what the other has: beyond that both are crowds, and busy.
    assert.equal(living(first) + living(second), MOST - 1);
    assert.ok(living(second) >= Math.floor(MOST / 3), `${living(first)}, ${living(second)}`);
  });

  test("a network of 64 bits of IPv6 is one party", () => {
    const world = new EngineWorld({ flowsMax: FLOWS, ipv6: IPV6 });
    world.guest(world.udp({ to: "2001:db8::9", port: 9 }, "x"));
    world.take();
    const all = Array.from({ length: MOST }, (_, i) =>
      arrive(world, `2001:db8:1:1::${(i + 1).toString(16)}`, 1000),
    ).filter((arrival) => arrival !== undefined);
    assert.equal(all.length, MOST);
    assert.equal(arrive(world, "2001:db8:1:1::ffff", 1000), undefined);
    assert.ok(arrive(world, "2001:db8:1:2::1", 1000) !== undefined);
    assert.deepEqual(ended(all), [0]);
  });

  test("who comes from more addresses than there are parties counts as one", () => {
    const world = new EngineWorld({ flowsMax: 16_384 });
    const all = Array.from({ length: 5000 }, (_, i) =>
      arrive(world, `203.${i >> 8}.${i & 0xff}.1`, 1000),
    ).filter((arrival) => arrival !== undefined);
    assert.equal(all.length, 5000);
    for (const { guest } of all) guest.send({ flags: "R" });
    assert.equal(world.engine.flowCount, 0);
    assert.equal(world.engine.nextDeadline(), 0);
    world.checkBalance();
  });
});
