/**
 * What `npm run bench -- --browser` compares: the demonstration's guest behind the engine and
 * behind v86's own network, in the same browser, through the same relay.
 */
import { parseArgs } from "node:util";
import { median } from "./report.ts";

export interface Config {
  readonly name: string;
  /** What follows the page's address. */
  readonly query: string;
}

/**
 * v86's own network has its default MTU: with one of 65520 its downloads stall, as it sends more
 * than the guest's window takes.
 */
export const CONFIGS: readonly Config[] = [
  { name: "engine 65520", query: "" },
  { name: "engine 1500", query: "?mtu=1500" },
  { name: "v86 1500", query: "?network=v86" },
];
const OURS = "engine 65520";
const THEIRS = "v86 1500";

export const METRICS = ["down", "up"] as const;
export type Metric = (typeof METRICS)[number];

export const TITLES: Readonly<Record<Metric, string>> = {
  down: "one download, MB/s",
  up: "one upload, MB/s",
};

/** Ratio of ours to v86's that is wanted in both metrics. */
export const FACTOR = 5;
/** Milliseconds from the page's begin until it can be used, the guest's boot aside. */
export const INTERACTIVE_MAX_ms = 2000;

export interface Sample {
  /** MB/s. */
  readonly speed: number;
  /** MB for each second of processor time of the page's thread. */
  readonly perCpu: number;
}

/** By repetition; undefined: it failed. */
export type Samples = readonly (Sample | undefined)[];
/** By `keyOf`. */
export type Results = Map<string, Samples>;

export function keyOf(metric: Metric, config: string): string {
  return `${metric} ${config}`;
}

export interface Verdict {
  readonly metric: Metric;
  /** Median of the ratios within a repetition. */
  readonly ratio: number;
  readonly isMet: boolean;
}

export function judge(results: Results): Verdict[] {
  return METRICS.flatMap((metric) => {
    const [ours, theirs] = [OURS, THEIRS].map((name) => results.get(keyOf(metric, name)));
    if (ours === undefined || theirs === undefined) return [];
    const ratios = ours.flatMap((value, rep) => {
      const other = theirs[rep];
      return value === undefined || other === undefined ? [] : [value.speed / other.speed];
    });
    const ratio = median(ratios);
    return [{ metric, ratio, isMet: ratio >= FACTOR }];
  });
}

export interface Options {
  readonly reps: number;
  readonly configs: readonly Config[];
  /** Of a transfer behind the engine and behind v86's, octets. */
  readonly size: number;
  /** Exit with code 1 when a bar is missed. */
  readonly isStrict: boolean;
}

export const USAGE = `usage: npm run bench -- --browser [options]
  --reps N       repetitions (default 5)
  --size MB      of a transfer (default 16)
  --only TEXT    configurations with this text, several by comma
  --strict       exit with code 1 when a bar is missed`;

/** Reads the command line. Throws an Error whose message is one line. */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      reps: { type: "string" },
      size: { type: "string" },
      only: { type: "string" },
      strict: { type: "boolean", default: false },
    },
  });
  const words = (values.only ?? "").split(",").filter((word) => word !== "");
  const configs = CONFIGS.filter(
    ({ name }) => words.length === 0 || words.some((word) => name.includes(word)),
  );
  if (configs.length === 0) throw new Error(`--only "${values.only}" names no configuration`);
  return {
    reps: whole("--reps", values.reps, 5, 100),
    configs,
    size: whole("--size", values.size, 16, 64) * 1e6,
    isStrict: values.strict,
  };
}

function whole(name: string, text: string | undefined, fallback: number, most: number): number {
  const value = text === undefined ? fallback : Number(text);
  if (!Number.isInteger(value) || value < 1 || value > most) {
    throw new Error(`${name} must be a whole number from 1 to ${most}, not "${text}"`);
  }
  return value;
}
