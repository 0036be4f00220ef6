/**
 * `simulate` without a scenario: many seeds, shared by processes side by side, with a line that
 * tells how far it is, and a verdict.
 *
 * Theory of operation
 *   Seeds are independent, so each process is this very program with every n-th seed
 *   (`simulate-share.ts`), and tells over its standard output what it has done. The first violation
 *   of any of them ends all. Ctrl-C ends it with the verdict so far.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { availableParallelism } from "node:os";
import { isatty } from "node:tty";
import { SWARM_COMMAND } from "../../cli/internal.ts";
import { ownCommand, shownCommand } from "../../cli/program.ts";
import { FIRST_SEED_MAX, type SwarmOptions } from "../../config/simulate.ts";
import type { Family } from "../sim/family.ts";
import { formatCount } from "../sim/text.ts";
import type { ShareReport } from "./simulate-share.ts";
import { StandardOutput } from "./standard-output.ts";
import { formatLong, type SwarmState, swarmVerdict } from "./swarm-verdict.ts";

const STDERR_FD = 2;
const DRAW_MS = 200;
/** Between lines where there is no terminal. */
const LINE_MS = 5000;
const CLEAR = "\r\u001b[2K";

const NOTHING: ShareReport = { seeds: 0, frames: 0, elapsed: 0, failure: undefined, isLast: false };

/** Runs the swarm; resolves to the exit code. */
export async function simulateSwarm(options: SwarmOptions): Promise<number> {
  const { seeds = Number.POSITIVE_INFINITY } = options;
  const from = options.from ?? randomInt(FIRST_SEED_MAX);
  const jobs = Math.min(options.jobs ?? availableParallelism(), seeds);
  const limit_ms = options.minutes === undefined ? undefined : options.minutes * 60_000;
  const swarm = new Swarm(options.family, from, options.seeds, jobs, limit_ms);
  const stop = (): void => swarm.stop();
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  const progress = new Progress(swarm);
  await swarm.run();
  progress.end();
  const output = new StandardOutput();
  for (const each of swarmVerdict(swarm, shownCommand())) output.line(each);
  output.flush();
  return swarm.failure === undefined && swarm.broken === undefined ? 0 : 1;
}

class Swarm implements SwarmState {
  readonly family: Family;
  readonly from: number;
  readonly count: number | undefined;
  readonly jobs: number;
  readonly limit_ms: number | undefined;
  readonly #began_ms = performance.now();
  readonly #children: ChildProcess[] = [];
  readonly #reports: ShareReport[];
  isStopped = false;
  /** What a process ended with that it should not have. */
  broken: string | undefined;

  constructor(
    family: Family,
    from: number,
    count: number | undefined,
    jobs: number,
    limit_ms: number | undefined,
  ) {
    this.family = family;
    this.from = from;
    this.count = count;
    this.jobs = jobs;
    this.limit_ms = limit_ms;
    this.#reports = Array.from({ length: jobs }, () => NOTHING);
  }

  /** Resolves when every process has ended. */
  async run(): Promise<void> {
    await Promise.all(Array.from({ length: this.jobs }, (_, job) => this.#runShare(job)));
  }

  stop(): void {
    this.isStopped = true;
    this.#kill();
  }

  #kill(): void {
    for (const child of this.#children) child.kill("SIGKILL");
  }

  #runShare(job: number): Promise<void> {
    const [program = "", ...before] = ownCommand();
    const count = this.count === undefined ? "-" : this.count - job;
    const share = [this.family, this.from + job, count, this.jobs, this.limit_ms ?? "-"].map(
      String,
    );
    const child = spawn(program, [...before, SWARM_COMMAND, ...share], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#children.push(child);
    let text = "";
    child.stdout.setEncoding("utf8");
    child.stdout.on("data", (part: string) => {
      const lines = (text + part).split("\n");
      text = lines.pop() ?? "";
      for (const line of lines) this.#take(job, line);
    });
    return new Promise((resolve) => {
      child.on("error", (error) => this.#breakOff(error.message, resolve));
      child.on("close", (code, signal) => {
        const isEnd = this.#reports[job]?.isLast === true || this.#isOver;
        if (isEnd) resolve();
        else this.#breakOff(`ended by ${signal ?? `code ${code}`}`, resolve);
      });
    });
  }

  #breakOff(why: string, resolve: () => void): void {
    this.broken ??= why;
    this.#kill();
    resolve();
  }

  #take(job: number, line: string): void {
    const report: ShareReport = JSON.parse(line);
    this.#reports[job] = report;
    if (report.failure !== undefined) this.#kill();
  }

  get #isOver(): boolean {
    return this.isStopped || this.broken !== undefined || this.failure !== undefined;
  }

  #sum(of: (report: ShareReport) => number): number {
    return this.#reports.reduce((sum, report) => sum + of(report), 0);
  }

  get seeds(): number {
    return this.#sum((report) => report.seeds);
  }

  get frames(): number {
    return this.#sum((report) => report.frames);
  }

  /** Virtual seconds. */
  get virtual_s(): number {
    return this.#sum((report) => report.elapsed) / 1e6;
  }

  /** Real seconds since the start. */
  get real_s(): number {
    return (performance.now() - this.#began_ms) / 1000;
  }

  /** The one with the smallest seed. */
  get failure(): ShareReport["failure"] {
    const found = this.#reports.flatMap(({ failure }) => failure ?? []);
    return found.sort((a, b) => a.seed - b.seed)[0];
  }
}

class Progress {
  readonly #swarm: Swarm;
  readonly #isTerminal = isatty(STDERR_FD);
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(swarm: Swarm) {
    this.#swarm = swarm;
    this.#timer = setInterval(() => this.#draw(), this.#isTerminal ? DRAW_MS : LINE_MS);
  }

  #draw(): void {
    const { seeds, real_s, virtual_s, count, limit_ms, jobs } = this.#swarm;
    const done = count === undefined ? formatCount(seeds) : `${seeds} of ${count}`;
    const rate = `${(seeds / real_s).toFixed(1)} seeds/s in ${jobs}`;
    const text = `${done} seeds, ${rate}, ${formatLong(virtual_s)} simulated`;
    const left_s = limit_ms === undefined ? undefined : Math.max(limit_ms / 1000 - real_s, 0);
    const rest = left_s === undefined ? "" : `, ${formatLong(left_s)} left`;
    process.stderr.write(this.#isTerminal ? `${CLEAR}${text}${rest}` : `${text}${rest}\n`);
  }

  end(): void {
    clearInterval(this.#timer);
    if (this.#isTerminal) process.stderr.write(CLEAR);
  }
}
