/**
 * What the benchmark compares: configurations, metrics, bars, and the options of a run.
 */

import { parseArgs } from "node:util";
import type { ProgramKind } from "../test/support/e2e/program.ts";

/** One way to reach the server; `direct` goes over the host's loopback without any program. */
export type Config = {
  readonly name: string;
  readonly kind: ProgramKind | "direct";
  readonly mtu: number;
  readonly vnet: boolean;
  /** Over IPv6, and only what `IPV6_METRICS` names; else over IPv4. */
  readonly ipv6?: boolean;
};

/** Names of what is measured; the figures are Gbit/s, exchanges per second or 1,000 packets/s. */
export const METRICS = [
  "up1",
  "dn1",
  "up8",
  "dn8",
  "rr",
  "urr",
  "crr",
  "udp64",
  "udp1400",
] as const;
export type Metric = (typeof METRICS)[number];

export const METRIC_TITLES: Readonly<Record<Metric, string>> = {
  up1: "TCP up, 1 stream, Gbit/s",
  dn1: "TCP down, 1 stream, Gbit/s",
  up8: "TCP up, 8 streams, Gbit/s",
  dn8: "TCP down, 8 streams, Gbit/s",
  rr: "TCP request/response, 1/s",
  urr: "UDP request/response, 1/s",
  crr: "connect + request/response + close, 1/s",
  udp64: "UDP up, 64 B, 1,000/s received",
  udp1400: "UDP up, 1400 B, 1,000/s received",
};

/** What is measured over IPv6: the code behind the addresses is the same, so a few tell. */
const IPV6_METRICS: readonly Metric[] = ["up1", "dn1", "rr"];

/** Whether a configuration takes part in a metric. */
export function takesPart(config: Config, metric: Metric): boolean {
  return config.ipv6 !== true || IPV6_METRICS.includes(metric);
}

const MTUS = [1500, 9000, 65520];

function configsOf(kind: ProgramKind): Config[] {
  return MTUS.map((mtu) => ({ name: `${kind} ${mtu}`, kind, mtu, vnet: true }));
}

/** The same over IPv6. */
const overIpv6 = (config: Config): Config => ({
  ...config,
  name: `${config.name} IPv6`,
  ipv6: true,
});

export const CONFIGS: readonly Config[] = [
  // Beside the one it is compared with, so that both meet the same machine.
  ...configsOf("ours").flatMap((one) => (one.mtu === 9000 ? [one] : [one, overIpv6(one)])),
  { name: "ours 1500 no-vnet", kind: "ours", mtu: 1500, vnet: false },
  ...configsOf("slirp4netns"),
  ...configsOf("pasta"),
  { name: "direct", kind: "direct", mtu: 65536, vnet: true },
];

/** A bar: the median of per-repetition ratios to the best of `against` must reach `factor`. */
export type Bar = {
  readonly metric: Metric;
  readonly config: string;
  readonly against: readonly string[];
  readonly factor: number;
};

const bar = (metric: Metric, config: string, factor: number, ...against: string[]): Bar => ({
  metric,
  config,
  against,
  factor,
});

export const BARS: readonly Bar[] = [
  bar("up1", "ours 1500", 30, "slirp4netns 1500"),
  bar("dn1", "ours 1500", 12, "slirp4netns 1500"),
  bar("dn1", "ours 65520", 1.2, "pasta 65520"),
  bar("up8", "ours 65520", 1.2, "pasta 65520"),
  bar("rr", "ours 1500", 1, "slirp4netns 1500", "pasta 1500"),
  bar("rr", "ours 65520", 1, "slirp4netns 65520", "pasta 65520"),
  bar("urr", "ours 1500", 1, "slirp4netns 1500", "pasta 1500"),
  bar("urr", "ours 65520", 1, "slirp4netns 65520", "pasta 65520"),
  bar("crr", "ours 1500", 1.2, "pasta 1500"),
  bar("crr", "ours 65520", 1.2, "pasta 65520"),
  bar("udp1400", "ours 1500", 2.5, "slirp4netns 1500"),
  bar("up1", "ours 1500 no-vnet", 5, "slirp4netns 1500"),
  bar("dn1", "ours 1500 no-vnet", 1.5, "slirp4netns 1500"),
  ...IPV6_METRICS.flatMap((metric) => [
    bar(metric, "ours 1500 IPv6", 0.95, "ours 1500"),
    bar(metric, "ours 65520 IPv6", 0.95, "ours 65520"),
  ]),
];

