/** Histograms in shared memory: ranges, their ends, the sum. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Histogram } from "../../src/lib/histogram.ts";

const BOUNDS = [1, 2, 5];

test("a value at the end of a range is in it; above the last end is the last range", () => {
  const cells = new Float64Array(new SharedArrayBuffer(8 * Histogram.cellsOf(BOUNDS)));
  const histogram = new Histogram(cells, BOUNDS);
  for (const value of [0, 1, 1.5, 2, 4, 5, 5.01, 100]) histogram.observe(value);
  assert.deepEqual(histogram.counts, [2, 2, 2, 2]);
  assert.ok(Math.abs(histogram.sum - 118.51) < 1e-9);
  assert.equal(histogram.bounds, BOUNDS);
  const reader = new Histogram(new Float64Array(cells.buffer), BOUNDS);
  assert.deepEqual(reader.counts, histogram.counts, "another view of the memory tells the same");
  assert.equal(reader.sum, histogram.sum);
});
