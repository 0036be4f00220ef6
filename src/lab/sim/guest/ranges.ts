/**
 * Ranges of sequence numbers, in order and apart: `[left, right)` one after another in one array.
 */
import { seqDiff } from "./octets.ts";

/** Puts `[left, right)` in; ranges that it meets or touches become one with it. */
export function insertRange(ranges: number[], left: number, right: number): void {
  let low = left;
  let high = right;
  let at = 0;
  while (at < ranges.length && seqDiff(ranges[at + 1] ?? 0, low) < 0) at += 2;
  let end = at;
  while (end < ranges.length && seqDiff(ranges[end] ?? 0, high) <= 0) {
    if (seqDiff(ranges[end] ?? 0, low) < 0) low = ranges[end] ?? 0;
    if (seqDiff(ranges[end + 1] ?? 0, high) > 0) high = ranges[end + 1] ?? 0;
    end += 2;
  }
  ranges.splice(at, end - at, low, high);
}
