/**
 * One seed or one plan, one run, one verdict.
 */

import { type Family, planOfFamily } from "./family.ts";
import type { Plan } from "./plan.ts";
import { type FinishedRun, runPlan } from "./run-plan.ts";
import { simulatedEngine } from "./simulated-engine.ts";
import type { Verdict } from "./verdict.ts";
import type { WorldOptions } from "./world.ts";

export interface SimulateOptions {
  /** Takes one line per event, for people. */
  readonly trace?: (line: string) => void;
  /** Another engine than the one that was built; for tests of the simulator itself. */
  readonly module?: WebAssembly.Module;
  /** What else follows the run. */
  readonly observers?: WorldOptions;
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
  return runPlan(module, plan, trace, observers);
}
