/** The simulator as the package has it: an engine and a seed or a plan in, a verdict out. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { engineBytes } from "../../src/assets.ts";
import { DRAWN_FAMILIES, drawPlan, simulate } from "../../src/lab/sim/index.ts";
import { simulateSeed } from "../../src/lab/sim/simulate.ts";
import { simulatedEngine } from "../../src/lab/sim/simulated-engine.ts";

const SEED = 3;

describe("simulation", () => {
  test("a seed comes to the same as in the program, with octets and with a module", () => {
    const { hash } = simulateSeed(SEED);
    const found = simulate(engineBytes(false), SEED);
    assert.equal(found.ok, true);
    assert.equal(found.hash, hash);
    assert.equal(simulate(simulatedEngine(), SEED).hash, hash);
  });

  test("a plan that was drawn is the seed's, and is told line by line", () => {
    const lines: string[] = [];
    const plan = drawPlan("windows", SEED);
    const trace = (line: string): void => void lines.push(line);
    const { hash } = simulate(simulatedEngine(), plan, { trace });
    assert.equal(hash, simulate(simulatedEngine(), SEED, { family: "windows" }).hash);
    assert.ok(lines.length > 100, `${lines.length} lines`);
  });

  test("a run that cannot end well says what was wrong", () => {
    const plan = { ...drawPlan("random", SEED), calmAt: 0, patience: 1 };
    const { ok, violations } = simulate(simulatedEngine(), plan);
    assert.equal(ok, false);
    assert.ok(violations.length > 0);
  });

  test("octets that are no engine are refused", () => {
    assert.throws(() => simulate(new Uint8Array(8), SEED), { code: "MODULE" });
  });

  test("the families are those that need no scenario file", () => {
    assert.deepEqual([...DRAWN_FAMILIES], ["random", "windows", "vhost-user"]);
    const source = readFileSync(
      new URL("../../src/lab/sim/drawn-plan.ts", import.meta.url),
      "utf8",
    );
    assert.doesNotMatch(source, /scenario-plan|competition\.ts/);
  });
});
