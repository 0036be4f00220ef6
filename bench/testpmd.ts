/**
 * `npm run bench -- --testpmd`: the vhost-user link without an emulated processor. DPDK's testpmd
 * drives a virtio card in shared memory as fast as it can; at the other side of the program are a
 * sink, a source and a client of UDP on the loopback of the same namespace.
 *
 *   up     testpmd sends datagrams to the gateway's address, that is the host's loopback; counted
 *          are the frames that the program took in, and the datagrams that came to the sink
 *   down   datagrams to a published port; counted are the frames that testpmd got
 *   echo   the same one at a time, and testpmd sends them back
 *
 * Frames are counted by the program (its counters before and after, by its own clock), and the sums
 * of testpmd have to agree: what it has sent is taken in, but for what is in the ring at the end.
 */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout } from "node:timers/promises";
import { messageOf } from "../src/lib/message.ts";
import { type Attached, missing } from "../test/support/e2e/program.ts";
import { endAll, type Running, until } from "../test/support/e2e/shell.ts";
import type { Namespace } from "../test/support/e2e/world.ts";
import { cpuTimes } from "./measure.ts";
import { orderOf } from "./plan.ts";
import { countersOf, startCounting } from "./probe.ts";
import { machine, median, progress, table, writeResults } from "./report.ts";
import { GUEST_PORT, type Mode, Testpmd, testpmdMissing } from "./testpmd-guest.ts";
import {
  BAR,
  type Direction,
  nameOf,
  type Options,
  parseOptions,
  type Row,
  type Sample,
  USAGE,
} from "./testpmd-plan.ts";
import { compileTool, createBenchHost, obstacle, toolsObstacle } from "./world.ts";

const SINK_PORT = 9000;
const GRACE_MS = 15_000;
const WARM_MS = 1000;
const SETTLE_MS = 300;
/** Of Ethernet, IPv4 and UDP. */
const HEADERS_SIZE = 42;
/** What may be in the ring when testpmd ends. */
const RING_FRAMES = 256;

const MODES: Readonly<Record<Direction, Mode>> = { up: "txonly", down: "rxonly", echo: "5tswap" };
/** The counter of what went through. */
const COUNTED = {
  up: "guest_rx_frames",
  down: "guest_tx_frames",
  echo: "guest_tx_frames",
} as const;

interface World {
  readonly host: Namespace;
  readonly folder: string;
  readonly program: Attached;
  readonly sink: Sink;
  readonly tools: { readonly datagrams: string; readonly rr: string; readonly sealed: string };
}

/** Where datagrams of the guest arrive. */
class Sink {
  readonly #running: Running;
  #asked = 0;

  constructor(running: Running) {
    this.#running = running;
  }

  async ready(): Promise<void> {
    await this.#running.waitFor(/listening/, GRACE_MS);
  }

  /** How many have come so far. */
  async taken(): Promise<number> {
    this.#asked += 1;
    this.#running.write("?\n");
    const pattern = new RegExp(`(?:taken \\d+\\s+){${this.#asked - 1}}taken (\\d+)\\n`);
    const [, count] = await this.#running.waitFor(pattern, GRACE_MS);
    return Number(count);
  }
}

function readOptions(): Options {
  try {
    return parseOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`bench: ${messageOf(error)}\n${USAGE}`);
    process.exit(2);
  }
}

/** All that a sample is made of, at a moment. */
async function look({ program, sink }: World) {
  const counted = await countersOf(program);
  return { ...counted, ...cpuTimes(program.running.pid), taken: await sink.taken() };
}

type Look = Awaited<ReturnType<typeof look>>;

function sampleOf(direction: Direction, before: Look, after: Look): Sample {
  const grown = (name: string): number =>
    (after.counters[name] ?? 0) - (before.counters[name] ?? 0);
  const drops = Object.keys(after.counters)
    .filter((name) => name.startsWith("drop{") && grown(name) > 0)
    .map((name) => [name.replace(/^drop\{reason="(.*)"\}$/, "$1"), grown(name)] as const);
  return {
    seconds: after.at_s - before.at_s,
    frames: grown(COUNTED[direction]),
    ...(direction === "up" ? { arrived: after.taken - before.taken } : {}),
    user_s: after.user_s - before.user_s,
    system_s: after.system_s - before.system_s,
    drops: Object.fromEntries(drops),
  };
}

