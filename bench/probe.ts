/**
 * What a running `attach` of ours tells of itself: counters by its log, and from /proc its memory
 * without the guest's and how often its threads woke up.
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

/** Asks for the counters that are not zero, by name. */
export async function countersOf({ running }: Attached): Promise<Counted> {
  const told = (): string[] =>
    running
      .stderr()
      .split("\n")
      .slice(0, -1)
      .filter((line) => line.includes('"msg":"counters"'));
  const before = told().length;
  running.signal("SIGUSR1");
  const line = await until(() => told()[before], "the program's counters", COUNTERS_LIMIT_MS);
  const { time, level: _level, msg: _msg, ...counters } = JSON.parse(line);
  return { at_s: Date.parse(time) / 1000, counters };
}

/** Resident memory in MiB, all mappings but those of a guest's memory. */
export function ownMib(pid: number): number {
  return residentIn(readFileSync(`/proc/${pid}/smaps`, "utf8"));
}

/** The same, of the text of a /proc/PID/smaps. */
export function residentIn(smaps: string): number {
  let kib = 0;
  let isGuest = false;
  for (const line of smaps.split("\n")) {
    if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) isGuest = GUEST_MEMORY.test(line);
    else if (!isGuest && line.startsWith("Rss:")) kib += Number(line.match(/\d+/)?.[0] ?? 0);
  }
  return kib / 1024;
}

/** How often the threads of a process have gone to sleep so far: each time something woke them. */
export function wakeUps(pid: number): number {
  let count = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const status = readFileSync(`/proc/${pid}/task/${thread}/status`, "utf8");
    count += Number(status.match(/^voluntary_ctxt_switches:\s+(\d+)/m)?.[1] ?? 0);
  }
  return count;
}
