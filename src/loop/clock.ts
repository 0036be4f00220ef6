/** Time: the only place outside `cli` that reads a clock. */

/** Microseconds of a clock that never goes back, above 0 from the start. */
export function monotonic(): number {
  return performance.now() * 1000 + 1_000_000;
}

/** Microseconds since 1970, with fractions: for captures. */
export function wallClock(): number {
  return (performance.timeOrigin + performance.now()) * 1000;
}
