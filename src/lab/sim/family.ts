/**
 * All families of plans that belong to a seed: those of `drawn-plan.ts`, and
 *
 *   competition   several parties that want more than there is, on a sound link and host
 *
 * which is written as a scenario.
 */
import { planOfCompetition } from "./competition.ts";
import { DRAWN_FAMILIES, type DrawnFamily, drawPlan } from "./drawn-plan.ts";
import { groupsByKind, type ScenarioPlan } from "./scenario-plan.ts";

export const FAMILIES = [...DRAWN_FAMILIES, "competition"] as const;

export type Family = DrawnFamily | "competition";

/** The plan that belongs to a seed of a family. */
export function planOfFamily(family: Family, seed: number): ScenarioPlan {
  if (family === "competition") return planOfCompetition(seed);
  const plan = drawPlan(family, seed);
  return { plan, groups: groupsByKind(plan) };
}

/** Options of `simulate` that choose the family; the usual one needs none. */
export function familyOptions(family: Family): string {
  return family === "random" ? "" : ` --family ${family}`;
}
