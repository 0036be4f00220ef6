/**
 * `npm run bench -- --floods`: three floods in a control group of 64 MiB, and one flow beside many.
 *
 * Floods: 15,000 ports of UDP of a guest program, 10,000 connections of it, 11,000 connections from
 * outside to a published port. Each meets a fresh sidecar (`serve`, link `stream`), while its hooks
 * are asked all the time. Pages of files do not count: those of the program's own are in the page
 * cache already, and so in somebody else's account. Bars: no process is killed, memory with the
 * kernel's sockets stays within the limit (version 1 counts those apart, so they are added), and
 * every hook call is answered within HOOK_BAR_ms, on a machine with nothing else to do.
 *
 * Bulk: a program (`attach`, tap) in a group carries one flow each way alone and beside idle
 * connections of the guest, in turns: as many as 64 MiB have room for (3,925 of 5,233 flows, the
 * rest is kept for other kinds), and 5,000 in the least group that has room for them. Bar: 80 % of
 * the speed alone.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { messageOf } from "../src/lib/message.ts";
import { MemoryGauge } from "../src/sys/cgroup.ts";
import { ROOT } from "../test/support/e2e/program.ts";
import { endAll, start } from "../test/support/e2e/shell.ts";
import { HOST_ADDRESS, type Namespace } from "../test/support/e2e/world.ts";
import { joining, limitMemory, type MemoryLimit } from "../test/support/memory-limit.ts";
import { type Pod, withPod } from "../test/support/pod.ts";
import { connectFloodGuest, type FloodGuest } from "./flood-guest.ts";
import { idleFlows } from "./footprint.ts";
import { startEcho } from "./measure.ts";
import type { Config } from "./plan.ts";
import { median, table } from "./report.ts";
import { createBenchHost, obstacle, prepareRr } from "./world.ts";

const MIB = 1 << 20;
const BUN = join(ROOT, "node_modules/.bin/bun");
const LIMIT_MIB = 64;
const PUBLISHED = 8080;
const SINK_PORT = 7002;
const WATCH_ms = 50;
const HOOK_BAR_ms = 1000;
const SETTLE_ms = 2000;
/** Limit in MiB, idle connections beside. */
const BULKS = [
  [LIMIT_MIB, 3900],
  [80, 5000],
] as const;
const BULK_REPETITIONS = 3;
const BULK_SECONDS = 2;
const BULK_BAR = 0.8;

/** Accepts and keeps connections. */
const SINK = `require("node:net").createServer((s) => s.on("error", () => {}))
  .listen({ port: ${SINK_PORT}, host: "0.0.0.0", backlog: 65535 }, () => console.log("listening"))`;

/** Opens connections one after the other and keeps them, whatever becomes of them. */
const CROWD = `
  const net = require("node:net");
  const [address, port, count] = process.argv.slice(1);
  let left = Number(count);
  (function next() {
    if (left-- <= 0) return console.log("done");
    const socket = net.connect(Number(port), address);
    let isOver = false;
    const go = () => { if (!isOver) { isOver = true; next(); } };
    socket.on("connect", go);
    socket.on("error", go);
    setTimeout(go, 1000).unref();
  })();
  setInterval(() => {}, 1000);`;

interface Flood {
  readonly name: string;
  readonly run: (pod: Pod, guest: FloodGuest) => Promise<void>;
}

const FLOODS: readonly Flood[] = [
  {
    name: "15,000 ports of UDP",
    run: async (_, guest) => guest.datagrams({ address: HOST_ADDRESS, port: 9 }, 15_000),
  },
  {
    name: "10,000 connections of the guest",
    run: async (pod, guest) => {
      const sink = pod.host.start(["node", "-e", SINK]);
      await sink.waitFor(/listening/);
      await guest.connections({ address: HOST_ADDRESS, port: SINK_PORT }, 10_000);
    },
  },
  {
    name: "11,000 connections from outside",
    run: async (pod) => {
      const crowd = ["node", "-e", CROWD, HOST_ADDRESS, String(PUBLISHED), "11000"];
      await pod.host.start(crowd).waitFor(/done/, 300_000);
    },
  },
];

interface Outcome {
  readonly flood: string;
  readonly kills: number;
  readonly peak_mib: number;
  readonly flows: number;
  readonly hooks_ms: readonly number[];
  readonly isAlive: boolean;
}

/** Most that is taken at a time of what cannot be given back, octets. */
function watchPeak({ folder }: MemoryLimit): () => number {
  const version = existsSync(join(folder, "memory.max")) ? 2 : 1;
  const gauge = new MemoryGauge({ limit: 0, source: "", version, folder }, 0);
  let peak = 0;
  const timer = setInterval(() => {
    peak = Math.max(peak, gauge.used() ?? 0);
  }, WATCH_ms);
  return () => {
    clearInterval(timer);
    gauge.close();
    return peak;
  };
}

