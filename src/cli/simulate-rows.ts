/** How the options of `simulate` look. They are read in `src/config/simulate.ts`. */
import { MINUTES_DEFAULT } from "../config/simulate.ts";
import type { OptionRow } from "./option-row.ts";

const ONE = "One run:";
const SWARM = "Many runs:";

export const SIMULATE_ROWS: readonly OptionRow[] = [
  {
    name: "seed",
    argument: "N",
    description: "run the random scenario of this seed, or the scenario file with it",
    group: ONE,
  },
  {
    name: "family",
    argument: "NAME",
    description:
      "what seeds stand for: random (default), windows: shut ones of which nobody hears, or " +
      "competition: parties that want too much",
    group: ONE,
  },
  {
    name: "trace",
    description: "print one line per event to standard output, the verdict to standard error",
    group: ONE,
  },
  {
    name: "pcap",
    argument: "FILE",
    description: "write the frames between guest and engine, with virtual times",
    group: ONE,
  },
  {
    name: "report",
    argument: "FILE",
    description: "write a page of HTML with plots of the run",
    group: ONE,
  },
  {
    name: "minutes",
    argument: "N",
    description: `run random seeds for so long (default ${MINUTES_DEFAULT})`,
    group: SWARM,
  },
  {
    name: "seeds",
    argument: "N",
    description: "run so many seeds, from --seed on if that is given",
    group: SWARM,
  },
  {
    name: "jobs",
    argument: "N",
    description: "processes side by side (default: one for each core)",
    group: SWARM,
  },
];

/** What stands below the options of `simulate`. */
export const SIMULATE_EPILOGUE = `
Without a scenario and without --seed, random seeds are run until the time is over or one fails.
Scenario files are YAML; docs/simulator.md describes their fields.

Examples:
  slirp-binding simulate
  slirp-binding simulate --seed 17 --trace
  slirp-binding simulate --family competition --seeds 100
  slirp-binding simulate test/sim/scenarios/wan.yaml --report wan.html

Ends with code 0 when nothing was wrong, with 1 when something was, with 2 for a scenario that
cannot be read. A run that fails names the command that repeats it.`;
