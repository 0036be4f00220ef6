/**
 * `stats`: series by the names of /metrics, once or with what has changed.
 *
 * A histogram is shown by how often, the mean, and bounds that half and 99 of 100 observations are
 * below: what its buckets tell.
 */

import type {
  Family,
  GetStatsResponse,
  Sample,
} from "../../admin/gen/slirp_binding/admin/v1/admin_pb.js";
import type { StatsQuestion } from "../../config/inspect.ts";
import { type Asked, jsonLine } from "./asked.ts";
import { type Column, tableLines } from "./table.ts";
import { durationText, numberText, octetsText, timeText, US_PER_SECOND } from "./units.ts";

const MS_PER_SECOND = 1000;

/** One series at one time. */
interface Series {
  /** `name{label="value"}`. */
  readonly text: string;
  readonly family: Family;
  readonly sample: Sample;
  /** Of a counter or gauge; of a histogram how often. */
  readonly value: number;
}

interface Changed {
  readonly series: Series;
  readonly value: string;
  /** A second, or since the last look. */
  readonly rate: string;
}

const COLUMNS: readonly Column<Series>[] = [
  { title: "SERIES", cell: ({ text }) => text, least: 20 },
  { title: "VALUE", cell: valueText, isRight: true },
];
const WATCH_COLUMNS: readonly Column<Changed>[] = [
  { title: "SERIES", cell: ({ series }) => series.text, least: 20, width: 60 },
  { title: "VALUE", cell: ({ value }) => value, isRight: true, width: 9 },
  { title: "CHANGE", cell: ({ rate }) => rate, isRight: true, width: 9 },
];

export async function showStats(question: StatsQuestion, asked: Asked): Promise<void> {
  const { calls, output, signal } = asked;
  const { network, intervalSeconds, json } = question;
  if (!question.watch) {
    const answer = await calls.getStats({ network }, { signal });
    const chosen = seriesOf(answer, question);
    const lines = json
      ? chosen.map((series) => jsonLine(seriesRecord(series)))
      : tableLines(COLUMNS, chosen, output.columns()).map((line) => `${line}\n`);
    if (chosen.length === 0) asked.note(emptyText(question));
    else await output.write(lines.join(""));
    return;
  }
  let last: ReadonlyMap<string, Series> = new Map();
  let last_us: number | undefined;
  const request = { network, intervalMs: intervalSeconds * MS_PER_SECOND };
  for await (const answer of calls.watchStats(request, { signal })) {
    const now_us = Number(answer.timeUs);
    const chosen = seriesOf(answer, { ...question, all: true });
    const seconds = last_us === undefined ? undefined : (now_us - last_us) / US_PER_SECOND;
    const moved = chosen.filter((each) => json || question.all || hasMoved(each, last));
    const lines = json
      ? moved.map((series) => jsonLine({ time_us: now_us, ...seriesRecord(series) }))
      : watchLines(now_us, moved, last, seconds, output.columns());
    if (moved.length > 0) await output.write(lines.join(""));
    last = new Map(chosen.map((series) => [series.text, series]));
    last_us = now_us;
  }
}

function emptyText({ patterns, all }: StatsQuestion): string {
  const what = patterns.length === 0 ? "nothing is counted" : "no such series";
  return all ? what : `${what}, or all are zero (--all shows them)`;
}

function watchLines(
  now_us: number,
  moved: readonly Series[],
  last: ReadonlyMap<string, Series>,
  seconds: number | undefined,
  columns: number | undefined,
): string[] {
  const rows = moved.map((series): Changed => {
    const before = last.get(series.text)?.value ?? 0;
    return { series, value: valueText(series), rate: changeText(series, before, seconds) };
  });
  const lines = [timeText(now_us), ...tableLines(WATCH_COLUMNS, rows, columns), ""];
  return lines.map((line) => `${line}\n`);
}

/** At first, what is not zero. */
function hasMoved(series: Series, last: ReadonlyMap<string, Series>): boolean {
  return series.value !== (last.get(series.text)?.value ?? 0);
}

/** Of counters how many a second, of gauges by how much. */
function changeText(
  { family, value }: Series,
  before: number,
  seconds: number | undefined,
): string {
  if (seconds === undefined || seconds <= 0) return "";
  const difference = value - before;
  const unit = family.name.includes("_bytes") ? octetsText : numberText;
  if (family.type !== "gauge") return `${unit(difference / seconds)}/s`;
  if (difference === 0) return "";
  return `${difference < 0 ? "-" : "+"}${unit(Math.abs(difference))}`;
}

/** The series that are asked for, in the order of the answer. */
function seriesOf(
  { families }: GetStatsResponse,
  { patterns, all }: Pick<StatsQuestion, "patterns" | "all">,
): Series[] {
  const isWanted = matcher(patterns);
  const series = families.flatMap((family) =>
    family.samples.map((sample): Series => {
      const isHistogram = family.type === "histogram";
      const value = isHistogram ? Number(sample.count) : sample.value;
      return { text: seriesText(family, sample), family, sample, value };
    }),
  );
  return series.filter((each) => isWanted(each.text) && (all || each.value !== 0));
}

/** A check whether a text has one of the patterns in it; `*` is anything, and case is none. */
function matcher(patterns: readonly string[]): (text: string) => boolean {
  if (patterns.length === 0) return () => true;
  const needles = patterns.map((pattern) => pattern.toLowerCase().split("*"));
  return (text) => needles.some((parts) => hasInOrder(text.toLowerCase(), parts));
}

function hasInOrder(text: string, parts: readonly string[]): boolean {
  let at = 0;
  for (const part of parts) {
    const found = text.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return true;
}

function seriesText({ name }: Family, { labels }: Sample): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}=${JSON.stringify(value)}`);
  return pairs.length === 0 ? name : `${name}{${pairs.join(",")}}`;
}

function valueText({ family, sample }: Series): string {
  if (family.type === "histogram") return histogramText(family, sample);
  return inUnit(family, sample.value);
}

function inUnit({ name }: Family, value: number): string {
  if (/_bytes(?:_total)?$/.test(name)) return octetsText(value);
  if (/_start_time_seconds$/.test(name)) return timeText(value * US_PER_SECOND);
  if (/_seconds(?:_total)?$/.test(name)) return durationText(value * US_PER_SECOND);
  return numberText(value);
}

function histogramText(family: Family, sample: Sample): string {
  const count = Number(sample.count);
  if (count === 0) return "0";
  const mean = inUnit(family, sample.sum / count);
  const [half, most] = [0.5, 0.99].map((part) => quantile(family, sample, part));
  return `${count} mean ${mean} p50 ${half} p99 ${most}`;
}

/** The bound that this part of the observations is not above. */
function quantile(family: Family, { buckets, count }: Sample, part: number): string {
  const bucket = buckets.find((each) => Number(each.count) >= Number(count) * part);
  if (bucket !== undefined) return `<=${inUnit(family, bucket.upper)}`;
  const [highest] = [...buckets].reverse();
  return highest === undefined ? "?" : `>${inUnit(family, highest.upper)}`;
}

/** A series as an object whose keys stay. */
function seriesRecord({ family, sample }: Series): object {
  const head = { name: family.name, type: family.type, labels: sample.labels };
  if (family.type !== "histogram") return { ...head, value: sample.value };
  const buckets = sample.buckets.map(({ upper, count }) => ({ le: upper, count: Number(count) }));
  return { ...head, count: Number(sample.count), sum: sample.sum, buckets };
}