async function flood({ name, run }: Flood): Promise<Outcome> {
  const limit = limitMemory(LIMIT_MIB * MIB);
  if (limit === undefined) throw new Error("no control group can be made here");
  let outcome: Outcome | undefined;
  await withPod({ prefix: joining(limit), env: { SLIRP_LOG_FORMAT: "json" } }, async (pod) => {
    const ports = [{ name: "http", port: PUBLISHED }];
    await pod.define({ link: "stream", interfaces: [{ ports }] });
    const guest = await connectFloodGuest(pod.socket());
    const asker = start([BUN, join(ROOT, "bench/hook-asker.ts"), pod.serve.path]);
    await asker.waitFor(/asking/);
    const peak = watchPeak(limit);
    await run(pod, guest);
    await new Promise((resolve) => setTimeout(resolve, SETTLE_ms));
    asker.closeInput();
    const { stdout } = await asker.outcome(30_000);
    const [, ...hooks_ms]: number[] = JSON.parse(stdout.trim().split("\n").at(-1) ?? "[]");
    const isAlive = !pod.serve.running.ended();
    outcome = {
      flood: name,
      kills: limit.kills(),
      peak_mib: peak() / MIB,
      flows: isAlive ? await flowsOf(pod) : 0,
      hooks_ms,
      isAlive,
    };
    guest.close();
  });
  await limit.remove();
  if (outcome === undefined) throw new Error(`"${name}" has no outcome`);
  return outcome;
}

/** Flows there are now, as SIGUSR1 has them logged; a busy program is asked again. */
async function flowsOf(pod: Pod): Promise<number> {
  let flows = 0;
  for (let asked = 0; asked < 5 && flows === 0; asked += 1) {
    pod.serve.running.signal("SIGUSR1");
    await new Promise((resolve) => setTimeout(resolve, SETTLE_ms / 2));
    const told = [...pod.log().matchAll(/"flows":(\d+)[^\n]*"counters"/g)].at(-1)?.[1];
    flows = Number(told ?? 0);
  }
  return flows;
}

/** Shares of the speed alone, each of a fresh program. */
async function bulk(
  host: Namespace,
  rr: readonly string[],
  mib: number,
  count: number,
): Promise<[number, number] | undefined> {
  const limit = limitMemory(mib * MIB);
  if (limit === undefined) return undefined;
  const config: Config = { name: "ours", kind: "ours", mtu: 1500, vnet: true };
  const echoes = await startEcho(host, rr, [config]);
  const how = { reps: 1, seconds: BULK_SECONDS, count, prefix: joining(limit) };
  const up: number[] = [];
  const down: number[] = [];
  for (let repetition = 0; repetition < BULK_REPETITIONS; repetition += 1) {
    const shares = await idleFlows(host, config, rr, how);
    up.push(...shares.up);
    down.push(...shares.down);
  }
  for (const echo of echoes) echo.signal("SIGKILL");
  await limit.remove();
  return [median(up), median(down)];
}

function report(outcomes: readonly Outcome[]): boolean {
  const rows = outcomes.map((each) => [
    each.flood,
    each.isAlive ? "yes" : "NO",
    String(each.kills),
    each.peak_mib.toFixed(1),
    String(each.flows),
    median(each.hooks_ms).toFixed(1),
    Math.max(...each.hooks_ms).toFixed(0),
  ]);
  const head = ["flood", "alive", "killed", "peak MiB", "flows", "hooks ms", "slowest"];
  console.log(table([head, ...rows]));
  return outcomes.every(
    ({ isAlive, kills, peak_mib, hooks_ms }) =>
      isAlive && kills === 0 && peak_mib <= LIMIT_MIB && Math.max(...hooks_ms) <= HOOK_BAR_ms,
  );
}

async function main(): Promise<void> {
  const why = obstacle();
  if (why !== undefined) {
    console.error(`bench: cannot run: ${why}`);
    process.exit(1);
  }
  const outcomes: Outcome[] = [];
  let isMet = true;
  for (const each of FLOODS) {
    process.stderr.write(`${each.name}\n`);
    try {
      outcomes.push(await flood(each));
    } catch (error) {
      isMet = false;
      console.log(`${each.name}: ${messageOf(error)}`);
    }
  }
  isMet = report(outcomes) && isMet;
  process.stderr.write("one flow beside many\n");
  const host = createBenchHost();
  const rr = prepareRr();
  for (const [mib, count] of BULKS) {
    const shares = await bulk(host, rr, mib, count);
    if (shares === undefined) continue;
    const [up, down] = shares;
    const figures = `up ${up.toFixed(2)}, down ${down.toFixed(2)}`;
    console.log(`${mib} MiB, beside ${count} idle flows, of the speed alone: ${figures}`);
    isMet &&= Math.min(up, down) >= BULK_BAR;
  }
  host.remove();
  console.log(isMet ? "all bars met" : "NOT all bars met");
  endAll();
  process.exit(isMet ? 0 : 1);
}

await main();
