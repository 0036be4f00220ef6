/**
 * Two threads that write each their own field and then read the other's, as a driver and a device
 * do with indexes and wishes. If both read what was there before, both have missed the other: that
 * is what no ring survives, and what processors do without a fence.
 */
import type { Libc } from "../../../src/sys/libc.ts";

const RESULTS = 4096;
const SPINS = 1000;

/** Places of a thread's field, and of the round it is in: on cache lines of their own. */
const FIELD = [0, 256] as const;
const ROUND = [512, 768] as const;

/** Octets of memory that so many rounds take. */
export function fenceSize(rounds: number): number {
  return RESULTS + rounds * 8;
}

/** @param side 0 or 1 */
export function meet(sys: Libc, memory: ArrayBuffer, side: 0 | 1, rounds: number): void {
  const fields = new Uint16Array(memory, 0, 512);
  const words = new Uint32Array(memory, 0, 512);
  const results = new Uint32Array(memory, RESULTS, rounds * 2);
  const other = side === 0 ? 1 : 0;
  for (let round = 1; round <= rounds; round += 1) {
    Atomics.store(words, ROUND[side] / 4, round);
    for (let i = 0; Atomics.load(words, ROUND[other] / 4) < round; i += 1) {
      if (i % SPINS === SPINS - 1) sys.sched_yield();
    }
    Atomics.store(fields, FIELD[side] / 2, round);
    results[(round - 1) * 2 + side] = Atomics.load(fields, FIELD[other] / 2);
  }
}

/** Rounds in which both missed the other. */
export function missed(memory: ArrayBuffer, rounds: number): number {
  const results = new Uint32Array(memory, RESULTS, rounds * 2);
  let count = 0;
  for (let round = 1; round <= rounds; round += 1) {
    const [a = 0, b = 0] = results.subarray((round - 1) * 2, round * 2);
    const written = round & 0xffff;
    if (a !== written && b !== written) count += 1;
  }
  return count;
}
