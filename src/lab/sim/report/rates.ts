/** Rates from counters that were sampled. */

/** Samples of one column. */
export type Values = readonly number[];

/**
 * Change per second, as a mean over `span` microseconds around each sample. A mean does not reach
 * over a longer time in which nothing moved: at both ends of that, and so in it, the rate is 0.
 */
export function rateOf(times: Values, counts: Values, span: number, factor: number): number[] {
  const rates = times.map(() => 0);
  const last = times.length - 1;
  const at = (i: number): number => times[i] ?? 0;
  const isGap = (i: number): boolean => i < last && at(i + 1) - at(i) > span;
  for (let begin = 0; begin <= last; ) {
    let end = begin;
    while (end < last && !isGap(end)) end += 1;
    const isAfterGap = begin > 0;
    for (let i = begin + (isAfterGap ? 1 : 0), low = begin, high = begin; i <= end; i += 1) {
      if (isGap(i)) break;
      while (at(low) < at(i) - span / 2) low += 1;
      while (high < end && at(high) < at(i) + span / 2) high += 1;
      const change = (counts[high] ?? 0) - (counts[low] ?? 0);
      rates[i] = (change * factor * 1e6) / Math.max(at(high) - at(low), span);
    }
    begin = end + 1;
  }
  return rates;
}
