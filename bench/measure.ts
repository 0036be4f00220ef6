/**
 * One measurement at a time: iperf3 for bulk and packets, rr for latency and connections.
 *
 * Everything has a limit, and what does not come to an end is recorded as a failure: a run never
 * hangs and never passes a gap over. The program's processor time is read from /proc around each
 * measurement, over the whole command, set-up of the client included, alike for all.
 */

import { readFileSync } from "node:fs";
import { messageOf } from "../src/lib/message.ts";
import { GATEWAY, GATEWAY6, type Program } from "../test/support/e2e/program.ts";
import { type Running, start } from "../test/support/e2e/shell.ts";
import { CONGESTION_CONTROL, type Namespace } from "../test/support/e2e/world.ts";
import type { Config, Metric } from "./plan.ts";

/** Where traffic of one configuration starts and ends. */
export type Path = {
  readonly config: Config;
  readonly client: Namespace;
  readonly server: Namespace;
  /** The server's address as the client sees it. */
  readonly address: string;
  readonly program: Program | undefined;
};

/** `cpu` is the share of one core that the program used: 1 means one core busy all the time. */
export type Sample =
  | { readonly ok: true; readonly value: number; readonly cpu: number; readonly p50_us?: number }
  | { readonly ok: false; readonly error: string };

/** Both below the ephemeral ports that `createHost` of the benchmark leaves to clients. */
const IPERF_PORT = 5201;
const RR_PORT = 5301;
const GRACE_MS = 15_000;
const TICK_S = 0.01;

/** Address of the server for traffic that goes through a program, and without one. */
export function addressOf(config: Config): string {
  if (config.kind === "direct") return "127.0.0.1";
  return config.ipv6 === true ? GATEWAY6 : GATEWAY;
}

/** Processor time that a process and all its threads have used. */
export function cpuTimes(pid: number): { readonly user_s: number; readonly system_s: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The command name in parentheses may hold spaces: fields are counted from behind it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { user_s: Number(fields[11]) * TICK_S, system_s: Number(fields[12]) * TICK_S };
}

/** The sum of both, in seconds. */
export function cpuSeconds(pid: number): number {
  const { user_s, system_s } = cpuTimes(pid);
  return user_s + system_s;
}

/** Resident memory of a process in MiB. */
export function residentMib(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(status.match(/VmRSS:\s+(\d+)/)?.[1] ?? 0) / 1024;
}

/** Starts the echo servers that all rr modes talk to, one for each version of IP. */
export async function startEcho(
  host: Namespace,
  rr: readonly string[],
  configs: readonly Config[],
): Promise<Running[]> {
  const addresses = configs.some(({ ipv6 }) => ipv6 === true) ? ["0.0.0.0", "::"] : ["0.0.0.0"];
  const all = addresses.map((address) => host.start([...rr, "serve", address, String(RR_PORT)]));
  for (const running of all) await running.waitFor(/listening/, GRACE_MS);
  return all;
}

/** Command line of an rr mode for this path. */
export function rrArgv(path: Path, rr: readonly string[], ...args: readonly string[]): string[] {
  const [mode = "", ...rest] = args;
  return path.client.argv([...rr, mode, path.address, String(RR_PORT), ...rest]);
}

/** Measures once. Never throws. */
export async function measure(
  path: Path,
  metric: Metric,
  seconds: number,
  rr: readonly string[],
): Promise<Sample> {
  if (path.program?.running.ended() === true) {
    return { ok: false, error: "the program has ended" };
  }
  try {
    const pid = path.program?.pid;
    const before_s = pid === undefined ? 0 : cpuSeconds(pid);
    const began_ms = performance.now();
    const figures = await MEASURES[metric](path, seconds, rr);
    const elapsed_s = (performance.now() - began_ms) / 1000;
    const used_s = pid === undefined ? 0 : cpuSeconds(pid) - before_s;
    return { ok: true, cpu: used_s / elapsed_s, ...figures };
  } catch (error) {
    const words = messageOf(error);
    return { ok: false, error: words.trim().split("\n")[0] ?? "failed" };
  }
}

type Figures = { readonly value: number; readonly p50_us?: number };
type Measure = (path: Path, seconds: number, rr: readonly string[]) => Promise<Figures>;

const MEASURES: Readonly<Record<Metric, Measure>> = {
  up1: (path, seconds) => tcp(path, seconds, []),
  dn1: (path, seconds) => tcp(path, seconds, ["-R"]),
  up8: (path, seconds) => tcp(path, seconds, ["-P", "8"]),
  dn8: (path, seconds) => tcp(path, seconds, ["-P", "8", "-R"]),
  rr: (path, seconds, rr) => exchange(path, seconds, rr, "tcp"),
  urr: (path, seconds, rr) => exchange(path, seconds, rr, "udp"),
  crr: (path, seconds, rr) => exchange(path, seconds, rr, "connect"),
  udp64: (path, seconds) => udp(path, seconds, 64),
  udp1400: (path, seconds) => udp(path, seconds, 1400),
};

async function exchange(
  path: Path,
  seconds: number,
  rr: readonly string[],
  mode: string,
): Promise<Figures> {
  const limit_ms = seconds * 1000 + GRACE_MS;
  const outcome = await start(rrArgv(path, rr, mode, String(seconds))).outcome(limit_ms);
  if (outcome.code !== 0) {
    throw new Error(outcome.stderr || `no end within ${limit_ms} ms`);
  }
  const { per_second, p50_us } = JSON.parse(outcome.stdout);
  return { value: per_second, p50_us };
}

/** What iperf3 says at the end of a run, as far as it is read here. */
type IperfEnd = {
  readonly error?: string;
  readonly end?: {
    readonly sum_received?: { readonly bits_per_second: number };
  };
};

async function iperf(path: Path, seconds: number, args: readonly string[]): Promise<number> {
  // A server for each run: after a client that had to be killed, an old one stays busy.
  const port = String(IPERF_PORT);
  const server = path.server.start(["iperf3", "-s", "-1", "-p", port, "--forceflush"]);
  try {
    await server.waitFor(/listening on/, GRACE_MS);
    const argv = ["iperf3", "-c", path.address, "-p", port, "-t", String(seconds), "-J", ...args];
    const limit_ms = seconds * 1000 + GRACE_MS;
    const outcome = await path.client.run(argv, limit_ms);
    if (outcome.code === null) {
      throw new Error(`no end within ${limit_ms} ms`);
    }
    const report = JSON.parse(outcome.stdout) as IperfEnd;
    const received = report.end?.sum_received?.bits_per_second;
    if (report.error !== undefined || received === undefined) {
      throw new Error(`iperf3: ${report.error ?? "no result"}`);
    }
    return received;
  } finally {
    server.signal("SIGKILL");
    await server.outcome(GRACE_MS);
  }
}

async function tcp(path: Path, seconds: number, args: readonly string[]): Promise<Figures> {
  const whole = Math.max(1, Math.ceil(seconds));
  const bits = await iperf(path, whole, ["-C", CONGESTION_CONTROL, ...args]);
  return { value: bits / 1e9 };
}

async function udp(path: Path, seconds: number, size: number): Promise<Figures> {
  const whole = Math.max(1, Math.ceil(seconds));
  const bits = await iperf(path, whole, ["-u", "-b", "0", "-l", String(size)]);
  return { value: bits / 8 / size / 1000 };
}