/** Traffic from the host's side, for a time; what it says in the end. */
function drive({ host, tools }: World, { direction, size }: Row, seconds: number) {
  if (direction === "up") return undefined;
  const port = String(GUEST_PORT);
  return direction === "down"
    ? host.start([tools.datagrams, "blast", port, String(size - HEADERS_SIZE), String(seconds)])
    : host.start([tools.rr, "udp", "127.0.0.1", port, String(seconds)]);
}

async function measure(world: World, row: Row, seconds: number): Promise<Sample> {
  const { folder, tools, program } = world;
  const { direction, size, memory } = row;
  const socket = join(folder, "vm.sock");
  const card = { socket, size, memory, port: SINK_PORT, sealed: tools.sealed, folder };
  const start = await countersOf(program);
  const taken = async (): Promise<number> => {
    const { counters } = await countersOf(program);
    return (counters["guest_rx_frames"] ?? 0) - (start.counters["guest_rx_frames"] ?? 0);
  };
  const options = { ...card, mode: MODES[direction] };
  const guest = await Testpmd.start(options, async () => (await taken()) > 0);
  const driver = drive(world, row, (2 * WARM_MS) / 1000 + seconds);
  let sample: Sample;
  try {
    await setTimeout(WARM_MS);
    const before = await look(world);
    await setTimeout(seconds * 1000);
    sample = sampleOf(direction, before, await look(world));
  } finally {
    await driver?.outcome(GRACE_MS);
  }
  if (direction !== "up") await settle(program);
  const { sent, received } = await guest.stop();
  const { counters } = await countersOf(program);
  const through = (name: string): number => (counters[name] ?? 0) - (start.counters[name] ?? 0);
  const [got, given] = [through("guest_rx_frames"), through("guest_tx_frames")];
  if (Math.abs(sent - got) > RING_FRAMES || Math.abs(received - given) > RING_FRAMES) {
    throw new Error(`testpmd sent ${sent} and got ${received}, the program ${got} and ${given}`);
  }
  const words = (await driver?.outcome(GRACE_MS))?.stdout ?? "";
  return direction === "echo" ? { ...sample, p50_us: JSON.parse(words).p50_us } : sample;
}

/** Waits until no more frames go to the guest: sockets hold many when their sender ends. */
async function settle(program: Attached): Promise<void> {
  let last = -1;
  const isStill = async (): Promise<boolean> => {
    await setTimeout(SETTLE_MS);
    const { counters } = await countersOf(program);
    const before = last;
    last = counters["guest_tx_frames"] ?? 0;
    return last === before;
  };
  await until(isStill, "all datagrams to be with the guest", GRACE_MS);
}

type Results = Map<Row, (Sample | undefined)[]>;

async function measureAll(world: World, { reps, seconds, rows }: Options): Promise<Results> {
  const results: Results = new Map(rows.map((row) => [row, []]));
  for (let rep = 0; rep < reps; rep += 1) {
    for (const row of orderOf(rows, rep)) {
      progress(`repetition ${rep + 1}/${reps}: ${nameOf(row)}`);
      const sample = await measure(world, row, seconds).catch((error: unknown) => {
        console.error(`bench: ${nameOf(row)}: ${messageOf(error).split("\n")[0]}`);
        return undefined;
      });
      results.get(row)?.push(sample);
    }
  }
  progress("");
  return results;
}

const sound = (samples: readonly (Sample | undefined)[]): Sample[] =>
  samples.flatMap((sample) => (sample === undefined ? [] : [sample]));

function spread(values: readonly number[]): string {
  if (values.length === 0) return "";
  const [least, most] = [Math.min(...values), Math.max(...values)].map((each) => each.toFixed(0));
  return `${median(values).toFixed(0)} (${least}..${most})`;
}

