/**
 * Numbers for people: a unit that fits the size, three digits that count. Pure; scripts of pages
 * use the same for their axes.
 */

/** "rate" is bits per second, "octets" octets, "duration" microseconds, "count" things. */
export type Unit = "rate" | "octets" | "duration" | "count";

/** A value divided by `divisor` is in `suffix`. */
export interface UnitScale {
  readonly divisor: number;
  readonly suffix: string;
}

const SCALES: Readonly<Record<Unit, readonly [UnitScale, ...UnitScale[]]>> = {
  rate: [
    { divisor: 1, suffix: "bit/s" },
    { divisor: 1e3, suffix: "kbit/s" },
    { divisor: 1e6, suffix: "Mbit/s" },
    { divisor: 1e9, suffix: "Gbit/s" },
  ],
  octets: [
    { divisor: 1, suffix: "B" },
    { divisor: 1024, suffix: "KiB" },
    { divisor: 1024 ** 2, suffix: "MiB" },
    { divisor: 1024 ** 3, suffix: "GiB" },
  ],
  duration: [
    { divisor: 1, suffix: "µs" },
    { divisor: 1e3, suffix: "ms" },
    { divisor: 1e6, suffix: "s" },
  ],
  count: [{ divisor: 1, suffix: "" }],
};

/** The largest unit of which `largest` is at least one. */
export function scaleFor(unit: Unit, largest: number): UnitScale {
  const [least] = SCALES[unit];
  return SCALES[unit].findLast(({ divisor }) => Math.abs(largest) >= divisor) ?? least;
}

/** A value in a unit already chosen, without its suffix. */
export function formatScaled(value: number, { divisor }: UnitScale): string {
  const scaled = value / divisor;
  const size = Math.abs(scaled);
  const digits = size >= 100 || Number.isInteger(scaled) ? 0 : size >= 10 ? 1 : 2;
  return group(scaled.toFixed(digits));
}

/** A value with the unit that fits it. */
export function formatUnit(unit: Unit, value: number): string {
  const scale = scaleFor(unit, value);
  const text = formatScaled(value, scale);
  return scale.suffix === "" ? text : `${text} ${scale.suffix}`;
}

/** Thousands apart; the locale of the machine has no say. */
function group(digits: string): string {
  const [whole = "", fraction] = digits.split(".");
  const grouped = whole.replace(/\B(?=(?:\d{3})+$)/g, ",");
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}
