/**
 * What `npm run bench -- --qemu` compares: links, MTUs, metrics, bars, and the options of a run.
 */
import { parseArgs } from "node:util";
import { median } from "./report.ts";

/** How the guest's card reaches the network: three links of this program, and QEMU's own. */
export const KINDS = ["vhost-user", "client", "stream", "user"] as const;
export type Kind = (typeof KINDS)[number];
export const MTUS = [1500, 65520] as const;
export type Mtu = (typeof MTUS)[number];
export const METRICS = ["up1", "dn1", "rr"] as const;
export type Metric = (typeof METRICS)[number];

export const TITLES: Readonly<Record<Metric, string>> = {
  up1: "TCP up, 1 stream, Gbit/s",
  dn1: "TCP down, 1 stream, Gbit/s",
  rr: "TCP request/response, 1/s",
};

/** What the program's processor time is divided by. */
export const CPU_UNITS: Readonly<Record<Metric, string>> = {
  up1: "ms/Gbit",
  dn1: "ms/Gbit",
  rr: "µs each",
};

/** The median of per-repetition ratios of `kind` to `against` must reach `factor`. */
export interface Bar {
  readonly metric: Metric;
  readonly mtu: Mtu;
  readonly kind: Kind;
  readonly against: Kind;
  readonly factor: number;
}

/** Factors at the two MTUs; undefined: no bar. */
function bars(
  metric: Metric,
  kinds: readonly Kind[],
  against: Kind,
  ...factors: readonly (number | undefined)[]
): Bar[] {
  return MTUS.flatMap((mtu, i) =>
    kinds.flatMap((kind) => {
      const factor = factors[i];
      return factor === undefined ? [] : [{ metric, mtu, kind, against, factor }];
    }),
  );
}

const SOCKETS = ["client", "stream"] as const;

export const BARS: readonly Bar[] = [
  ...bars("up1", ["vhost-user"], "user", 4, 3),
  ...bars("up1", ["vhost-user"], "stream", 2, 1.3),
  ...bars("up1", SOCKETS, "user", 1.5, 3),
  ...bars("dn1", ["vhost-user"], "user", 2.5, 3),
  ...bars("dn1", ["vhost-user"], "stream", 2, 1.3),
  ...bars("dn1", SOCKETS, "user", 1, 3),
  ...bars("rr", ["vhost-user", ...SOCKETS], "user", 1, 1),
];

/** Limit of a program's memory without the guest's. */
export const MEMORY_BAR_MIB = 64;
/** The runtime collects garbage and ends threads for half a minute after work. */
export const SETTLE_SECONDS = 30;
export const IDLE_SECONDS = 10;
/** Share of a core: a look at resolv.conf each second is all there is to do. */
export const IDLE_BAR = 0.001;

/** One measurement. */
export interface Sample {
  /** Gbit/s, or exchanges a second. */
  readonly value: number;
  /** Processor time of the program in seconds, user and system; 0 where QEMU is the program. */
  readonly cpu_s: number;
  /** Gbit, or exchanges, that the time was spent on. */
  readonly work: number;
}

/** Samples by configuration, one for each repetition; undefined = it failed. */
export type Results = Map<string, (Sample | undefined)[]>;

export const keyOf = (metric: Metric, kind: Kind, mtu: Mtu): string => `${metric} ${kind} ${mtu}`;

/** Ratio of the speeds in each repetition that has both. */
export function ratiosOf(
  ours: readonly (Sample | undefined)[],
  theirs: readonly (Sample | undefined)[],
): number[] {
  return ours.flatMap((sample, i) => {
    const other = theirs[i];
    return sample === undefined || other === undefined ? [] : [sample.value / other.value];
  });
}

export interface Verdict {
  readonly bar: Bar;
  /** Median of the ratios; not a number where there is none. */
  readonly ratio: number;
  readonly met: boolean;
}

/** Judges each bar that both sides took part in. */
export function judge(results: Results): Verdict[] {
  return BARS.flatMap((bar) => {
    const ours = results.get(keyOf(bar.metric, bar.kind, bar.mtu));
    const theirs = results.get(keyOf(bar.metric, bar.against, bar.mtu));
    if (ours === undefined || theirs === undefined) return [];
    const ratio = median(ratiosOf(ours, theirs));
    return [{ bar, ratio, met: ratio >= bar.factor }];
  });
}

export interface Options {
  readonly reps: number;
  readonly seconds: number;
  readonly kinds: readonly Kind[];
  readonly mtus: readonly Mtu[];
  readonly metrics: readonly Metric[];
  /** The cards of all links but vhost-user have MSI-X. */
  readonly msix: boolean;
  readonly strict: boolean;
}

export const USAGE = `usage: npm run bench -- --qemu [options]
  --reps N           repetitions (default 5)
  --seconds S        length of each measurement (default 2)
  --only WORD,…      links (${KINDS.join(", ")}), MTUs, metrics
  --msix             cards of links other than vhost-user keep MSI-X, which QEMU 7.2 cannot give
                     that link without KVM; else none has it
  --strict           exit with code 1 when a bar is missed`;

/** Reads the command line. Throws an Error whose message is one line. */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      reps: { type: "string", default: "5" },
      seconds: { type: "string", default: "2" },
      only: { type: "string", default: "" },
      msix: { type: "boolean", default: false },
      strict: { type: "boolean", default: false },
    },
  });
  const [reps, seconds] = [Number(values.reps), Number(values.seconds)];
  if (!(reps >= 1 && seconds >= 1)) throw new Error("--reps and --seconds are numbers from 1 on");
  const words = values.only.split(",").filter((word) => word !== "");
  const known: readonly string[] = [...KINDS, ...MTUS.map(String), ...METRICS];
  const stray = words.find((word) => !known.includes(word));
  if (stray !== undefined) throw new Error(`--only "${stray}" is no link, no MTU and no metric`);
  const chosen = <T extends string | number>(all: readonly T[]): readonly T[] => {
    const some = all.filter((each) => words.includes(String(each)));
    return some.length === 0 ? all : some;
  };
  return {
    ...{ reps, seconds: Math.ceil(seconds), msix: values.msix, strict: values.strict },
    ...{ kinds: chosen(KINDS), mtus: chosen(MTUS), metrics: chosen(METRICS) },
  };
}
