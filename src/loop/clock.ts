/** Time: the only place outside `cli` that reads a clock. */

/** Microseconds of a clock that never goes back, above 0 from the start. */
export function monotonic(): number {
  return performance.now() * 1000 + 1_000_000;
}

/** Microseconds since 1970, with fractions: for captures. */
export function wallClock(): number {
  return (performance.timeOrigin + performance.now()) * 1000;
}

/** How far the clock may be from the system's, microseconds: that counts milliseconds. */
const APART_MOST = 2000;
/** What was added to `wallClock` because the system's clock had been set. */
let correction = 0;

/**
 * Microseconds since 1970 as the system's clock has them, also after it was set: for a log that
 * lasts. In between it goes on evenly.
 */
export function systemClock(): number {
  const now = wallClock() + correction;
  const apart = Date.now() * 1000 - now;
  if (Math.abs(apart) < APART_MOST) return now;
  correction += apart;
  return now + apart;
}
