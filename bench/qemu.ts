/**
 * `npm run bench -- --qemu`: a Linux guest under QEMU (TCG) behind this program, against the same
 * guest behind QEMU's own user-mode network (libslirp), side by side in one run.
 *
 * Every configuration has a machine of its own; all are up for the whole run, idle but for the one
 * being measured. `client` is what the sidecar gives libvirt (`-netdev socket` to a loopback port),
 * `stream` what `attach --listen unix:` serves. The measuring client runs in the guest, its server
 * on the host: iperf3 for bulk, rr for latency. Ratios are taken within a repetition.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { messageOf } from "../src/lib/message.ts";
import { type Attached, GATEWAY, missing, startAttach } from "../test/support/e2e/program.ts";
import { endAll, type Running, which } from "../test/support/e2e/shell.ts";
import type { Namespace } from "../test/support/e2e/world.ts";
import { DHCP_COMMAND, type QemuGuest, qemuMissing, startGuest } from "../test/support/qemu.ts";
import { startEcho } from "./measure.ts";
import { orderOf } from "./plan.ts";
import { machine, median, table } from "./report.ts";
import { createBenchHost, obstacle, prepareRr } from "./world.ts";

const KINDS = ["client", "stream", "user"] as const;
type Kind = (typeof KINDS)[number];
const MTUS = [1500, 65520] as const;
type Mtu = (typeof MTUS)[number];
const METRICS = ["up1", "dn1", "rr"] as const;
type Metric = (typeof METRICS)[number];

const TITLES: Readonly<Record<Metric, string>> = {
  up1: "TCP up, 1 stream, Gbit/s",
  dn1: "TCP down, 1 stream, Gbit/s",
  rr: "TCP request/response, 1/s",
};

/** Bars on the ratio to QEMU's user network. */
const BARS: Readonly<Record<Metric, Readonly<Record<Mtu, number>>>> = {
  up1: { 1500: 1.5, 65520: 3 },
  dn1: { 1500: 1, 65520: 3 },
  rr: { 1500: 1, 65520: 1 },
};

const IPERF_PORT = 5201;
const RR_PORT = 5301;
const GRACE_MS = 60_000;
const LOOPBACK_PORT_FIRST = 28_600;

const USAGE =
  "usage: npm run bench -- --qemu [--reps N] [--seconds S] [--only KIND,MTU] [--strict]";

interface Options {
  readonly reps: number;
  readonly seconds: number;
  readonly only: readonly string[];
  readonly strict: boolean;
}

interface Machine {
  readonly kind: Kind;
  readonly mtu: Mtu;
  readonly guest: QemuGuest;
  readonly program: Attached | undefined;
}

/** Values by configuration, one for each repetition; undefined = it failed. */
type Results = Map<string, (number | undefined)[]>;

function readOptions(): Options {
  try {
    const { values } = parseArgs({
      options: {
        reps: { type: "string", default: "5" },
        seconds: { type: "string", default: "2" },
        only: { type: "string", default: "" },
        strict: { type: "boolean", default: false },
      },
    });
    const [reps, seconds] = [Number(values.reps), Number(values.seconds)];
    if (!(reps >= 1 && seconds >= 1)) throw new Error("--reps and --seconds are numbers from 1 on");
    const only = values.only.split(",").filter((word) => word !== "");
    return { reps, seconds: Math.ceil(seconds), only, strict: values.strict };
  } catch (error) {
    console.error(`bench: ${messageOf(error)}\n${USAGE}`);
    process.exit(2);
  }
}

function progress(text: string): void {
  process.stderr.write(process.stderr.isTTY ? `\r\x1b[2K${text}` : `${text}\n`);
}

/** How QEMU reaches its network, and what must listen for it before. */
function wiring(kind: Kind, folder: string, mtu: Mtu): { netdev: string; listen?: string } {
  if (kind === "user") return { netdev: "user,id=n" };
  if (kind === "client") {
    const port = LOOPBACK_PORT_FIRST + MTUS.indexOf(mtu);
    return {
      netdev: `socket,id=n,connect=127.0.0.1:${port}`,
      listen: `tcp:127.0.0.1:${port}`,
    };
  }
  const path = join(folder, `${mtu}.sock`);
  return {
    netdev: `stream,id=n,server=off,addr.type=unix,addr.path=${path}`,
    listen: `unix:${path}`,
  };
}

async function boot(
  host: Namespace,
  folder: string,
  kind: Kind,
  mtu: Mtu,
  programs: readonly string[],
): Promise<Machine> {
  const { netdev, listen } = wiring(kind, folder, mtu);
  const args = ["--listen", listen ?? "", "--mtu", String(mtu), "--host-loopback", "--no-ipv6"];
  const program = listen === undefined ? undefined : await startAttach(host, args);
  const guest = await startGuest({
    netdev,
    properties: `host_mtu=${mtu}`,
    programs,
    prefix: host.argv([]),
  });
  await guest.must(DHCP_COMMAND);
  await guest.must(`ip link set dev eth0 mtu ${mtu}`);
  return { kind, mtu, guest, program };
}

