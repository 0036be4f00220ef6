/**
 * How far the fuzzer has got: sums over epochs by name, which is what a report and a floor need.
 */
import { TCP_STATE_NAMES } from "../../src/engine/flows.ts";
import { DROP_NAMES, STAT_NAMES } from "../../src/engine/stats.ts";
import * as abi from "../../wasm/abi.ts";
import type { EpochResult } from "./fuzzer.ts";

export type Counts = Readonly<Record<string, number>>;

export class Coverage {
  done = 0;
  replies = 0;
  decoded = 0;
  operations = 0;
  readonly #counters = new Array<number>(abi.STAT_COUNT + abi.DROP_COUNT).fill(0);
  readonly #states = new Array<number>(abi.STATE_COUNT).fill(0);

  add(result: EpochResult): void {
    this.done += result.frames;
    this.replies += result.replies;
    this.decoded += result.decoded;
    this.operations += result.operations;
    result.counters.forEach((value, i) => {
      this.#counters[i] = (this.#counters[i] ?? 0) + value;
    });
    result.states.forEach((value, i) => {
      this.#states[i] = (this.#states[i] ?? 0) + value;
    });
  }

  #counts(names: readonly string[], from: number): Counts {
    return Object.fromEntries(names.map((name, i) => [name, this.#counters[from + i] ?? 0]));
  }

  get stats(): Counts {
    return this.#counts(STAT_NAMES, 0);
  }

  /** By reason; "none" is no reason. */
  get drops(): Counts {
    const { dropNone: _, ...reasons } = this.#counts(DROP_NAMES, abi.STAT_COUNT);
    return reasons;
  }

  get states(): Counts {
    const named = TCP_STATE_NAMES.map((name, state) => [name, this.#states[state] ?? 0] as const);
    return Object.fromEntries(named.slice(1)); // a flow that is there is never closed
  }

  /** All of it as a value, as `scripts/fuzz.mjs` reads it. */
  toJSON(): object {
    const { done, replies, decoded, operations, stats, drops, states } = this;
    return { done, replies, decoded, operations, stats, drops, states };
  }
}

/** Names of what stayed 0. */
export function missing(counts: Counts): string[] {
  return Object.entries(counts).flatMap(([name, count]) => (count === 0 ? [name] : []));
}
