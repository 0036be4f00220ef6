/**
 * Medians, ratios, bars and the printed page of a benchmark run.
 *
 * Ratios are taken within a repetition, where both sides met the same machine, and the median of
 * those is compared with the bar; medians of different repetitions are never divided.
 */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { ROOT } from "../test/support/e2e/program.ts";
import { attempt, must, which } from "../test/support/e2e/shell.ts";
import type { Footprint } from "./footprint.ts";
import type { Sample } from "./measure.ts";
import {
  ACTIVE_FLOW_COUNT,
  BARS,
  type Config,
  IDLE_FLOW_COUNT,
  LIMITS,
  METRIC_TITLES,
  type Metric,
  takesPart,
} from "./plan.ts";

/** Samples by metric and configuration name, one for each repetition. */
export type Results = Record<string, Record<string, Sample[]>>;

export type Verdict = {
  readonly what: string;
  readonly wanted: string;
  readonly got: string;
  readonly met: boolean;
};

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const low = sorted[Math.ceil(middle) - 1] ?? Number.NaN;
  const high = sorted[Math.floor(middle)] ?? Number.NaN;
  return (low + high) / 2;
}

function figure(value: number): string {
  if (!Number.isFinite(value)) {
    return "–";
  }
  return value >= 1000 ? value.toFixed(0) : value >= 100 ? value.toFixed(1) : value.toFixed(2);
}

function spread(values: readonly number[]): string {
  if (values.length === 0) {
    return "–";
  }
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return `${figure(median(values))} (${figure(least)}..${figure(most)})`;
}

const valuesOf = (samples: readonly Sample[]): number[] =>
  samples.flatMap((sample) => (sample.ok ? [sample.value] : []));

/** Per repetition: `config` over the best of `against`; repetitions with a gap are left out. */
export function ratios(
  results: Results,
  metric: Metric,
  config: string,
  against: readonly string[],
): number[] {
  const own = results[metric]?.[config] ?? [];
  return own.flatMap((sample, rep) => {
    const others = against.map((name) => results[metric]?.[name]?.[rep]);
    const best = Math.max(
      ...others.map((other) => (other?.ok === true ? other.value : Number.NaN)),
    );
    return sample.ok && best > 0 ? [sample.value / best] : [];
  });
}

/** Judges every bar whose configurations took part. */
export function verdicts(results: Results, footprints: readonly Footprint[]): Verdict[] {
  const judged: Verdict[] = [];
  for (const { metric, config, against, factor } of BARS) {
    const taken = [config, ...against].every((name) => results[metric]?.[name] !== undefined);
    if (!taken) {
      continue;
    }
    const all = ratios(results, metric, config, against);
    judged.push({
      what: `${metric}: ${config} / ${against.length > 1 ? "better of " : ""}${against.join(", ")}`,
      wanted: `>= ${factor} x`,
      got: spread(all),
      met: median(all) >= factor,
    });
  }
  const own = footprints.find(({ kind }) => kind === "ours");
  return own === undefined ? judged : [...judged, ...footprintVerdicts(own)];
}

function footprintVerdicts(own: Footprint): Verdict[] {
  const most = (what: string, value: number | undefined, limit: number, unit: string): Verdict => ({
    what,
    wanted: `<= ${limit} ${unit}`,
    got: value === undefined ? "–" : `${figure(value)} ${unit}`,
    met: value !== undefined && value <= limit,
  });
  const share = (what: string, values: readonly number[] | undefined): Verdict[] =>
    values === undefined
      ? []
      : [
          {
            what: `${what} beside ${IDLE_FLOW_COUNT} idle flows / without`,
            wanted: `>= ${LIMITS.idleFlowsShare} x`,
            got: spread(values),
            met: median(values) >= LIMITS.idleFlowsShare,
          },
        ];
  const ready = own.ready_ms.length === 0 ? undefined : median(own.ready_ms);
  return [
    most("exec to ready", ready, LIMITS.ready_ms, "ms"),
    most("memory idle", own.idle_mib, LIMITS.idle_mib, "MiB"),
    most(`memory with ${ACTIVE_FLOW_COUNT} active flows`, own.active_mib, LIMITS.active_mib, "MiB"),
    ...share("up1", own.idleFlowsUp),
    ...share("dn1", own.idleFlowsDown),
  ];
}

