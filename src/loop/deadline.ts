/** The earliest of several times. */

/** Longest sleep, microseconds: bounds the harm of a clock that lies. */
const SLEEP_MAX = 60_000_000;

/**
 * How long the loop may sleep.
 * @param deadline of the engine, absolute microseconds, 0 = none
 * @param wait of the housekeeping, microseconds from now, undefined = none
 * @returns microseconds, never negative
 */
export function sleepTime(now: number, deadline: number, wait: number | undefined): number {
  const sleep = deadline === 0 ? SLEEP_MAX : deadline - now;
  return Math.max(0, Math.min(sleep, wait ?? SLEEP_MAX, SLEEP_MAX));
}
