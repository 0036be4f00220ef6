/** Rates from counters that stand at uneven times. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { rateOf } from "../../../src/lab/sim/report/rates.ts";

describe("rates", () => {
  test("an even slope is the same rate everywhere inside", () => {
    const times = Array.from({ length: 11 }, (_, i) => i * 1000);
    const counts = times.map((time) => time / 100); // ten in a millisecond
    const rates = rateOf(times, counts, 2000, 8);
    assert.deepEqual(rates.slice(1, -1), Array(9).fill(80_000));
  });

  test("a long rest has no rate, at its ends neither, and what is beside it keeps its own", () => {
    const times = [0, 1000, 2000, 3000, 4000, 900_000, 901_000, 902_000];
    const counts = [0, 10, 20, 30, 30, 30, 40, 50];
    const rates = rateOf(times, counts, 2000, 1);
    assert.equal(rates[2], 10_000);
    assert.deepEqual(rates.slice(4, 6), [0, 0]);
    assert.equal(rates[6], 10_000);
  });

  test("a single frame between two rests is spread over the span, not over an instant", () => {
    const rates = rateOf([0, 500_000, 500_001, 500_002, 900_000], [0, 0, 7, 7, 7], 1000, 1);
    assert.equal(Math.max(...rates), 7000);
  });

  test("nothing sampled, nothing drawn", () => {
    assert.deepEqual(rateOf([], [], 1000, 1), []);
    assert.deepEqual(rateOf([0], [5], 1000, 1), [0]);
  });
});
