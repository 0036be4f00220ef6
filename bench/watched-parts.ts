/** What the parts of `npm run bench -- --watched` share: programs that are looked at, and rows. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AdminCalls } from "../src/admin/client.ts";
import { type Program, startProgram } from "../test/support/e2e/program.ts";
import type { Running } from "../test/support/e2e/shell.ts";
import { createGuest, type Namespace, setSysctls } from "../test/support/e2e/world.ts";
import type { Path } from "./measure.ts";
import { median } from "./report.ts";

export const LOOPBACK = "127.0.0.1";
export const PORT = 9100;
export const LIMIT_ms = 120_000;
const PAGE = 4096;
const EPHEMERAL_PORTS = "10000 65535";

export const BARS = {
  scrape_ms: 20,
  p99: 1.1,
  flows_ms: 300,
  throughput: 0.97,
  resident_mib: 64,
} as const;

export interface Options {
  readonly reps: number;
  readonly seconds: number;
  readonly strict: boolean;
}

/** A row of the table, and whether it keeps to its bar; undefined: it has none, or no figure. */
export interface Row {
  readonly what: string;
  readonly figure: string;
  readonly bar: string;
  readonly isMet?: boolean;
}

/** What rr's timed modes print. */
export interface Timed {
  readonly count: number;
  readonly p50_us: number;
  readonly p99_us: number;
  readonly max_us: number;
}

/** A program that is looked at, and its guest. */
export interface Watched extends Path {
  readonly program: Program;
  readonly socket: string;
  readonly remove: () => Promise<void>;
}

export type Rr = readonly string[];

export function row(what: string, figure: string, bar: string, isMet?: boolean): Row {
  return { what, figure, bar, ...(isMet === undefined ? {} : { isMet }) };
}

export function spread(values: readonly number[], digits = 2): string {
  const [least, most] = [Math.min(...values), Math.max(...values)].map((n) => n.toFixed(digits));
  return `${median(values).toFixed(digits)} (${least}..${most})`;
}

/** @param args of `attach`; the admin socket is in a folder of its own */
export async function startWatched(
  host: Namespace,
  name: string,
  args: (socket: string) => readonly string[],
): Promise<Watched> {
  const folder = mkdtempSync(join(tmpdir(), "slirp-watched-"));
  const socket = join(folder, "admin.sock");
  const guest = createGuest();
  setSysctls(guest, { "net.ipv4.ip_local_port_range": EPHEMERAL_PORTS });
  const remove = async (program?: Program): Promise<void> => {
    await program?.stop();
    guest.remove();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const options = { host, netns: guest.path, hostLoopback: true, args: args(socket) };
    const program = await startProgram(options);
    const config = { name, kind: "ours", mtu: 65520, vnet: true } as const;
    const path = { config, client: guest, server: host, address: "10.0.2.2", program };
    return { ...path, socket, remove: () => remove(program) };
  } catch (error) {
    await remove();
    throw error;
  }
}

export const watchedArgs = (port: number) => (socket: string) => [
  ...["--metrics", `${LOOPBACK}:${port}`, "--admin", `unix:${socket}`],
  // Flows of UDP live as long as the measurement.
  ...["--udp-timeout", "3600"],
];

export function scraper(
  host: Namespace,
  rr: Rr,
  port: number,
  count: number,
  pause_ms: number,
): Running {
  return host.start([...rr, "scrape", LOOPBACK, String(port), String(count), String(pause_ms)]);
}

/** The figures that an rr prints last. */
export async function timed(running: Running): Promise<Timed> {
  const { code, stdout, stderr } = await running.outcome(LIMIT_ms);
  if (code !== 0) throw new Error(stderr.trim() || "no end");
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as Timed;
}

/** All flows, page by page. */
export async function listAll(
  calls: AdminCalls,
): Promise<{ readonly flows: number; readonly ms: number }> {
  const began = performance.now();
  let flows = 0;
  let pageToken = "";
  do {
    const page = await calls.listFlows({ pageToken, pageSize: PAGE });
    flows += page.flows.length;
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return { flows, ms: performance.now() - began };
}
