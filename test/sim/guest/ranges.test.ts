/** Ranges of sequence numbers: what meets becomes one, what does not stays apart and in order. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { insertRange } from "../../../src/lab/sim/guest/ranges.ts";

function inserted(...edges: (readonly [number, number])[]): number[] {
  const ranges: number[] = [];
  for (const [left, right] of edges) insertRange(ranges, left, right);
  return ranges;
}

describe("sim/guest: ranges", () => {
  test("apart: in order, whatever the order of coming", () => {
    assert.deepEqual(inserted([30, 40], [10, 20], [50, 60]), [10, 20, 30, 40, 50, 60]);
  });

  test("meeting, touching or inside: one range", () => {
    assert.deepEqual(inserted([10, 20], [15, 30]), [10, 30]);
    assert.deepEqual(inserted([10, 20], [20, 30]), [10, 30]);
    assert.deepEqual(inserted([20, 30], [10, 20]), [10, 30]);
    assert.deepEqual(inserted([10, 40], [20, 30]), [10, 40]);
  });

  test("one that closes gaps swallows all it meets", () => {
    assert.deepEqual(inserted([10, 20], [30, 40], [50, 60], [15, 55]), [10, 60]);
  });

  test("across the wrap of sequence numbers", () => {
    assert.deepEqual(inserted([0xfffffff0, 0xfffffffa], [0xfffffffa, 5]), [0xfffffff0, 5]);
  });
});
