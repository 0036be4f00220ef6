/**
 * What a run came to, in numbers: for each group of flows what was carried and how fast, and for
 * the whole what was dropped and why. A value made after the run; reports only write it down.
 *
 * Times are virtual microseconds, rates octets per second of virtual time.
 */
import { DROP_NAMES, readStats } from "../../engine/stats.ts";
import type { AppOutcome } from "./app.ts";
import { START } from "./clock.ts";
import type { FlowGroup } from "./scenario-plan.ts";
import type { WorldResult } from "./verdict.ts";
import type { WireCounts } from "./wire.ts";
import type { World } from "./world.ts";

/** Of many numbers; undefined where there are none. */
export interface Spread {
  readonly median: number;
  readonly p95: number;
  readonly max: number;
}

export interface GroupSummary {
  readonly group: FlowGroup;
  /** Connections by how they ended, the most frequent first; "open" = they did not. */
  readonly ends: readonly (readonly [string, number])[];
  readonly up: number;
  readonly down: number;
  readonly asked: number;
  readonly answered: number;
  readonly refused: number;
  /** From the first start to the last end. */
  readonly time: number;
  /** The longest of one flow. */
  readonly timeMax: number;
  /** Octets of both directions by the time above, all flows together. */
  readonly throughput: number;
  /** Of the flows that carried anything: the least and the most. Infinity and 0 = none did. */
  readonly throughputMin: number;
  readonly throughputMax: number;
  readonly connect: Spread | undefined;
  readonly roundTrip: Spread | undefined;
}

export interface RunSummary {
  readonly result: WorldResult;
  /** When the last flow ended, counted from the start: what follows is waiting for timers. */
  readonly busy: number;
  readonly groups: readonly GroupSummary[];
  readonly wires: { readonly toGuest: WireCounts; readonly toEngine: WireCounts };
  /** Reasons without "drop" in front, the most frequent first. */
  readonly drops: readonly (readonly [string, number])[];
}

/** Reads a world whose run is over. */
export function summarize(
  world: World,
  result: WorldResult,
  groups: readonly FlowGroup[],
): RunSummary {
  const { outcomes } = world;
  const ends = outcomes.map(({ endedAt }) => endedAt ?? START);
  const stats = readStats(world.engine);
  const drops = DROP_NAMES.map((name) => [reasonOf(name), stats[name]] as const);
  return {
    result,
    busy: ends.reduce((latest, each) => Math.max(latest, each), START) - START,
    groups: groups.map((group) => summarizeGroup(group, outcomes)),
    wires: world.wires,
    drops: drops.filter(([, count]) => count > 0).sort(([, a], [, b]) => b - a),
  };
}

function reasonOf(name: string): string {
  return name.slice(4, 5).toLowerCase() + name.slice(5);
}

function summarizeGroup(group: FlowGroup, all: readonly AppOutcome[]): GroupSummary {
  const { kind, first, count } = group;
  const own = all.filter(
    (each) => each.kind === kind && each.id >= first && each.id < first + count,
  );
  const sum = (of: (each: AppOutcome) => number): number =>
    own.reduce((total, each) => total + of(each), 0);
  const spans = own.flatMap(({ startedAt, endedAt, up, down }) =>
    startedAt === undefined || endedAt === undefined
      ? []
      : [{ from: startedAt, to: endedAt, octets: up + down }],
  );
  const begin = spans.reduce((least, { from }) => Math.min(least, from), Number.POSITIVE_INFINITY);
  const end = spans.reduce((most, { to }) => Math.max(most, to), 0);
  const time = spans.length === 0 ? 0 : end - begin;
  const speeds = spans
    .filter(({ octets }) => octets > 0)
    .map((each) => speed(each.octets, each.to - each.from));
  const octets = sum(({ up, down }) => up + down);
  return {
    group,
    ends: kind === "tcp" ? countEnds(own) : [],
    up: sum(({ up }) => up),
    down: sum(({ down }) => down),
    asked: sum(({ asked }) => asked),
    answered: sum(({ answered }) => answered),
    refused: sum(({ refused }) => refused),
    time,
    timeMax: spans.reduce((most, { from, to }) => Math.max(most, to - from), 0),
    throughput: speed(octets, time),
    throughputMin: speeds.reduce((least, each) => Math.min(least, each), Number.POSITIVE_INFINITY),
    throughputMax: speeds.reduce((most, each) => Math.max(most, each), 0),
    connect: spread(own.flatMap(({ connectTime }) => connectTime ?? [])),
    roundTrip: spread(own.flatMap(({ roundTrips }) => roundTrips)),
  };
}

function speed(octets: number, time: number): number {
  return (octets * 1_000_000) / Math.max(time, 1);
}

function countEnds(own: readonly AppOutcome[]): (readonly [string, number])[] {
  const counts = new Map<string, number>();
  for (const { reason = "open" } of own) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return [...counts].sort(([, a], [, b]) => b - a);
}

function spread(values: readonly number[]): Spread | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number | undefined =>
    sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)];
  const [median, p95, max] = [at(0.5), at(0.95), at(1)];
  if (median === undefined || p95 === undefined || max === undefined) return undefined;
  return { median, p95, max };
}
