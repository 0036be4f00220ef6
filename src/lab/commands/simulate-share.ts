/**
 * One process of a swarm: runs its share of the seeds and says how far it is, one line of JSON at a
 * time. It ends with its last seed, with its time, at its first violation, or when nobody reads.
 *
 *     internal-swarm FAMILY FROM COUNT STEP MILLISECONDS      "-" = without end
 */
import { FAMILIES } from "../sim/family.ts";
import { runSeeds, Tally } from "../sim/swarm.ts";
import { StandardOutput } from "./standard-output.ts";

const REPORT_MS = 200;

/** What a share has done since it began. */
export interface ShareReport {
  readonly seeds: number;
  readonly frames: number;
  /** Virtual microseconds. */
  readonly elapsed: number;
  readonly failure: { readonly seed: number; readonly violations: readonly string[] } | undefined;
  /** No more is to come. */
  readonly isLast: boolean;
}

/** @returns the exit code: 0 also after a violation, which the report tells */
export function runShare(argv: readonly string[]): number {
  // Ctrl-C reaches the whole group; the process that asked decides what it means.
  process.on("SIGINT", () => {});
  const family = FAMILIES.find((each) => each === argv[0]) ?? "random";
  const [from = 0, count = Number.NaN, step = 1, time = Number.NaN] = argv.slice(1).map(Number);
  const began = performance.now();
  const output = new StandardOutput();
  const tally = new Tally();
  let told = began;
  const tell = (isLast: boolean): void => {
    const { seeds, frames, elapsed, failures } = tally;
    const [first] = failures;
    const failure = first && { seed: first.seed, violations: first.violations };
    output.line(JSON.stringify({ seeds, frames, elapsed, failure, isLast } satisfies ShareReport));
    output.flush();
  };
  const limit = Number.isNaN(count) ? {} : { count };
  for (const verdict of runSeeds({ family, from, step, ...limit })) {
    tally.add(verdict);
    const now = performance.now();
    if (!verdict.ok || now - began >= time || output.isClosed) break;
    if (now - told < REPORT_MS) continue;
    told = now;
    tell(false);
  }
  tell(true);
  return 0;
}
