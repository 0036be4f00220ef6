/** What a plan has happen at times of its own, whatever the guest and the engine do. */
import type { Cable } from "./cable.ts";
import { START, type VirtualClock } from "./clock.ts";
import type { SimHost } from "./host/host.ts";
import type { Plan } from "./plan.ts";

/** How long a peer's reset may take to the guest. */
const FORSAKEN = 5_000_000;

/** Whom it happens to. */
export interface Actors {
  readonly host: SimHost;
  readonly cable: Cable;
  /** The worker fails. */
  fail(): void;
  /** The peer of this connection has been gone for a while. */
  forsake(id: number): void;
}

export function scheduleEvents(plan: Plan, clock: VirtualClock, actors: Actors): void {
  const { host, cable } = actors;
  if (plan.outage !== undefined) {
    const { at, duration } = plan.outage;
    clock.at(START + at, () => host.setOffline(true));
    clock.at(START + at + duration, () => host.setOffline(false));
  }
  for (const at of plan.restarts ?? []) clock.at(START + at, () => actors.fail());
  for (const outage of plan.resolverOutages ?? []) {
    clock.at(START + outage.at, () => host.setResolver(outage, true));
    clock.at(START + outage.at + outage.duration, () => host.setResolver(outage, false));
  }
  for (const { at, duration } of plan.silences ?? []) {
    clock.at(START + at, () => cable.setSilent(true));
    clock.at(START + at + duration, () => cable.setSilent(false));
  }
  for (const { id, leavesAt } of plan.tcp) {
    if (leavesAt === undefined) continue;
    clock.at(START + leavesAt, () => host.leave(id));
    clock.at(START + leavesAt + FORSAKEN, () => actors.forsake(id));
  }
}
