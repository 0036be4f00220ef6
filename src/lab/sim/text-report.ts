/**
 * The report of a run as lines of text. docs/simulator.md says how to read it.
 */
import { escapeControls } from "../../lib/controls.ts";
import type { CheckedRun } from "./run.ts";
import type { GroupSummary, RunSummary } from "./summary.ts";
import { formatCount, formatRate, formatSize, formatTime } from "./text.ts";
import type { WireCounts } from "./wire.ts";

const LABEL_WIDTH = 14;
const DROPS_MAX = 8;

export interface TextReportOptions {
  /** What the run took, real microseconds. */
  readonly real?: number;
  /** The command that repeats it. */
  readonly reproduce: string;
}

/** Lines without line ends. */
export function textReport(run: CheckedRun, options: TextReportOptions): string[] {
  const { summary, expectations, plan } = run;
  const { violations } = summary.result;
  return [
    `${escapeControls(run.title)}, seed ${plan.seed}: ${verdictOf(run)}`,
    ...violations.map((each) => `  violation  ${escapeControls(each)}`),
    ...expectations
      .filter(({ ok }) => !ok)
      .map(({ text }) => `  missed     ${escapeControls(text)}`),
    "",
    ...times(summary, options.real),
    ...totals(summary),
    "",
    ...summary.groups.flatMap(groupLines),
    ...expectations
      .filter(({ ok }) => ok)
      .map(({ text }) => `  held       ${escapeControls(text)}`),
    ...(run.ok ? [] : ["", `repeat it: ${options.reproduce}`]),
  ];
}

function verdictOf({ summary, expectations, ok }: CheckedRun): string {
  const { violations } = summary.result;
  const missed = expectations.filter((each) => !each.ok).length;
  if (ok) return expectations.length > 0 ? "clean, as expected" : "clean";
  const parts = [
    ...(violations.length > 0 ? [plural(violations.length, "violation")] : []),
    ...(missed > 0 ? [`${plural(missed, "expectation")} missed`] : []),
  ];
  return parts.join(", ");
}

function plural(count: number, what: string): string {
  return `${formatCount(count)} ${what}${count === 1 ? "" : "s"}`;
}

function line(label: string, text: string): string {
  return `  ${label.padEnd(LABEL_WIDTH)} ${text}`;
}

function times({ result, busy }: RunSummary, real: number | undefined): string[] {
  const rest = result.elapsed - busy;
  const waiting = rest > 0 ? `, then ${formatTime(rest)} of timers` : "";
  const lines = [line("virtual time", `${formatTime(busy)} with flows${waiting}`)];
  if (real === undefined) return lines;
  const faster = (time: number): string => formatCount(time / Math.max(real, 1));
  const all = `${faster(result.elapsed)} x with the rest`;
  return [...lines, line("real time", `${formatTime(real)}: ${faster(busy)} x faster, ${all}`)];
}

function totals({ result, wires, drops }: RunSummary): string[] {
  const shown = drops.slice(0, DROPS_MAX).map(([reason, n]) => `${reason} ${formatCount(n)}`);
  const more = drops.length > DROPS_MAX ? `, ${drops.length - DROPS_MAX} more reasons` : "";
  return [
    line("to the engine", wireText(wires.toEngine)),
    line("to the guest", wireText(wires.toGuest)),
    line("at a time", `${plural(result.flowsMax, "flow")}, ${plural(result.chunksMax, "chunk")}`),
    line("drops", shown.length === 0 ? "none" : `${shown.join(", ")}${more}`),
    line("trace hash", result.hash),
  ];
}

function wireText(counts: WireCounts): string {
  const faults = (["lost", "duplicated", "late", "corrupted", "overflowed"] as const)
    .filter((each) => counts[each] > 0)
    .map((each) => `, ${formatCount(counts[each])} ${each}`);
  return `${plural(counts.sent, "frame")}${faults.join("")}`;
}

// ---------------------------------------------------------------- groups of flows

function groupLines(summary: GroupSummary): string[] {
  const { group, connect, roundTrip } = summary;
  const facts = group.kind === "tcp" ? streamFacts(summary) : answerFacts(summary);
  const spreads = [
    ...(connect === undefined ? [] : [`connect ${spreadText(connect)}`]),
    ...(roundTrip === undefined ? [] : [`round trip ${spreadText(roundTrip)}`]),
  ];
  const name = group.name === group.kind ? group.kind : `${group.name} (${group.kind})`;
  return [
    `  ${escapeControls(name)}`,
    ...facts.map((each) => `    ${each}`),
    ...spreads.map((each) => `    ${each}`),
  ];
}

function spreadText({ median, p95, max }: { median: number; p95: number; max: number }): string {
  if (median === max) return formatTime(max);
  return `${formatTime(median)} median, ${formatTime(p95)} 95th, ${formatTime(max)} most`;
}

function streamFacts(summary: GroupSummary): string[] {
  const { group, ends, up, down, time, timeMax, throughput, throughputMin } = summary;
  const reasons = ends.map(([reason, n]) => `${formatCount(n)} ${reason}`).join(", ");
  const facts = [`${plural(group.count, "flow")}: ${reasons}`];
  if (up + down === 0) return facts;
  const each = Number.isFinite(throughputMin) && group.count > 1;
  const carried = `${formatSize(up)} up, ${formatSize(down)} down`;
  facts.push(`${carried} in ${formatTime(time)}: ${formatRate(throughput)}`);
  if (each) facts.push(`slowest ${formatRate(throughputMin)}, longest ${formatTime(timeMax)}`);
  return facts;
}

function answerFacts({ group, asked, answered, refused }: GroupSummary): string[] {
  const what = { tcp: "", udp: "datagram", ping: "request", dns: "question" }[group.kind];
  const told = refused > 0 ? `, ICMP errors for ${formatCount(refused)}` : "";
  return [`${plural(asked, what)}, ${formatCount(answered)} answered${told}`];
}
