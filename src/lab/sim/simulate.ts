/**
 * One seed or one plan, one run, one verdict.
 */

import { type Family, planOfFamily } from "./family.ts";
import type { Plan } from "./plan.ts";
import { simulatedEngine } from "./simulated-engine.ts";
import { Trace } from "./trace.ts";
import { World, type WorldOptions, type WorldResult } from "./world.ts";

export interface Verdict extends WorldResult {
  readonly seed: number;
  readonly ok: boolean;
}

export interface SimulateOptions {
  /** Takes one line per event, for people. */
  readonly trace?: (line: string) => void;
  /** Another engine than the one that was built; for tests of the simulator itself. */
  readonly module?: WebAssembly.Module;
  /** What else follows the run. */
  readonly observers?: WorldOptions;
}

/** A run that is over, with what is left of it. */
export interface FinishedRun {
  readonly world: World;
  readonly verdict: Verdict;
}

/** Runs the plan that belongs to a seed: the same seed, the same trace hash, everywhere. */
export function simulateSeed(
  seed: number,
  options: SimulateOptions = {},
  family: Family = "random",
): Verdict {
  return simulatePlan(planOfFamily(family, seed).plan, options).verdict;
}

/** Carries out a plan: the same plan, the same trace hash. */
export function simulatePlan(plan: Plan, options: SimulateOptions = {}): FinishedRun {
  const { trace, module = simulatedEngine(), observers } = options;
  const world = new World(module, plan, new Trace(trace), observers);
  const result = world.run();
  return { world, verdict: { seed: plan.seed, ok: result.violations.length === 0, ...result } };
}
