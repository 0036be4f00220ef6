/**
 * Many seeds in a row, one verdict at a time: whoever asks decides when it is enough, by time, by
 * number or at the first violation. There is no clock here: a caller that wants one reads its own.
 *
 *     const tally = new Tally();
 *     for (const verdict of runSeeds({ from: 1, count: 100 })) tally.add(verdict);
 *
 * Processes side by side share the seeds by `step`: each takes every `step`-th one.
 */
import type { Family } from "./family.ts";
import { type SimulateOptions, simulateSeed } from "./simulate.ts";
import type { Verdict } from "./verdict.ts";

export interface SwarmOptions {
  /** The first seed. */
  readonly from: number;
  /** Seeds from there on, those that others take included; without it there is no end. */
  readonly count?: number;
  /** Only every `step`-th of them; 1 = all. */
  readonly step?: number;
  readonly family?: Family;
  /** Another engine or loop than ours. */
  readonly run?: SimulateOptions;
}

/** Runs seed after seed, each when the next verdict is asked for. */
export function* runSeeds(options: SwarmOptions): Generator<Verdict, void, void> {
  const { from, count = Number.POSITIVE_INFINITY, step = 1, run, family } = options;
  for (let seed = from; seed < from + count; seed += step) {
    yield simulateSeed(seed, run, family);
  }
}

/** What many verdicts come to. */
export class Tally {
  seeds = 0;
  /** Frames of both directions. */
  frames = 0;
  /** Virtual microseconds, of all runs together. */
  elapsed = 0;
  /** Runs that went wrong, in the order in which they came. */
  readonly failures: Verdict[] = [];

  add(verdict: Verdict): void {
    this.seeds += 1;
    this.frames += verdict.framesToEngine + verdict.framesToGuest;
    this.elapsed += verdict.elapsed;
    if (!verdict.ok) this.failures.push(verdict);
  }
}
