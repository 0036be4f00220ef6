/**
 * What a running `attach` of ours tells of itself: counters by its log, and from /proc its memory
 * without the guest's, its processor time, and how often its threads woke up.
 */
import { readdirSync, readFileSync } from "node:fs";
import { type Attached, startAttach } from "../test/support/e2e/program.ts";
import { until } from "../test/support/e2e/shell.ts";
import type { Namespace } from "../test/support/e2e/world.ts";

const COUNTERS_LIMIT_MS = 10_000;
/** Guest memory of QEMU's memory-backend-memfd, and of DPDK without huge pages. */
const GUEST_MEMORY = /\/memfd:(?:memory-backend-memfd|nohuge)\b/;

/** Counters at a moment of the program's clock, in seconds. */
export interface Counted {
  readonly at_s: number;
  readonly counters: Readonly<Record<string, number>>;
}

/** Starts `attach` so that its counters can be asked for. */
export function startCounting(host: Namespace, args: readonly string[]): Promise<Attached> {
  return startAttach(host, [...args, "--log-format", "json"]);
}

/**
 * Asks for the counters that are not zero, by name. Twice: where the machine is busy the packet
 * thread may be late for the first time, and what it says then is in the second answer.
 */
export async function countersOf(program: Attached): Promise<Counted> {
  await ask(program);
  const { time, level: _level, msg: _msg, ...counters } = JSON.parse(await ask(program));
  return { at_s: Date.parse(time) / 1000, counters };
}

async function ask({ running }: Attached): Promise<string> {
  const told = (): string[] =>
    running
      .stderr()
      .split("\n")
      .slice(0, -1)
      .filter((line) => line.includes('"msg":"counters"'));
  const before = told().length;
  running.signal("SIGUSR1");
  return until(() => told()[before], "the program's counters", COUNTERS_LIMIT_MS);
}

/** Resident memory in MiB, without a guest's. */
export interface Memory {
  readonly all: number;
  /** Without pages of files, which are in the page cache for whoever runs the same program. */
  readonly own: number;
}

export const NO_MEMORY: Memory = { all: 0, own: 0 };

export function larger(a: Memory, b: Memory): Memory {
  return { all: Math.max(a.all, b.all), own: Math.max(a.own, b.own) };
}

/** Memory of a process. */
export function memoryOf(pid: number): Memory {
  return residentIn(readFileSync(`/proc/${pid}/smaps`, "utf8"));
}

/** The same, of the text of a /proc/PID/smaps. */
export function residentIn(smaps: string): Memory {
  let [all, own] = [0, 0];
  let isGuest = false;
  for (const line of smaps.split("\n")) {
    if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) isGuest = GUEST_MEMORY.test(line);
    const mib = Number(line.match(/^\w+:\s+(\d+) kB/)?.[1] ?? 0) / 1024;
    if (isGuest) continue;
    if (line.startsWith("Rss:")) all += mib;
    if (line.startsWith("Anonymous:")) own += mib;
  }
  return { all, own };
}

/** Of all threads of a process, from its start on. */
export interface Activity {
  /** Processor time in milliseconds, to the nanosecond. */
  readonly cpu_ms: number;
  /** How often a thread went to sleep: each time something had woken it. */
  readonly wakeUps: number;
  /** The same of the thread that moves frames. */
  readonly packetWakeUps: number;
}

export function activityOf(pid: number): Activity {
  let [cpu_ms, wakeUps, packetWakeUps] = [0, 0, 0];
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const folder = `/proc/${pid}/task/${thread}`;
    try {
      cpu_ms += Number(readFileSync(`${folder}/schedstat`, "utf8").split(" ")[0]) / 1e6;
      const status = readFileSync(`${folder}/status`, "utf8");
      const count = Number(status.match(/^voluntary_ctxt_switches:\s+(\d+)/m)?.[1] ?? 0);
      wakeUps += count;
      if (/^Name:\s+Worker$/m.test(status)) packetWakeUps += count;
    } catch {
      // A thread of the runtime that has ended meanwhile.
    }
  }
  return { cpu_ms, wakeUps, packetWakeUps };
}

export function difference(after?: Activity, before?: Activity): Activity {
  const less = (name: keyof Activity): number => (after?.[name] ?? 0) - (before?.[name] ?? 0);
  return {
    cpu_ms: less("cpu_ms"),
    wakeUps: less("wakeUps"),
    packetWakeUps: less("packetWakeUps"),
  };
}
