/** One plan, one run, one verdict, with whatever engine there is. */
import type { Plan } from "./plan.ts";
import { Trace } from "./trace.ts";
import type { Verdict } from "./verdict.ts";
import { World, type WorldOptions } from "./world.ts";

/** A run that is over, with what is left of it. */
export interface FinishedRun {
  readonly world: World;
  readonly verdict: Verdict;
}

/** Carries out a plan: the same plan, the same trace hash. */
export function runPlan(
  module: WebAssembly.Module,
  plan: Plan,
  trace?: (line: string) => void,
  observers?: WorldOptions,
): FinishedRun {
  const world = new World(module, plan, new Trace(trace), observers);
  const result = world.run();
  return { world, verdict: { seed: plan.seed, ok: result.violations.length === 0, ...result } };
}
