/**
 * `npm run bench -- --engine`: how fast the engine's code is, alone: its module in a process of its
 * own, with a guest that is a writer of frames and a host that answers at once. No socket, no link,
 * no kernel; the clock is virtual. `--against DIR` asks another checkout's engine in turns.
 *
 * What counts is processor time, not time that passes: another program on the machine takes turns,
 * which that does not see. docs/benchmark.md says how to read the result.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { messageOf } from "../src/lib/message.ts";
import { ROOT } from "../test/support/e2e/program.ts";
import { CROWD, LOADS } from "./engine/loads.ts";
import {
  type Amount,
  BAR,
  type Figures,
  isMet,
  lendHarness,
  type Metric,
  nameOf,
  repeat,
} from "./engine-sides.ts";
import { median, table } from "./report.ts";

const USAGE = `usage: npm run bench -- --engine [options]
  --reps N           repetitions, each in fresh processes (default 15)
  --against DIR      another checkout, built: its engine is measured in turns with this one
  --only TEXT        loads with this text in their name
  --strict           exit with code 1 when a bar is missed`;

const AMOUNT: Amount = { reps: 15, pairs: 30, cpu_us: 5_000, warm_us: 500_000 };

interface Options {
  readonly reps: number;
  readonly against: string | undefined;
  readonly metrics: readonly Metric[];
  readonly strict: boolean;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      reps: { type: "string", default: String(AMOUNT.reps) },
      against: { type: "string" },
      only: { type: "string", default: "" },
      strict: { type: "boolean", default: false },
    },
  });
  const { against, only, strict } = values;
  const reps = Number(values.reps);
  if (!Number.isInteger(reps) || reps < 1) throw new Error(`--reps "${values.reps}" is no number`);
  const loads = LOADS.filter((load) => load.includes(only));
  if (loads.length === 0) throw new Error(`--only "${only}" names no load`);
  const metrics = [0, CROWD].flatMap((crowd) => loads.map((load) => ({ load, crowd })));
  return { reps, against, metrics, strict };
}

function spread(values: readonly number[], digits: number): string {
  if (values.length === 0) return "–";
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const text = (value: number): string => value.toFixed(digits);
  return `${text(median(values))} (${text(least)}..${text(most)})`;
}

function thousands(values: readonly number[]): string {
  return spread(
    values.map((value) => value / 1000),
    0,
  );
}

function rowOf({ load, crowd }: Metric, figures: Figures, isCompared: boolean): string[] {
  const name = nameOf({ load, crowd });
  const [error = ""] = figures.errors;
  const own = thousands(figures.own);
  if (!isCompared) return [name, own, error];
  const verdict = error === "" ? (isMet(figures) ? "met" : "MISSED") : error;
  return [name, own, thousands(figures.other), spread(figures.ratios, 3), verdict];
}

async function main(): Promise<number> {
  const { reps, against, metrics, strict } = readOptions();
  const takeBack = against === undefined ? () => undefined : lendHarness(against);
  const figures = metrics.map((): Figures => ({ own: [], other: [], ratios: [], errors: [] }));
  try {
    for (let rep = 0; rep < reps; rep += 1) {
      process.stderr.write(`repetition ${rep + 1}/${reps}\n`);
      await repeat(metrics, AMOUNT, against, figures);
    }
  } finally {
    takeBack();
  }
  const isCompared = against !== undefined;
  const head = ["1,000 in a second of processor time", "this"];
  if (isCompared) head.push("other", "ratio", `bar ${BAR}`);
  else head.push("");
  const rows = metrics.map((metric, i) => {
    const found = figures[i];
    return found === undefined ? [] : rowOf(metric, found, isCompared);
  });
  console.log(table([head, ...rows]));
  const date = new Date().toISOString();
  const folder = join(ROOT, "build/bench");
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `engine-${date.replaceAll(":", "-")}.json`);
  const whole = { date, against, ...AMOUNT, reps, metrics, figures };
  writeFileSync(file, `${JSON.stringify(whole, null, 2)}\n`);
  console.log(`written: ${file}`);
  const isBad = figures.some((each) => (isCompared ? !isMet(each) : each.errors.length > 0));
  return strict && isBad ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`bench: ${messageOf(error)}\n${USAGE}`);
  process.exitCode = 2;
}
