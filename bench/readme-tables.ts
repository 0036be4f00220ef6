/** README.md's tables of speeds, as Markdown, of what the benchmarks wrote. */
import type { Footprint } from "./footprint.ts";
import type { Metric } from "./plan.ts";
import type { Kind, Mtu, Metric as QemuMetric, Sample as QemuSample } from "./qemu-plan.ts";
import { keyOf, ratiosOf } from "./qemu-plan.ts";
import { median, type Results, ratios } from "./report.ts";
import type { Row, Sample as TestpmdSample } from "./testpmd-plan.ts";

/** What `bench/main.ts` writes, as far as it is read here. */
export interface MainRun {
  readonly results: Results;
  readonly footprints: readonly Footprint[];
}

/** The same of `bench/qemu.ts`. */
export interface QemuRun {
  readonly results: Readonly<Record<string, readonly (QemuSample | null)[]>>;
}

/** The same of `bench/testpmd.ts`. */
export interface TestpmdRun {
  readonly rows: readonly (Row & { readonly samples: readonly (TestpmdSample | null)[] })[];
}

type Peer = "slirp4netns" | "pasta";
const PEERS: readonly Peer[] = ["slirp4netns", "pasta"];

/** A row of the first table; its ratio is to the better of `against`. */
interface SpeedRow {
  readonly title: string;
  readonly metric: Metric;
  readonly config: string;
  readonly mtu: number;
  readonly against: readonly Peer[];
}

function speed(
  title: string,
  metric: Metric,
  config: string,
  ...against: readonly Peer[]
): SpeedRow {
  return { title, metric, config: `ours ${config}`, mtu: Number.parseInt(config, 10), against };
}

const SPEEDS: readonly SpeedRow[] = [
  speed("TCP up, MTU 1500, Gbit/s", "up1", "1500", "slirp4netns"),
  speed("TCP down, MTU 1500", "dn1", "1500", "slirp4netns"),
  speed("TCP up, 8 streams, MTU 1500", "up8", "1500", "slirp4netns"),
  speed("TCP up, MTU 65520", "up1", "65520", "slirp4netns"),
  speed("TCP down, MTU 65520", "dn1", "65520", "pasta"),
  speed("TCP up, 8 streams, MTU 65520", "up8", "65520", "pasta"),
  speed("TCP down, 8 streams, MTU 65520", "dn8", "65520", "pasta"),
  speed("TCP request/response, MTU 1500, 1/s", "rr", "1500", ...PEERS),
  speed("TCP request/response, MTU 65520, 1/s", "rr", "65520", ...PEERS),
  speed("UDP request/response, MTU 1500, 1/s", "urr", "1500", ...PEERS),
  speed("connect, request, close, MTU 1500, 1/s", "crr", "1500", "pasta"),
  speed("UDP up, 1400 octets, 1,000/s received", "udp1400", "1500", "slirp4netns"),
  speed("UDP up, 64 octets, 1,000/s received", "udp64", "1500", "slirp4netns"),
  speed("TCP up without virtio header, MTU 1500", "up1", "1500 no-vnet", "slirp4netns"),
  speed("TCP down without virtio header, MTU 1500", "dn1", "1500 no-vnet", "slirp4netns"),
];

const NONE = "–";

/** Three digits, more where there are more before the point. */
function figure(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return NONE;
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function middle(values: readonly number[]): string {
  return figure(values.length === 0 ? undefined : median(values));
}

function range(values: readonly number[]): string {
  if (values.length === 0) return "";
  return `(${figure(Math.min(...values))}..${figure(Math.max(...values))})`;
}

const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;

function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [line(head), `|${head.map(() => "---").join("|")}|`, ...rows.map(line)].join("\n");
}

function speedCells({ results }: MainRun, row: SpeedRow): string[] {
  const valuesOf = (config: string): number[] =>
    (results[row.metric]?.[config] ?? []).flatMap((each) => (each.ok ? [each.value] : []));
  const peers = row.against.map((peer) => `${peer} ${row.mtu}`);
  const all = ratios(results, row.metric, row.config, peers);
  const whom = row.against.length > 1 ? "the better" : (row.against[0] ?? "");
  return [
    row.title,
    middle(valuesOf(row.config)),
    ...PEERS.map((peer) => middle(valuesOf(`${peer} ${row.mtu}`))),
    all.length === 0 ? NONE : `${middle(all)} x ${whom} ${range(all)}`,
  ];
}

