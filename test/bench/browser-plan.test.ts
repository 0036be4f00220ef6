/** Bars of the demonstration: ratios within a repetition, and what a run is asked for. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  CONFIGS,
  FACTOR,
  judge,
  keyOf,
  METRICS,
  parseOptions,
  type Results,
  type Sample,
} from "../../bench/browser-plan.ts";

const sample = (speed: number): Sample => ({ speed, perCpu: 1 });

test("a bar is judged by the median of ratios within repetitions", () => {
  const results: Results = new Map([
    [keyOf("down", "engine 65520"), [sample(12), undefined, sample(4), sample(50)]],
    [keyOf("down", "v86 1500"), [sample(2), sample(1), undefined, sample(5)]],
    [keyOf("up", "engine 65520"), [sample(4)]],
    [keyOf("up", "v86 1500"), [sample(1)]],
  ]);
  assert.deepEqual(judge(results), [
    { metric: "down", ratio: 8, isMet: true },
    { metric: "up", ratio: 4, isMet: false },
  ]);
});

test("a bar without a common repetition is missed, and one without a side is not judged", () => {
  const ours = keyOf("up", "engine 65520");
  const theirs = keyOf("up", "v86 1500");
  const [verdict] = judge(
    new Map([
      [ours, [undefined]],
      [theirs, [sample(1)]],
    ]),
  );
  assert.equal(verdict?.isMet, false);
  assert.deepEqual(judge(new Map([[ours, [sample(FACTOR)]]])), []);
});

test("what is compared is measured, and by names of their own", () => {
  const names = CONFIGS.map(({ name }) => name);
  assert.ok(names.includes("engine 65520") && names.includes("v86 1500"));
  assert.equal(new Set(names).size, names.length);
  assert.equal(new Set(METRICS).size, METRICS.length);
});

test("words choose configurations; a stray one and a wrong number are refused", () => {
  assert.deepEqual(
    parseOptions(["--only", "v86", "--size", "2"]).configs.map(({ name }) => name),
    ["v86 1500"],
  );
  assert.equal(parseOptions(["--size", "2"]).size, 2e6);
  assert.equal(parseOptions([]).reps, 5);
  assert.throws(() => parseOptions(["--only", "nothing"]), /names no configuration/);
  assert.throws(() => parseOptions(["--reps", "0"]), /--reps must be a whole number/);
  assert.throws(() => parseOptions(["--size", "65"]), /--size must be/);
});
