/** When something that fails is started again. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Restarts } from "../../src/binding/restarts.ts";

const BOUNDS = { first_ms: 0, min_ms: 10, max_ms: 50, most: 6 };

describe("restarts", () => {
  test("at once, then after pauses that double up to a bound, then no more", () => {
    const restarts = new Restarts(BOUNDS);
    const pauses = Array.from({ length: 7 }, () => restarts.failed(false));
    assert.deepEqual(pauses, [0, 10, 20, 40, 50, 50, undefined]);
    assert.deepEqual([restarts.count, restarts.inVain], [7, 7]);
  });

  test("what was of use meanwhile begins anew", () => {
    const restarts = new Restarts(BOUNDS);
    for (let i = 0; i < 100; i += 1) assert.equal(restarts.failed(true), 0);
    assert.equal(restarts.failed(false), 10);
    assert.equal(restarts.failed(true), 0);
    assert.deepEqual([restarts.count, restarts.inVain], [102, 1]);
  });

  test("without a number of them it is never given up", () => {
    const restarts = new Restarts({ first_ms: 100, min_ms: 200, max_ms: 1000 });
    const pauses = Array.from({ length: 50 }, () => restarts.failed(false));
    assert.deepEqual(pauses.slice(0, 5), [100, 200, 400, 800, 1000]);
    assert.equal(pauses.at(-1), 1000);
  });
});
