/** Goal: the engine hears once of each time the link's peer has gone, and at once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { GuestWatch } from "../../src/binding/guest-watch.ts";
import { EngineWorld } from "../support/engine-harness.ts";
import { TcpGuest } from "../support/tcp-guest.ts";

test("the loop does not sleep until the engine knows that the guest has gone", () => {
  const world = new EngineWorld();
  const guest = new TcpGuest(world).open();
  const watch = new GuestWatch();
  assert.equal(watch.wait(), undefined);
  watch.poll(world.engine, world.now);
  world.advance(10_000_000);
  assert.equal(guest.state, "ESTABLISHED");
  watch.left();
  watch.left();
  assert.equal(watch.wait(), 0);
  watch.poll(world.engine, world.now);
  assert.equal(watch.wait(), undefined);
  world.advance(2_000_000);
  assert.equal(guest.state, "CLOSED");
  assert.equal(world.stats.guestsGone, 1);
  world.advance(10_000_000);
  assert.equal(world.stats.guestsGone, 1);
});
