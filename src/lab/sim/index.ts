/**
 * The simulator as an entry of the package: the real engine and the real loop between a modelled
 * guest and a modelled host, with the faults of links and hosts, in virtual time.
 *
 *     const verdict = simulate(engine, 17);
 *     if (!verdict.ok) console.log(verdict.violations);
 */
export { DRAWN_FAMILIES, type DrawnFamily, drawPlan } from "./drawn-plan.ts";
export type { Plan } from "./plan.ts";
export { type SimulationOptions, simulate } from "./simulation.ts";
export type { Verdict } from "./verdict.ts";
