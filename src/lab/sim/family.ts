/**
 * The families of plans that are drawn from a seed. Each has seeds of its own: seed 17 of one says
 * nothing about seed 17 of another.
 *
 *   random        one of everything, and all kinds of trouble on link and host
 *   windows       shut windows of which nobody hears, and uploads sent again in other pieces
 *   competition   several parties that want more than there is, on a sound link and host
 */
import { planOfCompetition } from "./competition.ts";
import { planFromSeed } from "./scenario.ts";
import { groupsByKind, type ScenarioPlan } from "./scenario-plan.ts";
import { planOfWindows } from "./windows.ts";

export const FAMILIES = ["random", "windows", "competition"] as const;

export type Family = (typeof FAMILIES)[number];

/** The plan that belongs to a seed of a family. */
export function planOfFamily(family: Family, seed: number): ScenarioPlan {
  if (family === "competition") return planOfCompetition(seed);
  const plan = family === "windows" ? planOfWindows(seed) : planFromSeed(seed);
  return { plan, groups: groupsByKind(plan) };
}

/** Options of `simulate` that choose the family; the usual one needs none. */
export function familyOptions(family: Family): string {
  return family === "random" ? "" : ` --family ${family}`;
}
