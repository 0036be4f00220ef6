/** Seeds in a row: which are run, when it ends, and what they come to. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { simulateSeed } from "../../src/lab/sim/simulate.ts";
import { runSeeds, Tally } from "../../src/lab/sim/swarm.ts";
import { reproduceCommand } from "./reproduce.ts";

describe("sim/swarm", () => {
  test("seeds come in order; steps share them without gap", () => {
    const seeds = (from: number, step: number): number[] =>
      [...runSeeds({ from, count: 4, step })].map(({ seed }) => seed);
    assert.deepEqual(seeds(7, 1), [7, 8, 9, 10]);
    assert.deepEqual(seeds(7, 3), [7, 10]);
  });

  test("without a count it goes on until nobody asks", () => {
    const tally = new Tally();
    for (const verdict of runSeeds({ from: 82 })) {
      tally.add(verdict);
      if (tally.seeds === 2) break;
    }
    const [one, two] = [simulateSeed(82), simulateSeed(83)];
    assert.equal(tally.elapsed, one.elapsed + two.elapsed);
    const frames = [one, two].map((each) => each.framesToEngine + each.framesToGuest);
    assert.equal(tally.frames, (frames[0] ?? 0) + (frames[1] ?? 0));
    assert.deepEqual(tally.failures, []);
  });

  test("a failure is kept, with the command that repeats it", () => {
    const tally = new Tally();
    tally.add({ ...simulateSeed(82), ok: false, violations: ["1.5 wrong"] });
    assert.deepEqual(
      tally.failures.map(({ seed }) => reproduceCommand(seed)),
      ["slirp-binding simulate --seed 82"],
    );
  });
});