const THOUSAND = 1000;
const MICRO = 1e6;

function rowCells(row: Row, all: readonly (Sample | undefined)[]): string[] {
  const samples = sound(all);
  const each = (cost: (sample: Sample) => number): string =>
    samples.length === 0 ? "failed" : (median(samples.map(cost)) * MICRO).toFixed(2);
  const arrived = samples.flatMap((one) =>
    one.arrived === undefined ? [] : [one.arrived / one.seconds / THOUSAND],
  );
  const times = samples.flatMap(({ p50_us }) => (p50_us === undefined ? [] : [p50_us]));
  const drops = samples.flatMap((one) => Object.entries(one.drops));
  return [
    ...[row.direction, String(row.size), row.memory],
    spread(samples.map(({ frames, seconds }) => frames / seconds / THOUSAND)),
    spread(arrived),
    times.length === 0 ? "" : median(times).toFixed(1),
    each(({ user_s, frames }) => user_s / frames),
    each(({ system_s, frames }) => system_s / frames),
    drops.map(([name, count]) => `${name} ${count}`).join(", "),
  ];
}

function report(results: Results): { text: string; met: boolean } {
  const head = [
    ...["", "octets", "memory", "1,000 frames/s", "at the sink", "p50 µs"],
    ...["user µs", "system µs", "dropped"],
  ];
  const rows = [...results].map(([row, samples]) => rowCells(row, samples));
  const judged = [...results].find(([row]) => nameOf(row) === BAR.row);
  if (judged === undefined) return { text: table([head, ...rows]), met: true };
  const rates = sound(judged[1]).map(({ frames, seconds }) => frames / seconds);
  const met = median(rates) >= BAR.perSecond;
  const words = `${BAR.row}: ≥ ${BAR.perSecond / THOUSAND} thousand frames/s`;
  return { text: `${table([head, ...rows])}\n\n${words}: ${met ? "met" : "MISSED"}`, met };
}

/** The program with a socket for testpmd, and the ends on the host's side. */
async function createWorld(host: Namespace, folder: string): Promise<World> {
  const tools = {
    datagrams: compileTool("datagrams"),
    rr: compileTool("rr"),
    sealed: compileTool("sealed", ["-shared", "-fPIC"]),
  };
  const sink = new Sink(host.start([tools.datagrams, "sink", String(SINK_PORT)]));
  await sink.ready();
  const link = ["--vhost-user", join(folder, "vm.sock"), "--mtu", "1500", "--no-ipv6"];
  const ports = ["--host-loopback", "--publish", `127.0.0.1:${GUEST_PORT}:${GUEST_PORT}/udp`];
  const program = await startCounting(host, [...link, ...ports]);
  return { host, folder, program, sink, tools };
}

async function main(): Promise<number> {
  const options = readOptions();
  const why = obstacle() ?? toolsObstacle() ?? testpmdMissing() ?? missing("ours");
  if (why !== undefined) {
    console.error(`bench: cannot run: ${why}`);
    return 1;
  }
  const date = new Date().toISOString();
  const folder = mkdtempSync(join(tmpdir(), "slirp-bench-"));
  chmodSync(folder, 0o777); // root becomes nobody, and the socket is to be gone at the end
  const world = await createWorld(createBenchHost(), folder);
  const results = await measureAll(world, options);
  const { text, met } = report(results);
  const about = machine([world.tools.rr]);
  console.log(table(Object.entries(about)));
  console.log(`${options.reps} repetitions of ${options.seconds} s, ${date}\n\n${text}`);
  const rows = [...results].map(([row, samples]) => ({ ...row, samples }));
  writeResults("testpmd-", { date, machine: about, options, bar: BAR, rows });
  await world.program.stop();
  world.host.remove();
  rmSync(folder, { recursive: true, force: true });
  endAll();
  return options.strict && !met ? 1 : 0;
}

process.exit(await main());
