/**
 * `npm run bench -- --qemu`: a Linux guest under QEMU (TCG) behind this program, against the same
 * guest behind QEMU's own user-mode network (libslirp), side by side in one run.
 *
 * Every configuration has a machine of its own; all are up for the whole run, idle but for the one
 * being measured. `vhost-user` is a virtio card in shared memory, `client` what the sidecar gives
 * libvirt else (`-netdev socket` to a loopback port), `stream` what `attach --listen unix:` serves.
 * The measuring client runs in the guest, its server on the host: iperf3 for bulk, rr for latency.
 * Ratios are taken within a repetition. What is measured of the programs besides: processor time
 * for each Gbit and each exchange, memory without the guest's, and what they do at rest.
 */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout } from "node:timers/promises";
import { messageOf } from "../src/lib/message.ts";
import { type Attached, missing } from "../test/support/e2e/program.ts";
import { endAll, which } from "../test/support/e2e/shell.ts";
import { qemuMissing } from "../test/support/qemu.ts";
import { startEcho } from "./measure.ts";
import { orderOf } from "./plan.ts";
import {
  type Activity,
  activityOf,
  countersOf,
  difference,
  larger,
  type Memory,
  memoryOf,
  NO_MEMORY,
} from "./probe.ts";
import { boot, type Machine, measure, type Setting } from "./qemu-machine.ts";
import {
  BARS,
  CPU_UNITS,
  IDLE_BAR,
  IDLE_SECONDS,
  judge,
  keyOf,
  MEMORY_BAR_MIB,
  type Options,
  parseOptions,
  type Results,
  type Sample,
  SETTLE_SECONDS,
  TITLES,
  USAGE,
  type Verdict,
} from "./qemu-plan.ts";
import { machine, median, progress, table, writeResults } from "./report.ts";
import { createBenchHost, obstacle, prepareRr } from "./world.ts";

/** A program of ours after all measurements, while nothing is asked of its guest. */
interface Rest {
  readonly name: string;
  readonly memory: Memory;
  /** In IDLE_SECONDS. */
  readonly activity: Activity;
  /** What the guest sent then by itself. */
  readonly guestFrames: number;
}

/** Most memory seen after a measurement, by program. */
type Memories = Map<string, Memory>;

function readOptions(): Options {
  try {
    return parseOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`bench: ${messageOf(error)}\n${USAGE}`);
    process.exit(2);
  }
}

const nameOf = ({ kind, mtu }: Machine): string => `${kind} ${mtu}`;

async function bootAll(setting: Setting, { kinds, mtus }: Options): Promise<Machine[]> {
  const machines: Machine[] = [];
  for (const kind of kinds) {
    for (const mtu of mtus) {
      progress(`boot: ${kind} ${mtu}`);
      machines.push(await boot(setting, kind, mtu));
    }
  }
  return machines;
}

/**
 * Watches all programs at once while nothing is asked of their guests: once the runtime has cleared
 * up behind the work, as nothing else is measured then.
 */
async function watchRest(machines: readonly Machine[]): Promise<Rest[]> {
  const own = machines.flatMap((each) =>
    each.program === undefined ? [] : [{ name: nameOf(each), program: each.program }],
  );
  const framesOf = async (program: Attached): Promise<number> =>
    (await countersOf(program)).counters["guest_rx_frames"] ?? 0;
  const frames = await Promise.all(own.map(({ program }) => framesOf(program)));
  progress(`${SETTLE_SECONDS} s until all is quiet, and ${IDLE_SECONDS} s at rest`);
  await setTimeout(SETTLE_SECONDS * 1000);
  const activities = () => own.map(({ program }) => activityOf(program.running.pid));
  const before = activities();
  await setTimeout(IDLE_SECONDS * 1000);
  const after = activities();
  const memories = own.map(({ program }) => memoryOf(program.running.pid));
  progress("");
  return Promise.all(
    own.map(async ({ name, program }, i) => ({
      name,
      memory: memories[i] ?? NO_MEMORY,
      activity: difference(after[i], before[i]),
      guestFrames: (await framesOf(program)) - (frames[i] ?? 0),
    })),
  );
}

async function measureAll(
  { host }: Setting,
  machines: readonly Machine[],
  { reps, seconds, metrics }: Options,
): Promise<{ results: Results; memories: Memories }> {
  const results: Results = new Map();
  const memories: Memories = new Map();
  for (let rep = 0; rep < reps; rep += 1) {
    for (const metric of metrics) {
      for (const each of orderOf(machines, rep)) {
        const key = keyOf(metric, each.kind, each.mtu);
        progress(`repetition ${rep + 1}/${reps}: ${key}`);
        const sample = await measure(host, each, metric, seconds).catch((error: unknown) => {
          console.error(`bench: ${key}: ${messageOf(error).split("\n")[0]}`);
          return undefined;
        });
        results.set(key, [...(results.get(key) ?? []), sample]);
        if (each.program === undefined) continue;
        const before = memories.get(nameOf(each)) ?? NO_MEMORY;
        memories.set(nameOf(each), larger(before, memoryOf(each.program.running.pid)));
      }
    }
  }
  progress("");
  return { results, memories };
}

