/** A card's ring: what fits waits for the driver, the rest of a burst is lost. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "../../src/lab/sim/clock.ts";
import { ReceiveRing } from "../../src/lab/sim/receive-ring.ts";

test("sim/receive-ring: five full frames fit 8 KiB until the driver looks", () => {
  const clock = new VirtualClock();
  const taken: number[] = [];
  const ring = new ReceiveRing<number>(clock, { size: 8192, delay: 50 }, (_, i) => taken.push(i));
  const frame = new Uint8Array(1514);
  for (let i = 0; i < 8; i += 1) ring.put(frame, i);
  assert.equal(ring.lost, 3);
  assert.deepEqual(taken, []);
  while (clock.runNext(clock.now + 50));
  assert.deepEqual(taken, [0, 1, 2, 3, 4]);
  ring.put(frame, 8);
  while (clock.runNext(clock.now + 50));
  assert.deepEqual(taken, [0, 1, 2, 3, 4, 8]);
  assert.equal(ring.lost, 3);
});
