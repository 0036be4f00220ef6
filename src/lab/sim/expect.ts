/**
 * What a scenario expects of its run, checked: one line for each expectation, held or not.
 *
 * These are wishes of who wrote the file. That nothing is lost, nothing acknowledged too early and
 * nothing left behind is checked in every run and needs no wish.
 */
import { dropName } from "./scenario-file.ts";
import type { RunExpectations } from "./scenario-schema.ts";
import type { Part } from "./scenario-units.ts";
import type { GroupSummary, RunSummary } from "./summary.ts";
import { formatCount, formatRate, formatTime } from "./text.ts";

export interface Checked {
  readonly ok: boolean;
  /** What was expected and what came. */
  readonly text: string;
}

/** Checks a run against the expectations of its scenario. */
export function checkExpectations(summary: RunSummary, expected: RunExpectations): Checked[] {
  const checks = new Checks("run");
  checks.most("time", expected["time-max"], summary.busy, formatTime);
  checks.least(
    "flows at once",
    expected["flows-at-once-min"],
    summary.result.flowsMax,
    formatCount,
  );
  for (const [reason, most] of Object.entries(expected["drops-max"])) {
    checks.most(`drops ${reason}`, most, countOf(summary, reason), formatCount);
  }
  for (const [reason, least] of Object.entries(expected["drops-min"])) {
    checks.least(`drops ${reason}`, least, countOf(summary, reason), formatCount);
  }
  return [...summary.groups.flatMap(checkGroup), ...checks.done];
}

function countOf({ drops }: RunSummary, reason: string): number {
  return drops.find(([each]) => dropName(each) === dropName(reason))?.[1] ?? 0;
}

function checkGroup(summary: GroupSummary): Checked[] {
  const { fields, count } = summary.group;
  if (fields === undefined) return [];
  const checks = new Checks(fields.name);
  if (fields.kind !== "tcp") {
    const { expect } = fields;
    const { asked, answered } = summary;
    checks.part("answered", expect["answered-min"], answered, asked);
    const most = expect["answered-max"];
    if (most !== undefined) checks.most("answered", wanted(most, asked), answered, formatCount);
    checks.most("round trip", expect["rtt-max"], summary.roundTrip?.max ?? 0, formatTime);
    if (fields.kind === "udp") {
      checks.part("told of", fields.expect["refused-min"], summary.refused, asked);
    }
    return checks.done;
  }
  const { expect } = fields;
  const ended = (reason: string): number =>
    summary.ends.find(([each]) => each === reason)?.[1] ?? 0;
  checks.part("finished", expect["finished-min"], ended("finished"), count);
  const refused = ended("refused") + ended("unreachable");
  checks.part("refused", expect["refused-min"], refused, count);
  checks.most("reset", expect["reset-max"], ended("reset"), formatCount);
  const { throughputMin } = summary;
  const slowest = Number.isFinite(throughputMin) ? throughputMin : 0;
  checks.least("throughput of each", expect["throughput-min"], slowest, formatRate);
  const { throughputMax } = summary;
  checks.most("throughput of each", expect["throughput-max"], throughputMax, formatRate);
  checks.most("time of each", expect["time-max"], summary.timeMax, formatTime);
  checks.most("time to connect", expect["connect-max"], summary.connect?.max ?? 0, formatTime);
  return checks.done;
}

function wanted(part: Part, all: number): number {
  return "count" in part ? part.count : (all * part.perMillion) / 1_000_000;
}

class Checks {
  readonly #name: string;
  readonly done: Checked[] = [];

  constructor(name: string) {
    this.#name = name;
  }

  #add(ok: boolean, text: string): void {
    this.done.push({ ok, text: `${this.#name}: ${text}` });
  }

  least(what: string, least: number | undefined, found: number, format: (n: number) => string) {
    if (least === undefined) return;
    this.#add(found >= least, `${what} at least ${format(least)}, was ${format(found)}`);
  }

  most(what: string, most: number | undefined, found: number, format: (n: number) => string) {
    if (most === undefined) return;
    this.#add(found <= most, `${what} at most ${format(most)}, was ${format(found)}`);
  }

  part(what: string, part: Part | undefined, found: number, all: number): void {
    if (part === undefined) return;
    const least = "count" in part ? formatCount(part.count) : `${part.perMillion / 10_000} %`;
    const came = `${formatCount(found)} of ${formatCount(all)}`;
    this.#add(found >= wanted(part, all), `${what} at least ${least}, was ${came}`);
  }
}
