/**
 * The families of plans that are drawn from a seed. Each has seeds of its own: seed 17 of one says
 * nothing about seed 17 of another.
 *
 *   random        one of everything, and all kinds of trouble on link and host
 *   windows       shut windows of which nobody hears, and uploads sent again in other pieces
 *   vhost-user    the random ones, with a guest whose card is a vhost-user one
 */
import { planOfCard } from "./card/card-family.ts";
import type { Plan } from "./plan.ts";
import { planFromSeed } from "./scenario.ts";
import { planOfWindows } from "./windows.ts";

export const DRAWN_FAMILIES = ["random", "windows", "vhost-user"] as const;

export type DrawnFamily = (typeof DRAWN_FAMILIES)[number];

const PLANS: Readonly<Record<DrawnFamily, (seed: number) => Plan>> = {
  random: planFromSeed,
  windows: planOfWindows,
  "vhost-user": planOfCard,
};

/** The plan that belongs to a seed, to be looked at or changed before it is carried out. */
export function drawPlan(family: DrawnFamily, seed: number): Plan {
  return PLANS[family](seed);
}
