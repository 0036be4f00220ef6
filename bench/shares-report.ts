/**
 * The tables of `npm run bench -- --shares`, in markdown, and what is judged.
 *
 * A ratio is taken within a repetition; the median of the repetitions is shown and judged. A time
 * is judged by the median of each repetition's worst, and only if every attempt succeeded.
 */
import type { ProgramKind } from "../test/support/e2e/program.ts";
import { median } from "./report.ts";
import type { Attempts, CrowdEnd, Figures, Probes, ProgramEnd, Stream } from "./shares-measure.ts";
import { type Crowd, LIMIT_s, SPEED_BAR, TIME_BAR_ms, titleOf } from "./shares-plan.ts";

/** One repetition; `error` when it could not be done, with what there is. */
export interface Repetition {
  readonly crowd: Crowd;
  readonly kind: ProgramKind;
  readonly error?: string;
  readonly alone?: Figures;
  readonly beside?: Figures;
  /** Only those of a flood: throughout it. */
  readonly probes?: Probes;
  readonly crowdEnd?: CrowdEnd;
  readonly program?: ProgramEnd;
}

export interface Verdict {
  readonly what: string;
  readonly wanted: string;
  readonly got: string;
  readonly met: boolean;
}

type StreamName = "down" | "up" | "served";
type ProbeName = "connect" | "publish" | "names";
const STREAMS: readonly StreamName[] = ["down", "up", "served"];
const PROBES: readonly ProbeName[] = ["connect", "publish", "names"];
const TITLES: Readonly<Record<StreamName | ProbeName, string>> = {
  down: "guest's download",
  up: "guest's upload",
  served: "download from guest",
  connect: "guest connects, ms",
  publish: "connects to guest, ms",
  names: "guest's DNS, ms",
};
const MEGA = 1e6;
/** What a verdict wants where nothing is judged. */
export const TOLD = "told only";

const rate = ({ octets, ms }: Stream): number => (ms > 0 ? (octets * 8) / MEGA / (ms / 1000) : 0);

function whole(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2);
}

/** "0.97 (0.9..1.02) of 3100": ratio to the speed alone, and that in Mbit/s. */
function streamCell(all: readonly Repetition[], name: StreamName): string {
  const pairs = pairsOf(all, name);
  if (pairs.length === 0) return "–";
  const alone = median(pairs.map((pair) => rate(pair.alone)));
  if (pairs.every((pair) => !pair.alone.ok)) return `not even alone: ${failure(pairs[0]?.alone)}`;
  const ratios = ratiosOf(all, name);
  const range = `(${Math.min(...ratios).toFixed(2)}..${Math.max(...ratios).toFixed(2)})`;
  const failed = pairs.map((pair) => pair.beside).filter(({ ok }) => !ok);
  const words = failed.length > 0 ? `; ${failed.length}x ${failure(failed[0])}` : "";
  return `${median(ratios).toFixed(2)} ${range} of ${whole(alone)}${words}`;
}

function failure(stream: Stream | undefined): string {
  const mib = ((stream?.octets ?? 0) / 2 ** 20).toFixed(1);
  return stream?.error === "late" ? `${mib} MiB in ${LIMIT_s} s` : `${stream?.error} at ${mib} MiB`;
}

interface Pair {
  readonly alone: Stream;
  readonly beside: Stream;
}

function pairsOf(all: readonly Repetition[], name: StreamName): Pair[] {
  return all.flatMap(({ alone, beside }) =>
    alone === undefined || beside === undefined
      ? []
      : [{ alone: alone[name], beside: beside[name] }],
  );
}

function ratiosOf(all: readonly Repetition[], name: StreamName): number[] {
  return pairsOf(all, name)
    .filter(({ alone }) => alone.ok)
    .map((pair) => rate(pair.beside) / rate(pair.alone));
}

/** Time of 8 MiB beside the crowd, the slowest of the three streams: the median of repetitions. */
function leastCell(all: readonly Repetition[]): string {
  const times = all.flatMap(({ beside }) => {
    if (beside === undefined) return [];
    const each = STREAMS.map((name) => beside[name].least_ms || Number.POSITIVE_INFINITY);
    return [Math.max(...each)];
  });
  const middle = times.length === 0 ? Number.NaN : median(times);
  return Number.isFinite(middle) ? whole(middle) : times.length === 0 ? "–" : "never";
}

const attemptsOf = (all: readonly Repetition[], name: ProbeName): Attempts[] =>
  all.flatMap(({ beside, probes }) => {
    const from = beside ?? probes;
    return from === undefined ? [] : [from[name]];
  });

/** Part of the attempts that succeeded, 0 to 1. */
function shareOf(attempts: readonly Attempts[]): number {
  const tried = attempts.reduce((sum, each) => sum + each.tried, 0);
  return tried === 0 ? 0 : attempts.reduce((sum, each) => sum + each.ok, 0) / tried;
}

/** "0.6 / 3.2": median and worst, after the part that succeeded where that is not all. */
function attemptsCell(attempts: readonly Attempts[]): string {
  if (attempts.length === 0) return "–";
  const share = shareOf(attempts);
  if (share === 0) return `none in ${LIMIT_s} s`;
  const answered = attempts.filter(({ ok }) => ok > 0);
  const [middle, worst] = [
    median(answered.map(({ p50_ms }) => p50_ms)),
    median(answered.map(({ most_ms }) => most_ms)),
  ];
  const times = `${whole(middle)} / ${whole(worst)}`;
  return share === 1 ? times : `${(share * 100).toFixed(1)} %: ${times}`;
}