async function iperf(host: Namespace, guest: QemuGuest, seconds: number, more: string) {
  const argv = ["iperf3", "-s", "-1", "-p", String(IPERF_PORT), "--forceflush"];
  const server: Running = host.start(argv);
  try {
    await server.waitFor(/listening on/, GRACE_MS);
    const line = `iperf3 -c ${GATEWAY} -p ${IPERF_PORT} -t ${seconds} -J ${more}`;
    const report = JSON.parse(await guest.must(line, seconds * 1000 + GRACE_MS));
    return Number(report.end.sum_received.bits_per_second) / 1e9;
  } finally {
    server.signal("SIGKILL");
    await server.outcome(GRACE_MS);
  }
}

async function measure(
  host: Namespace,
  { guest }: Machine,
  metric: Metric,
  seconds: number,
): Promise<number> {
  if (metric === "up1") return iperf(host, guest, seconds, "");
  if (metric === "dn1") return iperf(host, guest, seconds, "-R");
  const line = `rr tcp ${GATEWAY} ${RR_PORT} ${seconds}`;
  return Number(JSON.parse(await guest.must(line, seconds * 1000 + GRACE_MS)).per_second);
}

const keyOf = (metric: Metric, kind: Kind, mtu: Mtu): string => `${metric} ${kind} ${mtu}`;

function shown(values: readonly (number | undefined)[]): string {
  const sound = values.filter((value) => value !== undefined);
  if (sound.length === 0) return "failed";
  const figure = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toFixed(2));
  const range = `${figure(Math.min(...sound))}..${figure(Math.max(...sound))}`;
  return `${figure(median(sound))} (${range})`;
}

function ratioOf(ours: readonly (number | undefined)[], theirs: readonly (number | undefined)[]) {
  const ratios = ours.flatMap((value, i) => {
    const other = theirs[i];
    return value === undefined || other === undefined ? [] : [value / other];
  });
  return ratios.length === 0 ? Number.NaN : median(ratios);
}

/** One row for each metric, MTU and link; whether all bars are met. */
function judge(results: Results): { rows: string[][]; met: boolean } {
  const rows: string[][] = [];
  let met = true;
  for (const metric of METRICS) {
    for (const mtu of MTUS) {
      const theirs = results.get(keyOf(metric, "user", mtu)) ?? [];
      for (const kind of KINDS) {
        const ours = results.get(keyOf(metric, kind, mtu));
        if (ours === undefined || kind === "user") continue;
        const ratio = ratioOf(ours, theirs);
        const bar = BARS[metric][mtu];
        const isMet = ratio >= bar;
        met &&= isMet;
        rows.push([
          ...[TITLES[metric], String(mtu), kind, shown(ours), shown(theirs)],
          ...[`${ratio.toFixed(2)}x`, `≥ ${bar}x`, isMet ? "met" : "MISSED"],
        ]);
      }
    }
  }
  return { rows, met };
}

async function measureAll(
  host: Namespace,
  machines: readonly Machine[],
  { reps, seconds }: Options,
): Promise<Results> {
  const results: Results = new Map();
  for (let rep = 0; rep < reps; rep += 1) {
    for (const metric of METRICS) {
      for (const each of orderOf(machines, rep)) {
        const key = keyOf(metric, each.kind, each.mtu);
        progress(`repetition ${rep + 1}/${reps}: ${key}`);
        const value = await measure(host, each, metric, seconds).catch((error: unknown) => {
          console.error(`bench: ${key}: ${messageOf(error).split("\n")[0]}`);
          return undefined;
        });
        results.set(key, [...(results.get(key) ?? []), value]);
      }
    }
  }
  progress("");
  return results;
}

async function main(): Promise<number> {
  const options = readOptions();
  const why = obstacle() ?? qemuMissing() ?? missing("ours");
  if (why !== undefined) {
    console.error(`bench: cannot run: ${why}`);
    return 1;
  }
  const rr = prepareRr();
  const [rrProgram = ""] = rr;
  const iperfProgram = which("iperf3") ?? "";
  const folder = mkdtempSync(join(tmpdir(), "slirp-bench-"));
  const host = createBenchHost();
  await startEcho(host, rr, []);
  const machines: Machine[] = [];
  for (const kind of KINDS) {
    for (const mtu of MTUS) {
      const name = `${kind} ${mtu}`;
      if (options.only.some((word) => !name.includes(word))) continue;
      progress(`boot: ${name}`);
      machines.push(await boot(host, folder, kind, mtu, [iperfProgram, rrProgram]));
    }
  }
  const { rows, met } = judge(await measureAll(host, machines, options));
  console.log(table(Object.entries(machine(rr))));
  console.log(`${options.reps} repetitions of ${options.seconds} s, guest: QEMU TCG, 1 core\n`);
  const head = ["", "MTU", "link", "this program", "QEMU's user network", "ratio", "bar", ""];
  console.log(table([head, ...rows]));
  for (const { guest, program } of machines) {
    await guest.kill();
    await program?.stop();
  }
  host.remove();
  rmSync(folder, { recursive: true, force: true });
  endAll();
  return options.strict && !met ? 1 : 0;
}

process.exit(await main());
