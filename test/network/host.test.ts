/** The runtime as a network asks it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemHost } from "../../src/network/host.ts";

test("its clock is above 0 and never goes back", () => {
  const host = systemHost();
  const times = Array.from({ length: 1000 }, () => host.now());
  assert.equal(
    times.every((time, i) => time > 0 && Number.isInteger(time) && time >= (times[i - 1] ?? 0)),
    true,
  );
});

test("seeds differ", () => {
  const seeds = [new Uint8Array(32), new Uint8Array(32)];
  for (const seed of seeds) systemHost().random(seed);
  assert.notDeepEqual(seeds[0], seeds[1]);
});

test("what is due soon comes in order, after what is running", async () => {
  const host = systemHost();
  const seen: number[] = [];
  const done = new Promise<void>((resolve) => {
    host.soon(() => seen.push(1));
    host.soon(() => {
      seen.push(2);
      resolve();
    });
  });
  seen.push(0);
  await done;
  assert.deepEqual(seen, [0, 1, 2]);
});

test("a timer is never early, and one that is taken back does not ring", async () => {
  const host = systemHost();
  const begin = host.now();
  let rang = false;
  const cancel = host.after(1000, () => {
    rang = true;
  });
  cancel();
  await new Promise<void>((resolve) => void host.after(10_500, resolve));
  assert.equal(host.now() - begin >= 10_000, true);
  assert.equal(rang, false);
});