/** Absolute limits of footprint. */
export const LIMITS = {
  ready_ms: 100,
  idle_mib: 48,
  active_mib: 64,
  idleFlowsShare: 0.9,
} as const;

export const IDLE_FLOW_COUNT = 10_000;
export const ACTIVE_FLOW_COUNT = 1_000;

export type RunOptions = {
  readonly reps: number;
  readonly seconds: number;
  readonly configs: readonly Config[];
  readonly metrics: readonly Metric[];
  readonly footprint: boolean;
  /** Throughput beside idle flows is a part of it. */
  readonly idleFlows: boolean;
  /** Exit with code 1 when a bar is missed. */
  readonly strict: boolean;
};

export const USAGE = `usage: npm run bench -- [options]
  --quick            1 repetition of 0.5 s
  --reps N           repetitions (default 5)
  --seconds S        length of each measurement (default 2)
  --only TEXT        configurations and metrics with this text, several by comma:
                     "ours,direct" or "up1,rr" or "1500,dn1"
  --no-footprint     leave out start-up time, memory and idle flows
  --no-idle-flows    leave out idle flows
  --readme           all that README.md's tables are made of, and these tables, instead
  --browser          a guest in a browser against v86's own network instead
  --engine           the engine alone, without sockets and kernel, instead
  --instructions     how many instructions the engine takes instead
  --hooks            how fast the hooks answer instead (with --strict only)
  --qemu             a guest under QEMU against QEMU's own user network instead
  --testpmd          the vhost-user link driven by DPDK's testpmd instead
  --shares           what others get beside a crowd that gives nothing back instead
  --writers          traffic while log, capture or recording is stuck, and their memory instead
  --strict           exit with code 1 when a bar is missed`;

/** Reads the command line. Throws an Error whose message is one line. */
export function parseOptions(args: readonly string[]): RunOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: "boolean", default: false },
      reps: { type: "string" },
      seconds: { type: "string" },
      only: { type: "string" },
      "no-footprint": { type: "boolean", default: false },
      "no-idle-flows": { type: "boolean", default: false },
      strict: { type: "boolean", default: false },
    },
  });
  const quick = values.quick === true;
  const words = (values.only ?? "").split(",").filter((word) => word !== "");
  for (const word of words) {
    if (!METRICS.some((metric) => metric === word) && !matchesConfig(word)) {
      throw new Error(`--only "${word}" names no configuration and no metric`);
    }
  }
  const metrics = METRICS.filter((metric) => words.includes(metric));
  const names = words.filter((word) => !METRICS.some((metric) => metric === word));
  return {
    reps: positive("--reps", values.reps, quick ? 1 : 5),
    seconds: positive("--seconds", values.seconds, quick ? 0.5 : 2),
    configs: CONFIGS.filter(
      (config) => names.length === 0 || names.some((name) => config.name.includes(name)),
    ),
    metrics: metrics.length === 0 ? METRICS : metrics,
    footprint: values["no-footprint"] !== true,
    idleFlows: values["no-idle-flows"] !== true,
    strict: values.strict === true,
  };
}

function matchesConfig(word: string): boolean {
  return CONFIGS.some((config) => config.name.includes(word));
}

function positive(name: string, text: string | undefined, fallback: number): number {
  const value = text === undefined ? fallback : Number(text);
  if (!(value > 0) || value > 3600) {
    throw new Error(`${name} must be a number above 0, not "${text}"`);
  }
  return value;
}

/** Repetition `rep`'s order: rotated, and backwards every other time, so that no place is fixed. */
export function orderOf<T>(items: readonly T[], rep: number): T[] {
  const shift = items.length === 0 ? 0 : rep % items.length;
  const rotated = [...items.slice(shift), ...items.slice(0, shift)];
  return rep % 2 === 0 ? rotated : rotated.reverse();
}
