/** Turns without effect: a few are allowed, more are told once a second, very many end the run. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Effects, SpinWatch } from "../../../src/lab/sim/check/spin-watch.ts";

/** What the program promises. */
const IDLE_TURNS_MAX = 10;

const SECOND = 1_000_000;
const STILL: Effects = {
  ...{ frames: 1, operations: 2, news: 3, accepted: 4 },
  ...{ flows: 5, chunks: 6, deadline: 7 },
};

function watched() {
  const faults: string[] = [];
  const watch = new SpinWatch((text) => faults.push(text));
  for (let i = 0; i < 2; i += 1) watch.turned(SECOND, STILL); // one without effect behind another
  return { watch, faults };
}

describe("sim/check/spin-watch", () => {
  test("ten in a second are allowed, in the next second ten more", () => {
    const { watch, faults } = watched();
    for (let i = 0; i < IDLE_TURNS_MAX; i += 1) watch.turned(SECOND + i, STILL);
    for (let i = 0; i < IDLE_TURNS_MAX; i += 1) watch.turned(2 * SECOND + i, STILL);
    assert.deepEqual(faults, []);
    assert.equal(watch.idleMax, IDLE_TURNS_MAX);
  });

  test("one more is a fault, told once", () => {
    const { watch, faults } = watched();
    for (let i = 0; i < 3 * IDLE_TURNS_MAX; i += 1) watch.turned(SECOND + i, STILL);
    assert.deepEqual(faults, ["the loop spins: more than 10 turns without effect in a second"]);
  });

  test("a turn that moves anything is none of them", () => {
    for (const name of Object.keys(STILL) as (keyof Effects)[]) {
      const { watch, faults } = watched();
      for (let i = 1; i < 100; i += 1) watch.turned(SECOND + i, { ...STILL, [name]: 100 + i });
      assert.deepEqual(faults, [], name);
      assert.equal(watch.idleMax, 0);
    }
  });

  test("one behind each that had an effect is allowed", () => {
    const { watch, faults } = watched();
    for (let i = 0; i < 1000; i += 1) watch.turned(SECOND + i, { ...STILL, frames: i >> 1 });
    assert.deepEqual(faults, []);
  });

  test("a loop that never stops ends the run", () => {
    const { watch } = watched();
    let turns = 0;
    while (!watch.turned(SECOND, STILL) && turns < 10_000) turns += 1;
    assert.equal(turns, 2000);
  });
});
