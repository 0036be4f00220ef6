/** How often a watcher is told, and when: until it has gone. */
import { setTimeout as sleep } from "node:timers/promises";
import { invalid } from "./refusals.ts";

const INTERVAL_DEFAULT_ms = 1000;
const INTERVAL_MIN_ms = 100;
const INTERVAL_MAX_ms = 60_000;

/** Milliseconds. @throws ConnectError where nobody can be told so often */
export function intervalOf(asked_ms: number): number {
  if (asked_ms === 0) return INTERVAL_DEFAULT_ms;
  if (asked_ms < INTERVAL_MIN_ms || asked_ms > INTERVAL_MAX_ms) {
    throw invalid(`interval_ms is 0, or ${INTERVAL_MIN_ms} to ${INTERVAL_MAX_ms}`);
  }
  return asked_ms;
}

/** Goes on at once, and again so long after what was done then has ended. */
export async function* every(interval_ms: number, signal: AbortSignal): AsyncGenerator<void> {
  while (!signal.aborted) {
    yield;
    // Ends early where the watcher goes.
    await sleep(interval_ms, undefined, { signal }).catch(() => {});
  }
}