const figure = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toFixed(2));

function shown(samples: readonly (Sample | undefined)[]): string {
  const values = samples.flatMap((sample) => (sample === undefined ? [] : [sample.value]));
  if (values.length === 0) return "failed";
  const range = `${figure(Math.min(...values))}..${figure(Math.max(...values))}`;
  return `${figure(median(values))} (${range})`;
}

/** Speeds and processor time, a row for each configuration. */
function speedTable(results: Results, { kinds, mtus, metrics }: Options): string {
  const rows = metrics.flatMap((metric) =>
    mtus.flatMap((mtu) =>
      kinds.map((kind) => {
        const samples = results.get(keyOf(metric, kind, mtu)) ?? [];
        const costs = samples.flatMap((each) =>
          each === undefined || each.cpu_s === 0 ? [] : [each.cpu_s / each.work],
        );
        const scale = metric === "rr" ? 1e6 : 1e3;
        const cost = costs.length === 0 ? "" : figure(median(costs) * scale);
        const cells = [TITLES[metric], String(mtu), kind, shown(samples)];
        return [...cells, cost === "" ? "" : `${cost} ${CPU_UNITS[metric]}`];
      }),
    ),
  );
  return table([["", "MTU", "link", "median (least..most)", "program's CPU"], ...rows]);
}

function barTable(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(({ bar: { metric, mtu, kind, against, factor }, ratio, met }) => [
    ...[TITLES[metric], String(mtu), `${kind} / ${against}`],
    ...[`${ratio.toFixed(2)}x`, `≥ ${factor}x`, met ? "met" : "MISSED"],
  ]);
  return table([["bar", "MTU", "links", "ratio", "wanted", ""], ...rows]);
}

/** Memory under load and at rest, and that nothing wakes the program but what has to. */
function restTable(rests: readonly Rest[], memories: Memories): { text: string; met: boolean } {
  const rows = rests.map(({ name, memory, activity, guestFrames }) => {
    const load = memories.get(name) ?? NO_MEMORY;
    const { cpu_ms, wakeUps, packetWakeUps } = activity;
    const share = cpu_ms / 1000 / IDLE_SECONDS;
    const met = Math.max(memory.all, load.own) <= MEMORY_BAR_MIB && share <= IDLE_BAR;
    const mib = [memory.all, load.own, load.all].map((value) => value.toFixed(1));
    const events = [packetWakeUps, wakeUps, guestFrames].map(String);
    const percent = `${(share * 100).toFixed(2)} %`;
    return { met, cells: [name, ...mib, percent, ...events, met ? "met" : "MISSED"] };
  });
  const head = [
    ...["", "MiB at rest", "own, loaded", "all, loaded", "CPU at rest"],
    ...["wake-ups", "of all threads", "guest's frames", ""],
  ];
  const wanted = [
    `Memory without the guest's (wanted: ${MEMORY_BAR_MIB} MiB at rest, and own under load)`,
    `and ${IDLE_SECONDS} s at rest (wanted: ${IDLE_BAR * 100} % of a core)`,
  ];
  const lines = table([head, ...rows.map(({ cells }) => cells)]);
  return { text: `${wanted.join(", ")}\n${lines}`, met: rows.every(({ met }) => met) };
}

async function main(): Promise<number> {
  const options = readOptions();
  const why = obstacle() ?? qemuMissing() ?? missing("ours");
  if (why !== undefined) {
    console.error(`bench: cannot run: ${why}`);
    return 1;
  }
  const date = new Date().toISOString();
  const rr = prepareRr();
  const folder = mkdtempSync(join(tmpdir(), "slirp-bench-"));
  chmodSync(folder, 0o777); // root becomes nobody, and the sockets are to be gone at the end
  const host = createBenchHost();
  await startEcho(host, rr, []);
  const programs = [which("iperf3") ?? "", rr[0] ?? ""];
  const setting = { host, folder, programs, msix: options.msix };
  const machines = await bootAll(setting, options);
  const { results, memories } = await measureAll(setting, machines, options);
  const rests = await watchRest(machines);
  const verdicts = judge(results);
  const rest = restTable(rests, memories);
  const about = machine(rr);
  console.log(table(Object.entries(about)));
  const cards = options.msix ? "MSI-X but for vhost-user" : "no MSI-X";
  console.log(`${options.reps} repetitions of ${options.seconds} s, ${date}`);
  console.log(`guest: QEMU TCG, 1 core, ${cards}\n`);
  console.log(`${speedTable(results, options)}\n`);
  console.log(`${barTable(verdicts)}\n`);
  console.log(rest.text);
  const all = { results: Object.fromEntries(results), memories: Object.fromEntries(memories) };
  const whole = { date, machine: about, options, bars: BARS, ...all, rests, verdicts };
  writeResults("qemu-", whole);
  for (const { guest, program } of machines) {
    await guest.kill();
    await program?.stop();
  }
  host.remove();
  rmSync(folder, { recursive: true, force: true });
  endAll();
  return options.strict && !(rest.met && verdicts.every(({ met }) => met)) ? 1 : 0;
}

process.exit(await main());
