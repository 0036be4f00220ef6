/**
 * The list of deliberate bugs fits the engine's sources, and some of them are found by the seed
 * that is written down; `npm run mutants` tries all.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { describe, test } from "node:test";
import { mutate, plant, sourceOf } from "./compile.ts";
import { hunt } from "./hunt.ts";
import { isAsserted, MUTANTS } from "./list.ts";

const SEEDS_MAX = 500;
const COMPILED: readonly string[] = [
  "acknowledged too early",
  "chunk leaked at reset",
  "stale generation accepted",
  "half-closed connections stay",
  "a full link stops reading from the guest",
  "kick lost in small rings",
  "call lost",
  "used before written",
  "slots counted against a share they have left",
];
/** The compiler is slow, and makes the same engine whoever runs it: once is enough. */
const isNode = !("bun" in process.versions || "deno" in process.versions);

describe("sim/mutants", () => {
  test("every text to replace is there once, and names are not used twice", () => {
    for (const mutant of MUTANTS) assert.notEqual(mutate(mutant, sourceOf(mutant)), "");
    assert.equal(new Set(MUTANTS.map(({ name }) => name)).size, MUTANTS.length);
  });

  test("a text that is gone, or there twice, is refused", () => {
    const [mutant] = MUTANTS;
    assert.ok(mutant !== undefined);
    assert.throws(() => mutate(mutant, "nothing"), /found 0 times/);
    assert.throws(() => mutate(mutant, mutant.from + mutant.from), /found 2 times/);
  });

  test("each has been found, within 500 seeds", () => {
    const found = MUTANTS.filter(({ seed }) => seed >= 1 && seed <= SEEDS_MAX);
    assert.equal(found.length, MUTANTS.length);
  });

  for (const mutant of isNode ? MUTANTS.filter(({ name }) => COMPILED.includes(name)) : []) {
    test(`"${mutant.name}" is found by seed ${mutant.seed}`, async () => {
      const found = hunt(mutant, await plant(mutant), mutant.seed, 1);
      assert.equal(found?.seed, mutant.seed);
      if (!isAsserted(mutant)) return;
      assert.match(found.violation, /assertion failed at wasm\//);
      const unasserted = { ...mutant }; // one that is not in the list
      assert.equal(hunt(mutant, await plant(unasserted), mutant.seed, 1), undefined);
    });
  }
});