/** "1000 after 12 s": how many were open at the end, and when the measurement began. */
function crowdCell(all: readonly Repetition[]): string {
  const ends = all.flatMap(({ crowdEnd }) => (crowdEnd === undefined ? [] : [crowdEnd]));
  if (ends.length === 0) return "–";
  const times = ends.flatMap(({ still_s }) => (still_s === undefined ? [] : [still_s]));
  const open = median(ends.map((end) => end.open)).toFixed(0);
  return times.length === 0 ? open : `${open} after ${median(times).toFixed(0)} s`;
}

function programCells(all: readonly Repetition[]): string[] {
  const ends = all.flatMap(({ program }) => (program === undefined ? [] : [program]));
  if (ends.length === 0) return ["–", "–"];
  if (ends.some(({ alive }) => !alive)) return ["ended", "ended"];
  const memory = median(ends.map(({ resident_mib }) => resident_mib));
  return [whole(memory), (median(ends.map(({ cpu }) => cpu)) * 100).toFixed(0)];
}

function row(crowd: Crowd, kind: ProgramKind, all: readonly Repetition[]): string[] {
  const good = all.filter(({ error }) => error === undefined);
  const error = all.find((each) => each.error !== undefined)?.error ?? "";
  const reps = `${good.length} of ${all.length}${error === "" ? "" : `: ${error}`}`;
  const streams = crowd.kind === "idle" ? [] : STREAMS.map((name) => streamCell(good, name));
  const least = crowd.kind === "idle" ? [] : [leastCell(good)];
  const probes = PROBES.map((name) => attemptsCell(attemptsOf(good, name)));
  const ends = [crowdCell(good), ...programCells(good), reps];
  return [titleOf(crowd), kind, ...streams, ...least, ...probes, ...ends];
}

export function markdown(rows: readonly (readonly string[])[]): string {
  const [head = [], ...rest] = rows;
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), `|${"---|".repeat(head.length)}`, ...rest.map(line)].join("\n");
}

/** One table for what stands still and one for floods, as far as there is something. */
export function sharesTables(all: readonly Repetition[]): string {
  const probes = PROBES.map((name) => TITLES[name]);
  const ends = ["crowd held", "resident, MiB", "CPU, %", "repetitions"];
  const streams = [...STREAMS.map((name) => TITLES[name]), "8 MiB, ms"];
  const floods = rowsOf(all, true);
  const others = rowsOf(all, false);
  const tables: string[] = [];
  if (others.length > 0) {
    tables.push(markdown([["beside", "program", ...streams, ...probes, ...ends], ...others]));
  }
  if (floods.length > 0) {
    tables.push(markdown([["throughout", "program", ...probes, ...ends], ...floods]));
  }
  return tables.join("\n\n");
}

function groups(all: readonly Repetition[]): Repetition[][] {
  const byName = new Map<string, Repetition[]>();
  for (const each of all) {
    const name = `${titleOf(each.crowd)} ${each.kind}`;
    byName.set(name, [...(byName.get(name) ?? []), each]);
  }
  return [...byName.values()];
}

function rowsOf(all: readonly Repetition[], idle: boolean): string[][] {
  return groups(all).flatMap((group) => {
    const [first] = group;
    if (first === undefined || (first.crowd.kind === "idle") !== idle) return [];
    return [row(first.crowd, first.kind, group)];
  });
}

/** Judges this program beside each crowd. */
export function sharesVerdicts(all: readonly Repetition[]): Verdict[] {
  return groups(all)
    .filter(([first]) => first?.kind === "ours")
    .flatMap((group) => {
      const [first] = group;
      if (first === undefined) return [];
      const title = titleOf(first.crowd);
      const failed = group.find(({ error }) => error !== undefined)?.error;
      if (failed !== undefined) {
        return [{ what: title, wanted: "an answer", got: failed, met: false }];
      }
      const streams = first.crowd.kind === "idle" ? [] : STREAMS;
      return [
        ...streams.map((name) => streamVerdict(first.crowd, name, group)),
        ...PROBES.map((name) => timeVerdict(title, name, first.crowd, attemptsOf(group, name))),
      ];
    });
}

/** A crowd that is still coming uses the line as well: what is left is told only. */
function streamVerdict(crowd: Crowd, name: StreamName, all: readonly Repetition[]): Verdict {
  const ratio = median(ratiosOf(all, name));
  const ended = pairsOf(all, name).every(({ beside }) => beside.ok);
  const met = crowd.arriving === true || (ratio >= SPEED_BAR && ended);
  const what = `${titleOf(crowd)}: ${TITLES[name]} / alone`;
  const wanted = crowd.arriving === true ? TOLD : `≥ ${SPEED_BAR}`;
  return { what, wanted, got: streamCell(all, name), met };
}

/** Beside what stands still each attempt has to be quick; throughout a flood it has to succeed. */
function timeVerdict(
  title: string,
  name: ProbeName,
  crowd: Crowd,
  attempts: readonly Attempts[],
): Verdict {
  const flood = crowd.kind === "idle";
  const worst = median(attempts.map(({ most_ms }) => most_ms));
  // The crowd's own way in is the crowd's: a stranger beside it may have to try again.
  const owed = !(flood && name === "publish");
  const answered = shareOf(attempts) === 1;
  const met = !owed || (answered && (flood || worst <= TIME_BAR_ms));
  const wanted = !owed ? TOLD : flood ? "all succeed" : `worst ≤ ${TIME_BAR_ms}`;
  return { what: `${title}: ${TITLES[name]}`, wanted, got: attemptsCell(attempts), met };
}
