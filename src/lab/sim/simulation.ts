/** The simulator for whoever has an engine: a seed or a plan in, a verdict out. */
import { compileEngine } from "../../engine/module.ts";
import { type DrawnFamily, drawPlan } from "./drawn-plan.ts";
import type { Plan } from "./plan.ts";
import { runPlan } from "./run-plan.ts";
import type { Verdict } from "./verdict.ts";

/** What a run may be given besides what it carries out. */
export interface SimulationOptions {
  /** Whose seeds they are; absent: "random". */
  readonly family?: DrawnFamily;
  /** Takes one line for each event, for people. */
  readonly trace?: (line: string) => void;
}

/**
 * Carries a plan out with the program's own loop between a modelled guest and a modelled host, in
 * virtual time: the same engine and plan, the same `hash`, in every runtime. Takes as long as the
 * plan has work, mostly well below a second.
 * @param engine octets of `engine.wasm` or `engine-scalar.wasm`, or what they compile to
 * @param run a seed, or a plan
 * @throws EngineError for octets that are no engine; what goes wrong in the run is in the verdict
 */
export function simulate(
  engine: WebAssembly.Module | Uint8Array,
  run: number | Plan,
  { family = "random", trace }: SimulationOptions = {},
): Verdict {
  const module = engine instanceof WebAssembly.Module ? engine : compileEngine(engine);
  const plan = typeof run === "number" ? drawPlan(family, run) : run;
  return runPlan(module, plan, trace).verdict;
}
