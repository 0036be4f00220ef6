/**
 * A run that somebody looks at: of a scenario file or of a seed, with what it came to and whether
 * that is what was expected. A swarm needs only verdicts, and uses `simulateSeed`.
 */
import { type Checked, checkExpectations } from "./expect.ts";
import { type Family, planOfFamily } from "./family.ts";
import type { Plan } from "./plan.ts";
import { type FlowGroup, planOfScenario } from "./scenario-plan.ts";
import type { RunExpectations, ScenarioDocument } from "./scenario-schema.ts";
import { type SimulateOptions, simulatePlan } from "./simulate.ts";
import { type RunSummary, summarize } from "./summary.ts";
import type { World } from "./world.ts";

export interface CheckedRun {
  readonly title: string;
  readonly description: string | undefined;
  readonly plan: Plan;
  readonly world: World;
  readonly summary: RunSummary;
  readonly expectations: readonly Checked[];
  /** No violation, and all that was expected. */
  readonly ok: boolean;
}

/** @param seed another than the file's, for other luck with the same flows */
export function runScenario(
  document: ScenarioDocument,
  seed = document.seed,
  options: SimulateOptions = {},
): CheckedRun {
  const { plan, groups } = planOfScenario(document, seed);
  const { title, description, expect } = document;
  return { ...run(plan, groups, expect, options), title, description };
}

/** The plan of a seed. */
export function runSeed(
  seed: number,
  options: SimulateOptions = {},
  family: Family = "random",
): CheckedRun {
  const { plan, groups } = planOfFamily(family, seed);
  const description = "Drawn from its seed.";
  return { ...run(plan, groups, undefined, options), title: family, description };
}

function run(
  plan: Plan,
  groups: readonly FlowGroup[],
  expected: RunExpectations | undefined,
  options: SimulateOptions,
) {
  const { world, verdict } = simulatePlan(plan, options);
  const summary = summarize(world, verdict, groups);
  const expectations = expected === undefined ? [] : checkExpectations(summary, expected);
  const ok = verdict.ok && expectations.every((each) => each.ok);
  return { plan, world, summary, expectations, ok };
}
