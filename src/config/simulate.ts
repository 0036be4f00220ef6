/**
 * What `simulate` was asked to do, read into one frozen, validated value: a swarm of seeds, one
 * seed, or a scenario file.
 */
import { parsePath } from "./config.ts";
import { ConfigError } from "./errors.ts";
import { integerBetween, oneOf, readFlag, readOne, type Settings } from "./settings.ts";

const SEED_MAX = Number.MAX_SAFE_INTEGER;
export const MINUTES_DEFAULT = 1;
const MINUTES_LIMITS: readonly [number, number] = [1, 10_080];
const SEEDS_LIMITS: readonly [number, number] = [1, 100_000_000];
const JOBS_LIMITS: readonly [number, number] = [1, 256];
/** First seeds of swarms that are drawn stay below, so that they are short to type. */
export const FIRST_SEED_MAX = 1_000_000_000;

/** What seeds stand for; `src/lab/sim/family.ts` has the plans. */
const FAMILIES = ["random", "windows", "competition"] as const;

type Family = (typeof FAMILIES)[number];

export interface SwarmOptions {
  readonly kind: "swarm";
  readonly family: Family;
  /** The first seed; undefined = any. */
  readonly from: number | undefined;
  /** How many seeds; undefined = as many as `minutes` allow. */
  readonly seeds: number | undefined;
  readonly minutes: number | undefined;
  /** Processes side by side; undefined = one for each core. */
  readonly jobs: number | undefined;
}

export interface SingleOptions {
  readonly kind: "seed" | "scenario";
  /** Of the seed; a scenario is of none. */
  readonly family: Family;
  /** Undefined = the scenario's own. */
  readonly seed: number | undefined;
  /** Path of the scenario file. */
  readonly scenario: string | undefined;
  readonly trace: boolean;
  readonly pcap: string | undefined;
  readonly report: string | undefined;
}

/** Options of `simulate`, frozen. */
export type SimulateOptions = SwarmOptions | SingleOptions;

const SWARM_ONLY = ["seeds", "minutes", "jobs"] as const;
const SINGLE_ONLY = ["trace", "pcap", "report"] as const;

/** Reads the settings of `simulate`. Throws `ConfigError`. */
export function readSimulateOptions(settings: Settings): SimulateOptions {
  const scenario = readOne(settings, "scenario", undefined, parsePath);
  const seed = readOne(settings, "seed", undefined, integerBetween(0, SEED_MAX));
  const trace = readFlag(settings, "trace");
  const family = readOne(settings, "family", "random" as const, oneOf(FAMILIES));
  const single = { family, seed, scenario, trace, ...readFiles(settings) };
  if (scenario !== undefined) {
    refuse(settings, SWARM_ONLY, "a scenario is one run");
    refuse(settings, ["family"], "a scenario belongs to none");
    return Object.freeze({ kind: "scenario", ...single });
  }
  if (seed !== undefined && !settings.has("seeds")) {
    refuse(settings, SWARM_ONLY, 'one seed is one run; add "--seeds" for more from there on');
    return Object.freeze({ kind: "seed", ...single });
  }
  refuse(settings, SINGLE_ONLY, 'choose one run by "--seed N" or by a scenario file');
  return Object.freeze({ kind: "swarm", family, from: seed, ...readSwarm(settings) });
}

function readFiles(settings: Settings) {
  return {
    pcap: readOne(settings, "pcap", undefined, parsePath),
    report: readOne(settings, "report", undefined, parsePath),
  };
}

function readSwarm(settings: Settings) {
  const seeds = readOne(settings, "seeds", undefined, integerBetween(...SEEDS_LIMITS));
  const fallback = seeds === undefined ? MINUTES_DEFAULT : undefined;
  return {
    seeds,
    minutes: readOne(settings, "minutes", fallback, integerBetween(...MINUTES_LIMITS)),
    jobs: readOne(settings, "jobs", undefined, integerBetween(...JOBS_LIMITS)),
  };
}

function refuse(settings: Settings, names: readonly string[], why: string): void {
  for (const name of names) {
    const setting = settings.get(name);
    if (setting === undefined || setting.values[0] === "false") continue;
    throw new ConfigError(`leave out ${setting.origin}: ${why}`);
  }
}
