/**
 * Makes the report of a run: the numbers of the world it happened in, and the samples of its
 * sampler. Pure; see `model.ts` for how it is used.
 */
import type { Sampler } from "../sampler.ts";
import type { WorldResult } from "../verdict.ts";
import type { World } from "../world.ts";
import type { ReportMark, ReportTable, RunReport } from "./model.ts";
import { plotsOf } from "./plots.ts";
import { factsOf, tablesOf } from "./tables.ts";

/** What a run does not know of itself. */
export interface ReportAbout {
  readonly title: string;
  readonly description?: string;
  readonly reproduce?: string;
  /** What somebody wished of the run, and whether it came so. */
  readonly expectations?: readonly { readonly ok: boolean; readonly text: string }[];
}

/** The report of a world that has run with this sampler. */
export function reportOf(
  world: World,
  result: WorldResult,
  sampler: Sampler,
  about: ReportAbout,
): RunReport {
  const { plan } = world;
  const violations = result.violations.map(readViolation);
  const expectations = about.expectations ?? [];
  const activeUntil = Math.max(activityEnd(sampler), ...violations.map(({ at }) => at));
  return {
    title: about.title,
    description: about.description ?? "",
    seed: plan.seed,
    ok: violations.length === 0 && expectations.every(({ ok }) => ok),
    hash: result.hash,
    violations,
    reproduce: about.reproduce ?? `slirp-binding simulate --seed ${plan.seed}`,
    marks: marksOf(world, activeUntil),
    facts: factsOf(world, result, sampler, activeUntil),
    tables: [...expectationTable(expectations), ...tablesOf(world, result, sampler)],
    times: sampler.times.map((time) => time / 1e6),
    activeUntil,
    plots: plotsOf(sampler, plan, activeUntil),
  };
}

function expectationTable(
  expectations: readonly { readonly ok: boolean; readonly text: string }[],
): ReportTable[] {
  if (expectations.length === 0) return [];
  const rows = expectations.map(({ ok, text }) => [text, ok ? "held" : "MISSED"] as const);
  return [{ title: "Expectations", head: ["Expected", "Came"], rows }];
}

/** `World` writes when it was in front of what it was. */
function readViolation(line: string): ReportMark {
  const [, at = "0", text = line] = /^(\d+\.\d+) ([\s\S]*)$/.exec(line) ?? [];
  return { at: Number(at), text };
}

/** Seconds until the first sample after which no frame moved. */
function activityEnd(sampler: Sampler): number {
  const received = sampler.column("guestRxFrames");
  const sent = sampler.column("guestTxFrames");
  const total = (i: number): number => (received[i] ?? 0) + (sent[i] ?? 0);
  const last = total(sampler.times.length - 1);
  const index = sampler.times.findIndex((_, i) => total(i) === last);
  return (sampler.times[index] ?? 0) / 1e6;
}

function marksOf({ plan }: World, until: number): ReportMark[] {
  const { calmAt, outage, toGuest, toEngine, host } = plan;
  const faults = [toGuest.faults, toEngine.faults].flatMap((each) => [
    ...[each.loss, each.duplicate, each.late, each.corrupt, each.outages],
  ]);
  const { again, interrupted, shortWrites, datagramLoss } = host;
  const hasFaults = [...faults, again, interrupted, shortWrites, datagramLoss].some((n) => n > 0);
  const marks: ReportMark[] = [];
  if (outage !== undefined && outage.duration > 0) {
    marks.push({ at: outage.at / 1e6, text: "host cut off" });
    marks.push({ at: (outage.at + outage.duration) / 1e6, text: "host back" });
  }
  if (hasFaults) marks.push({ at: calmAt / 1e6, text: "faults stop" });
  return marks.filter(({ at }) => at <= until);
}