function footprintCells({ footprints }: MainRun): string[][] {
  const cell = (kind: string, show: (one: Footprint) => string): string => {
    const found = footprints.find((one) => one.kind === kind);
    return found === undefined ? NONE : show(found);
  };
  const row = (title: string, show: (one: Footprint) => string): string[] => [
    title,
    ...["ours", ...PEERS].map((kind) => cell(kind, show)),
    "",
  ];
  const whole = (value: number | undefined): string => value?.toFixed(0) ?? NONE;
  return [
    row("exec to ready, ms", ({ ready_ms }) => whole(median(ready_ms))),
    row("memory, idle / 1,000 busy flows, MiB", (one) =>
      [one.idle_mib, one.active_mib].map(whole).join(" / "),
    ),
  ];
}

/** This program, slirp4netns and pasta. */
export function speedTable(run: MainRun): string {
  const head = ["", "this", ...PEERS, "ratio within a repetition (min..max)"];
  return markdown(head, [...SPEEDS.map((row) => speedCells(run, row)), ...footprintCells(run)]);
}

/** Speed over IPv6 as a share of that over IPv4. */
export function ipv6Line({ results }: MainRun): string {
  const part = (metric: Metric, mtu: number): string => {
    const all = ratios(results, metric, `ours ${mtu} IPv6`, [`ours ${mtu}`]);
    return `${metric} ${mtu}: ${middle(all)} ${range(all)}`;
  };
  const all = [1500, 65520].flatMap((mtu) =>
    (["up1", "dn1", "rr"] as const).map((metric) => part(metric, mtu)),
  );
  return `IPv6 as a share of IPv4: ${all.join(", ")}`;
}

const QEMU_ROWS: readonly (readonly [string, QemuMetric, Mtu])[] = [
  ["TCP up, MTU 1500, Gbit/s", "up1", 1500],
  ["TCP down, MTU 1500", "dn1", 1500],
  ["TCP up, MTU 65520", "up1", 65520],
  ["TCP down, MTU 65520", "dn1", 65520],
  ["TCP request/response, MTU 1500, 1/s", "rr", 1500],
  ["TCP request/response, MTU 65520, 1/s", "rr", 65520],
];
const QEMU_LINKS: readonly Kind[] = ["vhost-user", "client", "stream"];

/** A guest under QEMU: speeds, ratios to QEMU's own network, processor time of vhost-user. */
export function qemuTable({ results }: QemuRun): string {
  const rows = QEMU_ROWS.map(([title, metric, mtu]) => {
    const samples = (kind: Kind): (QemuSample | undefined)[] =>
      (results[keyOf(metric, kind, mtu)] ?? []).map((each) => each ?? undefined);
    const sound = (kind: Kind): QemuSample[] =>
      samples(kind).flatMap((each) => (each === undefined ? [] : [each]));
    const ratio = (kind: Kind): string => `${middle(ratiosOf(samples(kind), samples("user")))} x`;
    const scale = metric === "rr" ? 1e6 : 1e3;
    const costs = sound("vhost-user").map(({ cpu_s, work }) => (cpu_s / work) * scale);
    return [
      title,
      ...[...QEMU_LINKS, "user" as const].map((kind) =>
        middle(sound(kind).map(({ value }) => value)),
      ),
      QEMU_LINKS.map(ratio).join(", "),
      `${middle(costs)} ${metric === "rr" ? "µs" : "ms/Gbit"}`,
    ];
  });
  const links = QEMU_LINKS.map((kind) => `\`${kind}\``);
  const cost = "CPU of `vhost-user`";
  return markdown(["", ...links, "QEMU's own", `ratio of ${links.join(", ")}`, cost], rows);
}

/** Frames a second of DPDK's driver, and processor time for each. */
export function testpmdTable({ rows }: TestpmdRun): string {
  const cells = rows.map(({ direction, size, memory, samples }) => {
    const sound = samples.flatMap((each) => (each === null ? [] : [each]));
    const rates = sound.map(({ frames, seconds }) => frames / seconds / 1000);
    const costs = sound.map((each) => ((each.user_s + each.system_s) / each.frames) * 1e6);
    const name = memory === "sealed" ? direction : `${direction}, not sealed`;
    return [name, String(size), `${middle(rates)} ${range(rates)}`, middle(costs)];
  });
  return markdown(["", "octets", "1,000 frames/s (min..max)", "CPU for each, µs"], cells);
}
