/** How long the loop may sleep. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { sleepTime } from "../../src/loop/deadline.ts";

const SEED = 20250122;
const SLEEP_MAX = 60_000_000;

describe("deadline", () => {
  test("the engine's deadline is absolute, 0 means none", () => {
    assert.equal(sleepTime(1000, 1500, undefined), 500);
    assert.equal(sleepTime(1000, 1000.25, undefined), 0.25);
    assert.equal(sleepTime(1000, 0, undefined), SLEEP_MAX);
  });

  test("what has passed is now", () => {
    assert.equal(sleepTime(1000, 400, undefined), 0);
    assert.equal(sleepTime(1000, 400, 70), 0);
    assert.equal(sleepTime(1000, 0, -5), 0);
  });

  test("the housekeeping's wait is from now on, 0 means at once", () => {
    assert.equal(sleepTime(1000, 0, 70), 70);
    assert.equal(sleepTime(1000, 1500, 70), 70);
    assert.equal(sleepTime(1000, 1500, 700), 500);
    assert.equal(sleepTime(1000, 1500, 0), 0);
    assert.equal(sleepTime(1000, 0, 2 * SLEEP_MAX), SLEEP_MAX);
    assert.equal(sleepTime(1000, 1000 + 2 * SLEEP_MAX, undefined), SLEEP_MAX);
    assert.equal(sleepTime(1000, 1000 + 2 * SLEEP_MAX, 2 * SLEEP_MAX), SLEEP_MAX);
  });

  test("never negative, never long, never past a deadline", () => {
    const time = fc.double({ min: 1, max: 2 ** 52, noNaN: true });
    const deadline = fc.oneof(fc.constant(0), time);
    const wait = fc.option(fc.double({ min: 0, max: 2 ** 40, noNaN: true }), { nil: undefined });
    fc.assert(
      fc.property(time, deadline, wait, (now, at, from) => {
        const sleep = sleepTime(now, at, from);
        assert.ok(sleep >= 0 && sleep <= SLEEP_MAX);
        if (at !== 0) assert.ok(sleep <= Math.max(0, at - now));
        if (from !== undefined) assert.ok(sleep <= from);
      }),
      { seed: SEED },
    );
  });
});
