/**
 * `npm run bench -- --watched [--reps N] [--seconds N] [--strict]`: what it costs to be looked at.
 *
 * Scrapes: one program (`attach`, tap) whose guest holds 10,000 UDP flows. Scrapes one after the
 * other; then one byte each way over TCP, in turns without a scrape and with one every 100 ms, each
 * order as often; then all flows by the admin socket, and by the command `flows`.
 *
 * Throughput: two programs beside each other, one with nothing on, one with metrics, admin socket,
 * a scrape a second and one watcher of its stats and flows; `up1` and `dn1` visit both in turns.
 *
 * Memory: `serve` with metrics and admin socket, one network and no guest, after it has been asked
 * by both ways and has come to rest.
 *
 * Ratios are taken within a repetition, the median of them counts. Client, server, program and
 * whoever looks share the machine: on one that is busy otherwise no time means anything.
 */
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { type AdminClient, adminClient } from "../src/admin/client.ts";
import { messageOf } from "../src/lib/message.ts";
import { endAll, until } from "../test/support/e2e/shell.ts";
import type { Namespace } from "../test/support/e2e/world.ts";
import { withPod } from "../test/support/pod.ts";
import { measure, type Path, residentMib, startEcho } from "./measure.ts";
import { median, table } from "./report.ts";
import { beside10000 } from "./watched-flows.ts";
import {
  BARS,
  LIMIT_ms,
  LOOPBACK,
  listAll,
  type Options,
  PORT,
  type Row,
  type Rr,
  row,
  scraper,
  spread,
  startWatched,
  timed,
  watchedArgs,
} from "./watched-parts.ts";
import { createBenchHost, obstacle, prepareRr } from "./world.ts";

const LOOK_ms = 500;
const CALM_LOOKS = 10;

// ---------------------------------------------------------------- throughput

/** Watches stats and flows at the pace they have; counts what has come. */
function watch({ calls }: AdminClient): { readonly messages: () => number } {
  let messages = 0;
  const follow = async (stream: AsyncIterable<unknown>): Promise<void> => {
    try {
      for await (const _ of stream) messages += 1;
    } catch {
      // The end of the client ends them.
    }
  };
  void follow(calls.watchStats({}));
  void follow(calls.watchFlows({}));
  return { messages: () => messages };
}

async function throughput(host: Namespace, rr: Rr, options: Options): Promise<Row[]> {
  const { reps, seconds } = options;
  const plain = await startWatched(host, "plain", () => ["--admin", "off"]);
  const watched = await startWatched(host, "watched", watchedArgs(PORT));
  const admin = adminClient(watched.socket);
  const watcher = watch(admin);
  const scrapes = scraper(host, rr, PORT, 1_000_000, 1000);
  const rows: Row[] = [];
  try {
    for (const metric of ["up1", "dn1"] as const) {
      const ratios: number[] = [];
      for (let rep = 0; rep < reps; rep += 1) {
        process.stderr.write(`${metric} ${rep + 1} of ${reps}\n`);
        const order = rep % 2 === 0 ? [plain, watched] : [watched, plain];
        const speed = new Map<Path, number>();
        for (const path of order) {
          const sample = await measure(path, metric, seconds, rr);
          if (!sample.ok) throw new Error(`${metric}: ${sample.error}`);
          speed.set(path, sample.value);
        }
        ratios.push((speed.get(watched) ?? 0) / (speed.get(plain) ?? Number.NaN));
      }
      const isMet = median(ratios) >= BARS.throughput;
      const what = `${metric} with all of it and a watcher, to nothing on`;
      rows.push(row(what, spread(ratios), `≥ ${BARS.throughput}`, isMet));
    }
    const came = watcher.messages();
    rows.push(row("what the watcher was told, messages", String(came), "> 0", came > 0));
    return rows;
  } finally {
    scrapes.signal("SIGKILL");
    admin.close();
    await watched.remove();
    await plain.remove();
  }
}

// ---------------------------------------------------------------- memory

async function memory(rr: Rr): Promise<Row[]> {
  const figures: number[] = [];
  await withPod({ args: ["--metrics", `${LOOPBACK}:${PORT}`] }, async (pod) => {
    await pod.define({ link: "stream" });
    figures.push(await settledMib(pod.pid));
    await timed(scraper(pod.host, rr, PORT, 3, 10));
    const admin = adminClient(join(pod.folder, "userdata", "admin.sock"));
    await admin.calls.getStats({});
    await listAll(admin.calls);
    admin.close();
    figures.push(await settledMib(pod.pid));
  });
  const [before = Number.NaN, asked = Number.NaN] = figures;
  const bar = `≤ ${BARS.resident_mib}`;
  return [
    row("serve idle, MiB: not asked yet", before.toFixed(1), bar, before <= BARS.resident_mib),
    row("serve idle, MiB: asked by both ways", asked.toFixed(1), bar, asked <= BARS.resident_mib),
  ];
}

/** Memory once it has changed by 1 % at most for five seconds. */
async function settledMib(pid: number): Promise<number> {
  let last = 0;
  let calm = 0;
  return until(
    async () => {
      await new Promise((resolve) => setTimeout(resolve, LOOK_ms));
      const now = residentMib(pid);
      calm = Math.abs(now - last) <= last / 100 ? calm + 1 : 0;
      if (calm === 0) last = now;
      return calm >= CALM_LOOKS ? now : undefined;
    },
    "memory to settle",
    LIMIT_ms,
  );
}

// ---------------------------------------------------------------- the run

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      reps: { type: "string", default: "6" },
      seconds: { type: "string", default: "4" },
      strict: { type: "boolean", default: false },
    },
  });
  return { reps: Number(values.reps), seconds: Number(values.seconds), strict: values.strict };
}

function verdict({ isMet }: Row): string {
  return isMet === undefined ? "" : isMet ? "met" : "MISSED";
}

async function main(): Promise<void> {
  const why = obstacle();
  if (why !== undefined) {
    console.error(`bench: cannot run: ${why}`);
    process.exit(1);
  }
  const options = readOptions();
  const rr = prepareRr();
  const host = createBenchHost();
  const config = { name: "watched", kind: "ours", mtu: 65520, vnet: true } as const;
  await startEcho(host, rr, [config]);
  const parts = {
    "10,000 flows": () => beside10000(host, rr, options),
    throughput: () => throughput(host, rr, options),
    memory: () => memory(rr),
  };
  const rows: Row[] = [];
  for (const [name, part] of Object.entries(parts)) {
    process.stderr.write(`${name}\n`);
    try {
      rows.push(...(await part()));
    } catch (error) {
      rows.push(row(name, messageOf(error).split("\n")[0] ?? "failed", "", false));
    }
  }
  const lines = rows.map((each) => [each.what, each.figure, each.bar, verdict(each)]);
  console.log(table([["what", "figure", "bar", ""], ...lines]));
  const isMet = rows.every((each) => each.isMet !== false);
  console.log(isMet ? "all bars met" : "NOT all bars met");
  host.remove();
  endAll();
  process.exit(isMet || !options.strict ? 0 : 1);
}

await main();
