/**
 * Counters: 64-bit, in memory, one per event and one per drop reason. Nobody counts anywhere else,
 * so frames in = frames handled + frames dropped by reason can be checked from outside.
 */
import { STAT_COUNT } from "./abi/index";
import { COUNTER_SHIFT, STATS } from "./memory";
import { traceDrop } from "./trace";

export function count(index: i32): void {
  const p = STATS + ((<usize>index) << COUNTER_SHIFT);
  store<u64>(p, load<u64>(p) + 1);
}

export function countMany(index: i32, n: u64): void {
  const p = STATS + ((<usize>index) << COUNTER_SHIFT);
  store<u64>(p, load<u64>(p) + n);
}

/** Counts a drop by its reason (DROP_*): of the frame under way, where there is one. */
export function drop(reason: i32): void {
  count(STAT_COUNT + reason);
  traceDrop(reason);
}

/** The same of other frames than the one under way. */
export function dropMany(reason: i32, n: u64): void {
  countMany(STAT_COUNT + reason, n);
}
