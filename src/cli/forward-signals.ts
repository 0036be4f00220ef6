/** Signals that `run` is sent, handed on to the command. */
import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { readIgnoredSignals } from "../sys/privileges.ts";

/** Signals that are handed on. */
const FORWARDED = ["SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;
/** Those that a terminal sends to everybody in front of it. */
const OF_TERMINAL: ReadonlySet<string> = new Set(["SIGHUP", "SIGINT", "SIGQUIT"]);

/** What is known of this process. */
export interface OwnState {
  /** Numbers of the signals that it ignores. */
  readonly ignored: ReadonlySet<number>;
  /** Its line of /proc/PID/stat, now. */
  readonly stat: () => string;
}

const readOwnState = (): OwnState => ({
  ignored: readIgnoredSignals(),
  stat: () => readFileSync("/proc/self/stat", "utf8"),
});

/** Hands signals on; returns what ends that. */
export function forwardSignals(
  child: Pick<ChildProcess, "pid" | "exitCode">,
  { ignored, stat }: OwnState = readOwnState(),
): () => void {
  const names = FORWARDED.filter((name) => !ignored.has(constants.signals[name]));
  const handlers = names.map((name) => {
    const handler = (): void => {
      if (OF_TERMINAL.has(name) && isInForeground(stat())) return;
      // Not child.kill: Deno then tells of every later end that it was by this signal.
      if (child.pid !== undefined && child.exitCode === null) sendSignal(child.pid, name);
    };
    process.on(name, handler);
    return [name, handler] as const;
  });
  return () => {
    for (const [name, handler] of handlers) process.off(name, handler);
  };
}

function sendSignal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended, or has become somebody whom we may not signal.
  }
}

/** Whether a terminal's signals come to our process group, and so to the command as well. */
function isInForeground(stat: string): boolean {
  const [, , group, , terminal, foreground] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return terminal !== "0" && group === foreground;
}
