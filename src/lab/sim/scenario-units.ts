/**
 * Values of a scenario file as people write them: "100 ms", "20 MB", "10 Mbit/s", "1 %". Each maker
 * here takes the bounds of a field and gives its schema, whose output is what plans count in:
 * microseconds, octets, octets per second, chances in a million.
 *
 * Contract: every number has a least and a most. The message of a refusal says what is wanted.
 */
import * as v from "valibot";
import { formatTime } from "./text.ts";

const TIMES = { us: 1, ms: 1000, s: 1_000_000, min: 60_000_000 } as const;
const SIZES = { B: 1, kB: 1000, MB: 1_000_000, KiB: 1024, MiB: 1024 * 1024 } as const;
const RATES = {
  "B/s": 1,
  "kbit/s": 125,
  "Mbit/s": 125_000,
  "Gbit/s": 125_000_000,
  "kB/s": 1000,
  "MB/s": 1_000_000,
} as const;

/** Number and unit, with or without a space. */
const FORM = /^([0-9]+(?:\.[0-9]+)?) ?([A-Za-z/%]*)$/;

type Factors = Readonly<Record<string, number>>;

/** The value in the smallest unit, rounded; undefined where the text has another form. */
function measure(input: unknown, factors: Factors, bare: number | undefined): number | undefined {
  if (typeof input !== "string" && typeof input !== "number") return undefined;
  const [, digits, unit = ""] = FORM.exec(String(input)) ?? [];
  if (digits === undefined) return undefined;
  const value = Number(digits);
  if (unit !== "") {
    const factor = Object.hasOwn(factors, unit) ? factors[unit] : undefined;
    return factor === undefined ? undefined : Math.round(value * factor);
  }
  // Nothing of whatever kind needs no unit.
  if (value === 0) return 0;
  return bare === undefined || !Number.isInteger(value) ? undefined : value * bare;
}

interface Form {
  readonly factors: Factors;
  /** What a number without unit counts; undefined = there must be a unit. */
  readonly bare?: number;
  readonly wanted: string;
}

function quantity(form: Form, low: number, high: number) {
  return v.pipe(
    v.unknown(),
    v.rawTransform<unknown, number>(({ dataset, addIssue, NEVER }) => {
      const value = measure(dataset.value, form.factors, form.bare);
      if (value !== undefined && value >= low && value <= high) return value;
      addIssue({ message: form.wanted });
      return NEVER;
    }),
  );
}

/** @param least microseconds; @param most likewise */
export function duration(least: number, most: number) {
  const bounds = `${formatTime(least)} to ${formatTime(most)}`;
  return quantity(
    { factors: TIMES, wanted: `wanted a time such as "100 ms", ${bounds}` },
    least,
    most,
  );
}

export function size(least: number, most: number) {
  const wanted = `wanted a size such as "20 MB" or "64 KiB", ${least} to ${most} octets`;
  return quantity({ factors: SIZES, bare: 1, wanted }, least, most);
}

/** Octets per second; "unlimited" is 0. */
export function rate(least: number, most: number) {
  const wanted =
    `wanted "unlimited" or a rate such as "10 Mbit/s", ` +
    `${(least * 8) / 1e6} to ${(most * 8) / 1e6} Mbit/s`;
  const limited = quantity({ factors: RATES, wanted }, least, most);
  return v.union(
    [
      v.pipe(
        v.literal("unlimited"),
        v.transform(() => 0),
      ),
      limited,
    ],
    wanted,
  );
}

export function share() {
  const wanted = 'wanted a share such as "1 %", 0 % to 100 %';
  return quantity({ factors: { "%": 10_000 }, wanted }, 0, 1_000_000);
}

export function count(least: number, most: number) {
  const wanted = `wanted an integer from ${least} to ${most}`;
  return v.pipe(
    v.number(wanted),
    v.integer(wanted),
    v.minValue(least, wanted),
    v.maxValue(most, wanted),
  );
}

export function flag() {
  return v.boolean('wanted "true" or "false"');
}

export function word<const T extends readonly [string, ...string[]]>(...words: T) {
  const list = words.map((each) => `"${each}"`).join(", ");
  return v.picklist(words, `wanted one of ${list}`);
}

export function text(most: number) {
  const wanted = `wanted a text of 1 to ${most} characters`;
  return v.pipe(v.string(wanted), v.minLength(1, wanted), v.maxLength(most, wanted));
}

/** At least so many, or at least that share of all. */
export type Part = { readonly count: number } | { readonly perMillion: number };

export function part() {
  const wanted = 'wanted a number such as 20 or a share such as "99 %"';
  return v.pipe(
    v.unknown(),
    v.rawTransform<unknown, Part>(({ dataset, addIssue, NEVER }) => {
      const { value } = dataset;
      const perMillion =
        typeof value === "string" ? measure(value, { "%": 10_000 }, undefined) : undefined;
      if (perMillion !== undefined && perMillion <= 1_000_000) return { perMillion };
      if (typeof value === "number" && Number.isInteger(value) && value >= 0) {
        return { count: value };
      }
      addIssue({ message: wanted });
      return NEVER;
    }),
  );
}
