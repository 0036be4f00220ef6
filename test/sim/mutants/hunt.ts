/** Looks for the first seed that finds a deliberate bug. */
import type { SimulateOptions } from "../../../src/lab/sim/simulate.ts";
import { runSeeds } from "../../../src/lab/sim/swarm.ts";
import { familyOf } from "./list.ts";
import type { Mutant } from "./mutant.ts";

export interface Found {
  readonly seed: number;
  /** What was found first. */
  readonly violation: string;
}

/**
 * The first of `count` seeds of the mutant's family whose run goes wrong; undefined = the bug
 * survives.
 * @param run the engine or loop with the bug
 */
export function hunt(
  mutant: Mutant,
  run: SimulateOptions,
  from: number,
  count: number,
): Found | undefined {
  const family = familyOf(mutant);
  for (const { seed, ok, violations } of runSeeds({ family, from, count, run })) {
    if (!ok) return { seed, violation: violations[0] ?? "" };
  }
  return undefined;
}