/** Lays rows out in columns; the first is left-aligned, the others right-aligned. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    }
  }
  const lines = rows.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return column === 0 ? cell.padEnd(width) : cell.padStart(width);
      })
      .join("  ")
      .trimEnd(),
  );
  return lines.join("\n");
}

/** One table for each metric: median (min..max), per core, ratios to the peers at each MTU. */
export function resultTables(results: Results, configs: readonly Config[]): string {
  const pages: string[] = [];
  for (const [metric, byConfig] of Object.entries(results) as [Metric, Results[string]][]) {
    const rows = [["", "median (min..max)", "per core", "cores", "x slirp4netns", "x pasta"]];
    for (const config of configs.filter((each) => takesPart(each, metric))) {
      const samples = byConfig[config.name] ?? [];
      rows.push(resultRow(results, metric, config, samples));
    }
    pages.push(`${METRIC_TITLES[metric]}\n${table(rows)}`);
  }
  return pages.join("\n\n");
}

function resultRow(
  results: Results,
  metric: Metric,
  config: Config,
  samples: readonly Sample[],
): string[] {
  const good = samples.filter((sample) => sample.ok);
  const busy = good.filter((sample) => sample.cpu > 0);
  const versus = (peer: string): string => {
    const name = `${peer} ${config.mtu}`;
    const isComparable = config.kind === "ours" && config.ipv6 !== true;
    const all = isComparable ? ratios(results, metric, config.name, [name]) : [];
    return all.length === 0 ? "" : spread(all);
  };
  const failed = samples.length - good.length;
  const failure = samples.find((sample) => !sample.ok);
  const note =
    failed === 0 ? "" : ` [${failed} failed: ${failure?.ok === false ? failure.error : ""}]`;
  return [
    config.name,
    spread(valuesOf(samples)) + note,
    busy.length === 0 ? "" : figure(median(busy.map((sample) => sample.value / sample.cpu))),
    busy.length === 0 ? "" : figure(median(busy.map((sample) => sample.cpu))),
    versus("slirp4netns"),
    versus("pasta"),
  ];
}

/** One row for each program: start-up and memory. */
export function footprintTable(footprints: readonly Footprint[]): string {
  const mib = (value: number | undefined): string => (value === undefined ? "–" : figure(value));
  const rows = [
    ["", "ready ms", "idle MiB", "after load", "1,000 active", "up1 idle flows", "dn1 idle flows"],
    ...footprints.map((one) => [
      one.kind,
      spread(one.ready_ms),
      mib(one.idle_mib),
      mib(one.loaded_mib),
      mib(one.active_mib),
      spread(one.idleFlowsUp ?? []),
      spread(one.idleFlowsDown ?? []),
    ]),
  ];
  const errors = footprints.flatMap(({ kind, errors: all }) => all.map((one) => `${kind}: ${one}`));
  return ["Start-up, memory, and throughput beside 10,000 idle flows", table(rows), ...errors].join(
    "\n",
  );
}

/** The bars, met or missed. */
export function verdictTable(judged: readonly Verdict[]): string {
  const rows = judged.map(({ what, wanted, got, met }) => [
    what,
    wanted,
    got,
    met ? "met" : "MISSED",
  ]);
  return table([["bar", "wanted", "got", ""], ...rows]);
}

/** The machine and the versions of everything that took part. */
export function machine(rr: readonly string[]): Record<string, string> {
  const firstLine = (argv: readonly string[]): string => {
    const [name = ""] = argv;
    const usable = which(name) !== undefined && attempt(argv);
    return usable ? (must(argv).split("\n")[0] ?? "") : "not installed";
  };
  const governor = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: String(cpus().length),
    memory: `${(totalmem() / 2 ** 30).toFixed(0)} GiB`,
    kernel: release(),
    governor: attempt(["test", "-r", governor]) ? readFileSync(governor, "utf8").trim() : "none",
    slirp4netns: firstLine(["slirp4netns", "--version"]),
    pasta: firstLine(["pasta", "--version"]),
    iperf3: firstLine(["iperf3", "--version"]),
    tool: rr.length === 1 ? "rr.c, compiled" : "rr.mjs: no C compiler here, latencies are Node's",
    runtime: process.version,
  };
}

/** What is being done: one line on a terminal, which the next one replaces, else a line each. */
export function progress(text: string): void {
  process.stderr.write(process.stderr.isTTY ? `\r\x1b[2K${text}` : `${text}\n`);
}

/** Writes all figures of a run into a file below build/bench, and says where. */
export function writeResults(
  name: string,
  whole: { readonly date: string } & Readonly<Record<string, unknown>>,
): void {
  const folder = join(ROOT, "build/bench");
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${name}${whole.date.replaceAll(":", "-")}.json`);
  writeFileSync(file, `${JSON.stringify(whole, null, 2)}\n`);
  console.log(`\nwritten: ${file}`);
}
