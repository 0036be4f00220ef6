/**
 * The families of plans that are drawn from a seed. Each has seeds of its own: seed 17 of one says
 * nothing about seed 17 of another.
 *
 *   random        one of everything, and all kinds of trouble on link and host
 *   windows       shut windows of which nobody hears, and uploads sent again in other pieces
 *   vhost-user    the random ones, with a guest whose card is a vhost-user one
 *   competition   several parties that want more than there is, on a sound link and host
 */
import { planOfCard } from "./card/card-family.ts";
import { planOfCompetition } from "./competition.ts";
import type { Plan } from "./plan.ts";
import { planFromSeed } from "./scenario.ts";
import { groupsByKind, type ScenarioPlan } from "./scenario-plan.ts";
import { planOfWindows } from "./windows.ts";

export const FAMILIES = ["random", "windows", "vhost-user", "competition"] as const;

export type Family = (typeof FAMILIES)[number];

const PLANS: Readonly<Record<Exclude<Family, "competition">, (seed: number) => Plan>> = {
  random: planFromSeed,
  windows: planOfWindows,
  "vhost-user": planOfCard,
};

/** The plan that belongs to a seed of a family. */
export function planOfFamily(family: Family, seed: number): ScenarioPlan {
  if (family === "competition") return planOfCompetition(seed);
  const plan = PLANS[family](seed);
  return { plan, groups: groupsByKind(plan) };
}

/** Options of `simulate` that choose the family; the usual one needs none. */
export function familyOptions(family: Family): string {
  return family === "random" ? "" : ` --family ${family}`;
}
