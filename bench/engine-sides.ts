/**
 * The engines that `npm run bench -- --engine` compares: one process for each, asked in turns, and
 * what their answers say.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { build } from "esbuild";
import { ROOT } from "../test/support/e2e/program.ts";
import type { Answer, Question } from "./engine/child.ts";
import { median } from "./report.ts";

const HARNESS = "bench/engine";
/** Beside `dist`, as the harness is; gone when it has been counted. */
export const COUNTED = "build/instructions";
/** Of the speed of the other checkout. */
export const BAR = 0.98;

/**
 * Bun compiles where it stands, not in threads beside: their time counts, too, and on a busy
 * machine what they make would come at any time in the measurement.
 */
const COMPILER = { BUN_JSC_useConcurrentJIT: "0" };

/** How much is measured. */
export interface Amount {
  readonly reps: number;
  /** Times the sides are asked in turns in each repetition. */
  readonly pairs: number;
  /** Processor time of a measurement, and of what is done before the first, microseconds. */
  readonly cpu_us: number;
  readonly warm_us: number;
}

/** A load, alone or beside idle flows. */
export interface Metric {
  readonly load: string;
  readonly crowd: number;
}

/** For people. */
export function nameOf({ load, crowd }: Metric): string {
  return crowd === 0 ? load : `${load}, ${crowd.toLocaleString("en-US")} flows`;
}

/** A metric's figures, one of each repetition. */
export interface Figures {
  /** Frames, datagrams or connections in a second of processor time: this checkout's. */
  readonly own: number[];
  readonly other: number[];
  /** This one's by the other's, median of the pairs. */
  readonly ratios: number[];
  /** Why there are less. */
  readonly errors: string[];
}

/** A process that measures. */
class Side {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  constructor(folder: string) {
    const argv = [...process.execArgv, join(folder, HARNESS, "child.ts")];
    // In this folder, so that a loader named on the command line is found.
    const stdio = ["pipe", "pipe", "inherit"] as const;
    const env = { ...process.env, ...COMPILER };
    this.#child = spawn(process.execPath, argv, { cwd: ROOT, env, stdio: [...stdio] });
    const { stdout } = this.#child;
    if (stdout === null) throw new Error("the measuring process has no output");
    this.#answers = createInterface({ input: stdout })[Symbol.asyncIterator]();
  }

  /** Units in a second of processor time. @throws {Error} when there is no such figure */
  async ask(question: Question): Promise<number> {
    this.#child.stdin?.write(`${JSON.stringify(question)}\n`);
    const { value, done } = await this.#answers.next();
    if (done === true) throw new Error("the measuring process has ended");
    const answer: Answer = JSON.parse(value);
    if ("error" in answer) throw new Error(answer.error);
    return (answer.count / answer.cpu_us) * 1e6;
  }

  async end(): Promise<void> {
    const ended = once(this.#child, "exit");
    this.#child.stdin?.end();
    if (this.#child.exitCode === null) await ended;
  }
}

/**
 * Lends another checkout the harness of this one unless it has its own. Returns what takes it away
 * again. @throws {Error} where no engine was built
 */
export function lendHarness(against: string): () => void {
  const folder = resolve(against);
  if (!existsSync(join(folder, "dist/engine.wasm"))) {
    throw new Error(`run "npm run build" there first: there is no dist/engine.wasm in "${folder}"`);
  }
  const place = join(folder, HARNESS);
  if (existsSync(place)) return () => undefined;
  cpSync(join(ROOT, HARNESS), place, { recursive: true });
  return () => rmSync(place, { recursive: true });
}

/**
 * The harness of a checkout with this one's `counted.ts`, as one file for Node; where it is.
 */
export async function bundleCounted(folder: string): Promise<string> {
  const place = join(folder, COUNTED);
  mkdirSync(place, { recursive: true });
  const outfile = join(place, "counted.mjs");
  await build({
    stdin: {
      contents: readFileSync(join(ROOT, HARNESS, "counted.ts"), "utf8"),
      loader: "ts",
      resolveDir: join(folder, HARNESS),
    },
    ...{ bundle: true, format: "esm", platform: "node", logLevel: "error", outfile },
  });
  return outfile;
}

/** One repetition, in fresh processes: adds to `figures`, by the place of each metric. */
export async function repeat(
  metrics: readonly Metric[],
  amount: Amount,
  against: string | undefined,
  figures: readonly Figures[],
): Promise<void> {
  const sides = [ROOT, ...(against === undefined ? [] : [resolve(against)])].map(
    (folder) => new Side(folder),
  );
  for (const [i, metric] of metrics.entries()) {
    const found = figures[i];
    try {
      if (found !== undefined) await measure(sides, metric, amount, found);
    } catch (error) {
      found?.errors.push(error instanceof Error ? error.message : String(error));
    }
  }
  for (const side of sides) await side.end();
}

async function measure(
  sides: readonly Side[],
  metric: Metric,
  { pairs, cpu_us, warm_us }: Amount,
  found: Figures,
): Promise<void> {
  const rates: number[][] = sides.map(() => []);
  for (const side of sides) await side.ask({ ...metric, cpu_us: warm_us });
  for (let pair = 0; pair < pairs; pair += 1) {
    const order = [...sides.entries()];
    if (pair % 2 === 1) order.reverse();
    for (const [i, side] of order) rates[i]?.push(await side.ask({ ...metric, cpu_us }));
  }
  const [own = [], other] = rates;
  found.own.push(median(own));
  if (other === undefined) return;
  found.other.push(median(other));
  found.ratios.push(median(own.map((rate, pair) => rate / (other[pair] ?? Number.NaN))));
}

/** Whether a metric's median ratio reaches the bar, and there is one. */
export function isMet({ ratios, errors }: Figures): boolean {
  return errors.length === 0 && median(ratios) >= BAR;
}
