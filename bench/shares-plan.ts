/**
 * What `npm run bench -- --shares` compares: crowds, programs, bars, and the options of a run.
 */
import { parseArgs } from "node:util";
import type { ProgramKind } from "../test/support/e2e/program.ts";

/** `readers` and `idle` come from outside to the published port, `writers` from the guest. */
export type CrowdKind = "readers" | "writers" | "idle";

export interface Crowd {
  readonly kind: CrowdKind;
  readonly count: number;
  /** Measured while it comes, not once it stands still: uploads fill all buffers on the way. */
  readonly arriving?: boolean;
}

export const CROWDS: readonly Crowd[] = [
  { kind: "readers", count: 80 },
  { kind: "readers", count: 300 },
  { kind: "readers", count: 2000 },
  { kind: "writers", count: 1000 },
  { kind: "writers", count: 1000, arriving: true },
  { kind: "idle", count: 60_000 },
];

/** For `--quick`: whether the program works, not what the product does. */
const SMALL_CROWDS: readonly Crowd[] = [
  { kind: "readers", count: 80 },
  { kind: "writers", count: 80 },
  { kind: "writers", count: 80, arriving: true },
  { kind: "idle", count: 1000 },
];

export const PROGRAMS: readonly ProgramKind[] = ["ours", "slirp4netns", "pasta"];

/** What the issue asks for: part of the speed alone, and milliseconds. */
export const SPEED_BAR = 0.5;
export const TIME_BAR_ms = 100;

/** What one stream must have moved at least: its time is given as well. */
export const LEAST_octets = 8 * 1024 * 1024;
/** After that much there is no answer. */
export const LIMIT_s = 10;

export const titleOf = ({ kind, count, arriving }: Crowd): string => {
  const number = count.toLocaleString("en-US");
  switch (kind) {
    case "readers":
      return `${number} stuck readers`;
    case "writers":
      return `${number} ${arriving === true ? "uploads that get stuck" : "stuck uploads"}`;
    case "idle":
      return `${number} idle connections`;
  }
};

export interface SharesOptions {
  readonly reps: number;
  readonly peerReps: number;
  readonly seconds: number;
  readonly mtu: number;
  readonly crowds: readonly Crowd[];
  readonly programs: readonly ProgramKind[];
  readonly strict: boolean;
}

export const USAGE = `usage: npm run bench -- --shares [options]
  --quick            1 repetition beside small crowds: whether all of it works
  --reps N           repetitions for this program (default 5)
  --peer-reps N      repetitions for slirp4netns and pasta (default 2)
  --seconds S        length of a stream; it goes on until 8 MiB are across (default 1)
  --mtu N            octets of an IP packet (default 1500)
  --only NAMES       programs, and crowds by kind or count, by comma: "ours,2000",
                     "pasta,writers"
  --strict           exit with code 1 when a bar is missed`;

function number(name: string, text: string | undefined, fallback: number, most: number): number {
  const value = text === undefined ? fallback : Number(text);
  if (!(value > 0) || value > most) {
    throw new Error(`${name} must be a number above 0 and up to ${most}, not "${text}"`);
  }
  return value;
}

/** Reads the command line. Throws an Error whose message is one line. */
export function parseOptions(args: readonly string[]): SharesOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: "boolean", default: false },
      reps: { type: "string" },
      "peer-reps": { type: "string" },
      seconds: { type: "string" },
      mtu: { type: "string" },
      only: { type: "string", default: "" },
      strict: { type: "boolean", default: false },
    },
  });
  const crowds = values.quick ? SMALL_CROWDS : CROWDS;
  const words = values.only.split(",").filter((word) => word !== "");
  const programs = PROGRAMS.filter((name) => words.includes(name));
  const named = (crowd: Crowd): boolean =>
    words.includes(crowd.kind) || words.includes(String(crowd.count));
  const chosen = crowds.filter(named);
  const known = (word: string): boolean =>
    PROGRAMS.some((name) => name === word) ||
    crowds.some(({ kind, count }) => kind === word || String(count) === word);
  const unknown = words.find((word) => !known(word));
  if (unknown !== undefined) {
    throw new Error(`--only "${unknown}" names no crowd and no program`);
  }
  return {
    reps: Math.ceil(number("--reps", values.reps, values.quick ? 1 : 5, 100)),
    peerReps: Math.ceil(number("--peer-reps", values["peer-reps"], values.quick ? 1 : 2, 100)),
    seconds: number("--seconds", values.seconds, values.quick ? 0.3 : 1, LIMIT_s / 2),
    mtu: Math.ceil(number("--mtu", values.mtu, 1500, 65520)),
    crowds: chosen.length === 0 ? crowds : chosen,
    programs: programs.length === 0 ? PROGRAMS : programs,
    strict: values.strict,
  };
}
