/**
 * `npm run bench -- --storm`: what a storm of connections to the link costs.
 *
 * A program of the same user connects and hangs up as quickly as it can, 190,000 times in all,
 * while no guest is there; once at `attach` behind a unix socket, once at `serve` behind a loopback
 * port. Memory is compared with that before the storm: its largest value in the storm, in all and
 * without pages of files, which come and go as the kernel and we like, and its value two seconds
 * after the end. Processor time is looked at from then on; then SIGTERM.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { script } from "../test/support/e2e/peers.ts";
import { startAttach } from "../test/support/e2e/program.ts";
import { endAll, type Running, until } from "../test/support/e2e/shell.ts";
import { call, callback, connectRaw } from "../test/support/hook-client.ts";
import { fixture } from "../test/support/hook-fixtures.ts";
import { cannotServe, startServe } from "../test/support/hook-program.ts";
import { LOOPBACK_PORT } from "../test/support/pod.ts";
import { message } from "../test/support/protobuf.ts";
import { residentMib } from "./measure.ts";
import { table } from "./report.ts";
import { createBenchHost } from "./world.ts";

const ATTEMPTS = 190_000;
const SETTLE_ms = 3000;
const QUIET_ms = 2000;
const LOOK_ms = 100;
const TICKS_PER_SECOND = 100;
const CASE = "a-user-guide";
const MEMORY_BAR_mib = 16;
const CPU_BAR_percent = 2;
const END_BAR_s = 1;
const LOG_BAR_octets = 65_536;

interface Figure {
  readonly what: string;
  readonly attempts_per_s: number;
  /** Largest value in the storm, over that before: in all, and of its own. */
  readonly largest_mib: number;
  readonly own_mib: number;
  /** Two seconds after its end, over that before. */
  readonly after_mib: number;
  readonly cpuDuring_percent: number;
  readonly cpuAfter_percent: number;
  readonly end_s: number;
  readonly log_octets: number;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Processor time that a process has taken, seconds. Source: proc(5), utime and stime. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Its share of one processor over a time. */
async function cpuOver(pid: number, ms: number): Promise<number> {
  const before = cpuSeconds(pid);
  await pause(ms);
  return ((cpuSeconds(pid) - before) / (ms / 1000)) * 100;
}

/** Memory without pages of files, MiB. */
function ownMib(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^RssAnon:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024;
}

/** Storms the link at `target` of a program that is to end by SIGTERM then. */
async function storm(what: string, running: Running, client: Running): Promise<Figure> {
  const { pid } = running;
  const before = residentMib(pid);
  const ownBefore = ownMib(pid);
  const cpu = cpuSeconds(pid);
  let largest = before;
  let own = ownBefore;
  while (!client.ended()) {
    await pause(LOOK_ms);
    largest = Math.max(largest, residentMib(pid));
    own = Math.max(own, ownMib(pid));
  }
  const { stdout } = await client.outcome();
  const { attempts, elapsed_ms } = JSON.parse(stdout);
  const cpuDuring_percent = ((cpuSeconds(pid) - cpu) / elapsed_ms) * 100_000;
  await pause(QUIET_ms);
  const after_mib = residentMib(pid) - before;
  const cpuAfter_percent = await cpuOver(pid, QUIET_ms);
  const began_ms = performance.now();
  running.signal("SIGTERM");
  const { stderr } = await running.outcome();
  return {
    what,
    attempts_per_s: (attempts / elapsed_ms) * 1000,
    largest_mib: largest - before,
    own_mib: own - ownBefore,
    after_mib,
    cpuDuring_percent,
    cpuAfter_percent,
    end_s: (performance.now() - began_ms) / 1000,
    log_octets: stderr.length,
  };
}

async function stormAttach(): Promise<Figure> {
  const host = createBenchHost();
  const folder = mkdtempSync(join(tmpdir(), "slirp-storm-"));
  try {
    const path = join(folder, "vm.sock");
    const { running } = await startAttach(host, ["--listen", `unix:${path}`]);
    await pause(SETTLE_ms);
    const client = host.start(script("storm.mjs", `unix:${path}`, String(ATTEMPTS)));
    return await storm("attach, unix socket", running, client);
  } finally {
    host.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function stormServe(): Promise<Figure> {
  const host = createBenchHost();
  const folder = mkdtempSync(join(tmpdir(), "slirp-storm-"));
  try {
    const port = String(LOOPBACK_PORT);
    const env = { SLIRP_LOOPBACK_PORT: port };
    const { running, path } = await startServe({ folder, env, prefix: host.argv([]) });
    const define = callback("v1alpha3", "OnDefineDomain");
    await until(() => connectRaw(path).then((socket) => socket.destroy()), path);
    const body = message([1, fixture(`${CASE}.domain.xml`)], [2, fixture(`${CASE}.vmi.json`)]);
    await call(path, define, body);
    await pause(SETTLE_ms);
    const client = host.start(script("storm.mjs", `tcp:${port}`, String(ATTEMPTS)));
    return await storm("serve, loopback port", running, client);
  } finally {
    host.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

function isMet(figure: Figure): boolean {
  return (
    figure.own_mib <= MEMORY_BAR_mib &&
    figure.after_mib <= MEMORY_BAR_mib &&
    figure.cpuAfter_percent <= CPU_BAR_percent &&
    figure.end_s <= END_BAR_s &&
    figure.log_octets <= LOG_BAR_octets
  );
}

function row(figure: Figure): string[] {
  return [
    figure.what,
    figure.attempts_per_s.toFixed(0),
    figure.largest_mib.toFixed(1),
    figure.own_mib.toFixed(1),
    figure.after_mib.toFixed(1),
    figure.cpuDuring_percent.toFixed(0),
    figure.cpuAfter_percent.toFixed(1),
    figure.end_s.toFixed(2),
    String(figure.log_octets),
    isMet(figure) ? "met" : "MISSED",
  ];
}

const why = cannotServe("ip");
if (why !== false) {
  console.error(`bench: cannot run: ${why}`);
  process.exit(1);
}
const figures = [await stormAttach(), await stormServe()];
const head = ["link", "connects/s", "grown, MiB", "own", "2 s after", "CPU in it, %", "2 s after"];
const memoryBar = `≤ ${MEMORY_BAR_mib}`;
const bars = ["bar", "–", "–", memoryBar, memoryBar, "–", `≤ ${CPU_BAR_percent}`];
const rest = [`≤ ${END_BAR_s}`, `≤ ${LOG_BAR_octets}`, ""];
console.log(table([[...head, "SIGTERM, s", "log", ""], [...bars, ...rest], ...figures.map(row)]));
endAll();
process.exit(process.argv.includes("--strict") && !figures.every(isMet) ? 1 : 0);
