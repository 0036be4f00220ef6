/** Figures of the process: units, and descriptors as the kernel lists them, whatever tells. */
import assert from "node:assert/strict";
import { closeSync, openSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { processFigures } from "../../src/metrics/process-figures.ts";

test("octets, seconds, and descriptors without the one that lists them", () => {
  const of = {
    memoryUsage: { rss: () => 12_345 },
    cpuUsage: () => ({ user: 1_500_000, system: 250_000 }),
  };
  const before = processFigures(of, "1.0.0", 17);
  assert.equal(before.descriptors, readdirSync("/proc/self/fd").length - 1);
  assert.equal(before.residentBytes, 12_345);
  assert.equal(before.cpuSeconds, 1.75);
  assert.deepEqual([before.version, before.startSeconds], ["1.0.0", 17]);
  const fd = openSync("/dev/null", "r");
  const during = processFigures(of, "1.0.0", 17);
  closeSync(fd);
  assert.equal(during.descriptors, before.descriptors + 1);
});
