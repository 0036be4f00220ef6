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
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { messageOf } from "../src/lib/message.ts";
import { type Attached, missing, ROOT } from "../test/support/e2e/program.ts";
import { endAll, which } from "../test/support/e2e/shell.ts";
import { qemuMissing } from "../test/support/qemu.ts";
import { cpuSeconds, startEcho } from "./measure.ts";
import { orderOf } from "./plan.ts";
import { countersOf, ownMib, wakeUps } from "./probe.ts";
import { boot, type Machine, measure, type Setting } from "./qemu-machine.ts";
import {
  BARS,
  CPU_UNITS,
  IDLE_SECONDS,
  judge,
  keyOf,
  MEMORY_BAR_MIB,
  type Options,
  parseOptions,
  type Results,
  type Sample,
  TITLES,
  USAGE,
  type Verdict,
} from "./qemu-plan.ts";
import { machine, median, table } from "./report.ts";
import { createBenchHost, obstacle, prepareRr } from "./world.ts";

/** A program of ours whose guest is attached. */
interface Rest {
  readonly name: string;
  /** While nothing was asked of the guest, for IDLE_SECONDS. */
  readonly idleMib: number;
  readonly idleCpu_s: number;
  readonly wakeUps: number;
  /** What the guest sent then by itself. */
  readonly guestFrames: number;
}

/** Highest memory seen after a measurement, by program. */
type Memories = Map<string, number>;

function readOptions(): Options {
  try {
    return parseOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`bench: ${messageOf(error)}\n${USAGE}`);
    process.exit(2);
  }
}

function progress(text: string): void {
  process.stderr.write(process.stderr.isTTY ? `\r\x1b[2K${text}` : `${text}\n`);
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

/** Watches all programs at once while nothing is asked of their guests. */
async function watchRest(machines: readonly Machine[]): Promise<Rest[]> {
  progress(`${IDLE_SECONDS} s at rest`);
  const look = async (program: Attached) => {
    const { counters } = await countersOf(program);
    return { frames: counters["guest_rx_frames"] ?? 0 };
  };
  const own = machines.flatMap((each) =>
    each.program === undefined ? [] : [{ name: nameOf(each), program: each.program }],
  );
  const frames = await Promise.all(own.map(({ program }) => look(program)));
  // Asking wakes a program up, and what it does after that is not rest.
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const state = ({ running }: Attached) => ({
    cpu_s: cpuSeconds(running.pid),
    wakeUps: wakeUps(running.pid),
  });
  const before = own.map(({ program }) => state(program));
  await new Promise((resolve) => setTimeout(resolve, IDLE_SECONDS * 1000));
  const after = own.map(({ program }) => state(program));
  return Promise.all(
    own.map(async ({ name, program }, i) => ({
      name,
      idleMib: ownMib(program.running.pid),
      idleCpu_s: (after[i]?.cpu_s ?? 0) - (before[i]?.cpu_s ?? 0),
      wakeUps: (after[i]?.wakeUps ?? 0) - (before[i]?.wakeUps ?? 0),
      guestFrames: (await look(program)).frames - (frames[i]?.frames ?? 0),
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
        const most = Math.max(memories.get(nameOf(each)) ?? 0, ownMib(each.program.running.pid));
        memories.set(nameOf(each), most);
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

/** Bars: the memory, and that nothing but the guest wakes the program. */
function restTable(rests: readonly Rest[], memories: Memories): { text: string; met: boolean } {
  const rows = rests.map(({ name, idleMib, idleCpu_s, wakeUps: count, guestFrames }) => {
    const most = Math.max(idleMib, memories.get(name) ?? 0);
    const met = most <= MEMORY_BAR_MIB && idleCpu_s === 0 && (count === 0 || guestFrames > 0);
    const cells = [name, idleMib.toFixed(1), most.toFixed(1), (idleCpu_s * 1000).toFixed(0)];
    return { met, cells: [...cells, String(count), String(guestFrames), met ? "met" : "MISSED"] };
  });
  const head = ["", "idle MiB", "most MiB", `CPU ms in ${IDLE_SECONDS} s`, "wake-ups"];
  const wanted = `Memory without the guest's (≤ ${MEMORY_BAR_MIB} MiB), and the programs at rest`;
  const lines = table([[...head, "frames of the guest", ""], ...rows.map(({ cells }) => cells)]);
  return { text: `${wanted}\n${lines}`, met: rows.every(({ met }) => met) };
}

function write(file: string, whole: object): void {
  mkdirSync(join(ROOT, "build/bench"), { recursive: true });
  writeFileSync(file, `${JSON.stringify(whole, null, 2)}\n`);
  console.log(`\nwritten: ${file}`);
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
  const rests = await watchRest(machines);
  const { results, memories } = await measureAll(setting, machines, options);
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
  write(join(ROOT, "build/bench", `qemu-${date.replaceAll(":", "-")}.json`), whole);
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
