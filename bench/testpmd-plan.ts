/**
 * What `npm run bench -- --testpmd` measures: directions, sizes, kinds of memory, the bar, and the
 * options of a run.
 */
import { parseArgs } from "node:util";

/** From the guest, to it, and there and back one at a time. */
export const DIRECTIONS = ["up", "down", "echo"] as const;
export type Direction = (typeof DIRECTIONS)[number];
/** Octets of a frame with its Ethernet header. */
export const SIZES = [64, 512, 1400] as const;
/** Memory that cannot shrink, as QEMU's; and as DPDK makes it, which takes a call for each copy. */
export const MEMORIES = ["sealed", "unsealed"] as const;
export type MemoryKind = (typeof MEMORIES)[number];

export interface Row {
  readonly direction: Direction;
  readonly size: number;
  readonly memory: MemoryKind;
}

export const ROWS: readonly Row[] = MEMORIES.flatMap((memory) =>
  DIRECTIONS.flatMap((direction) =>
    (direction === "echo" ? SIZES.slice(0, 1) : SIZES).map((size) => ({ direction, size, memory })),
  ),
);

export const nameOf = ({ direction, size, memory }: Row): string =>
  `${direction} ${size} ${memory}`;

/** Frames a second of this row that the program has to take in. */
export const BAR = { row: "up 64 sealed", perSecond: 1_000_000 } as const;

/** One measurement, over `seconds` of the program's clock. */
export interface Sample {
  readonly seconds: number;
  /** Frames that went through the link; exchanges for `echo`. */
  readonly frames: number;
  /** Of those, what came to the other end, where that is counted. */
  readonly arrived?: number;
  /** Median time of an exchange. */
  readonly p50_us?: number;
  /** Processor time of the program. */
  readonly user_s: number;
  readonly system_s: number;
  /** Counters that grew, of what was dropped. */
  readonly drops: Readonly<Record<string, number>>;
}

export interface Options {
  readonly reps: number;
  readonly seconds: number;
  readonly rows: readonly Row[];
  readonly strict: boolean;
}

const WORDS = [...DIRECTIONS, ...SIZES, ...MEMORIES].join(", ");

export const USAGE = `usage: npm run bench -- --testpmd [options]
  --reps N           repetitions (default 3)
  --seconds S        length of each measurement (default 2)
  --only WORD,…      rows with all of these words: ${WORDS}
  --strict           exit with code 1 when the bar is missed`;

/** Reads the command line. Throws an Error whose message is one line. */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      reps: { type: "string", default: "3" },
      seconds: { type: "string", default: "2" },
      only: { type: "string", default: "" },
      strict: { type: "boolean", default: false },
    },
  });
  const [reps, seconds] = [Number(values.reps), Number(values.seconds)];
  if (!(reps >= 1 && seconds > 0)) throw new Error("--reps and --seconds are positive numbers");
  const words = values.only.split(",").filter((word) => word !== "");
  const rows = ROWS.filter((row) => words.every((word) => nameOf(row).split(" ").includes(word)));
  if (rows.length === 0) throw new Error(`--only "${values.only}" names no row`);
  return { reps, seconds, rows, strict: values.strict };
}
