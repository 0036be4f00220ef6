/**
 * What `simulate` was asked to do, read into one frozen, validated value: a swarm of seeds, one
 * seed, or a scenario file.
 */
import { ConfigError, quote } from "./errors.ts";
import {
  checkConflicts,
  choice,
  flag,
  type Group,
  integer,
  isGiven,
  readGroup,
  rowsOf,
  type Values,
  value,
} from "./option.ts";
import { parsePath } from "./path.ts";
import { readOne, type Settings } from "./settings.ts";

const SEED_MAX = Number.MAX_SAFE_INTEGER;
const MINUTES_DEFAULT = 1;
/** First seeds of swarms that are drawn stay below, so that they are short to type. */
export const FIRST_SEED_MAX = 1_000_000_000;

/** What seeds stand for; `src/lab/sim/family.ts` has the plans. */
const FAMILIES = ["random", "windows", "vhost-user", "competition"] as const;

type Family = (typeof FAMILIES)[number];

const ONE = "One run:";
const SWARM = "Many runs:";
const NOT_WITH_SCENARIO = { scenario: "a scenario is one run" };

const SEED_OPTIONS = {
  /** Undefined = the scenario's own, or any. */
  seed: integer({
    name: "seed",
    argument: "N",
    description: "run the random scenario of this seed, or the scenario file with it",
    heading: ONE,
    bounds: [0, SEED_MAX],
  }),
  /** Of seeds; a scenario is of none. */
  family: choice<Family, Family>({
    name: "family",
    argument: "NAME",
    choices: FAMILIES,
    description:
      "what seeds stand for: random (default), windows: receive windows that close and whose " +
      "reopening is lost or not sent, vhost-user: a guest with such a card, competition: parties " +
      "that want too much",
    heading: ONE,
    fallback: "random",
    conflicts: { scenario: "a scenario belongs to none" },
  }),
};

const SINGLE_OPTIONS = {
  trace: flag({
    name: "trace",
    description: "print one line per event to standard output, the verdict to standard error",
    heading: ONE,
  }),
  pcap: value({
    name: "pcap",
    argument: "FILE",
    description: "write the frames between guest and engine, with virtual times",
    heading: ONE,
    parse: parsePath,
  }),
  report: value({
    name: "report",
    argument: "FILE",
    description: "write a page of HTML with plots of the run",
    heading: ONE,
    parse: parsePath,
  }),
};

const SWARM_OPTIONS = {
  /** Undefined = the default, unless a number of seeds is given. */
  minutes: integer({
    name: "minutes",
    argument: "N",
    description: `run random seeds for so long (default ${MINUTES_DEFAULT})`,
    heading: SWARM,
    bounds: [1, 10_080],
    conflicts: NOT_WITH_SCENARIO,
  }),
  /** How many seeds; undefined = as many as `minutes` allow. */
  seeds: integer({
    name: "seeds",
    argument: "N",
    description: "run so many seeds, from --seed on if that is given",
    heading: SWARM,
    bounds: [1, 100_000_000],
    conflicts: NOT_WITH_SCENARIO,
  }),
  /** Processes side by side; undefined = one for each core. */
  jobs: integer({
    name: "jobs",
    argument: "N",
    description: "processes side by side (default: one for each core)",
    heading: SWARM,
    bounds: [1, 256],
    conflicts: NOT_WITH_SCENARIO,
  }),
};

/** All its options, in the order of the help. */
export const SIMULATE_ROWS = rowsOf(SEED_OPTIONS, SINGLE_OPTIONS, SWARM_OPTIONS);

export interface SwarmOptions extends Values<typeof SWARM_OPTIONS> {
  readonly kind: "swarm";
  readonly family: Family;
  /** The first seed; undefined = any. */
  readonly from: number | undefined;
}

export interface SingleOptions extends Values<typeof SEED_OPTIONS & typeof SINGLE_OPTIONS> {
  readonly kind: "seed" | "scenario";
  /** Path of the scenario file. */
  readonly scenario: string | undefined;
}

/** Options of `simulate`, frozen. */
export type SimulateOptions = SwarmOptions | SingleOptions;

/** Reads the settings of `simulate`. Throws `ConfigError`. */
export function readSimulateOptions(settings: Settings): SimulateOptions {
  checkConflicts(SIMULATE_ROWS, settings);
  const scenario = readOne(settings, "scenario", undefined, parsePath);
  const single = { scenario, ...readGroup({ ...SEED_OPTIONS, ...SINGLE_OPTIONS }, settings) };
  const { seed, family } = single;
  if (scenario !== undefined) return Object.freeze({ kind: "scenario", ...single });
  if (seed !== undefined && !settings.has("seeds")) {
    refuse(settings, SWARM_OPTIONS, 'one seed is one run; add "--seeds" for more from there on');
    return Object.freeze({ kind: "seed", ...single });
  }
  refuse(settings, SINGLE_OPTIONS, 'choose one run by "--seed N" or by a scenario file');
  const swarm = readGroup(SWARM_OPTIONS, settings);
  const { minutes = swarm.seeds === undefined ? MINUTES_DEFAULT : undefined } = swarm;
  return Object.freeze({ kind: "swarm", family, from: seed, ...swarm, minutes });
}

function refuse(settings: Settings, group: Group, why: string): void {
  for (const { name } of rowsOf(group)) {
    const setting = settings.get(name);
    if (setting === undefined || !isGiven(settings, name)) continue;
    throw new ConfigError(`leave out ${quote(setting.origin)}: ${why}`);
  }
}
