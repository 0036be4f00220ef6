/**
 * Child processes for the end-to-end tests, the demonstration and the benchmark.
 *
 * Contract: every process started here is known by its id and is ended by `endAll`, which also runs
 * when the test process itself exits or is interrupted, so nothing outlives a run. Nothing is ended
 * by name. Waiting is always for a condition with a deadline, never for a fixed time.
 */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import type { Readable } from "node:stream";

/** What a finished process left behind. `code` is null when a signal or the time limit ended it. */
export type Outcome = {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly elapsed_ms: number;
};

/** A process that goes on while the test works. */
export type Running = {
  readonly pid: number;
  /** All it has printed so far. */
  stdout(): string;
  stderr(): string;
  ended(): boolean;
  /** Sends a signal; false when it has already ended. */
  signal(name: NodeJS.Signals): boolean;
  /** Writes to its standard input and leaves that open. */
  write(text: string): void;
  /** Ends its standard input. */
  closeInput(): void;
  /** Resolves when it has ended; ends it with SIGKILL after the limit. */
  outcome(limit_ms?: number): Promise<Outcome>;
  /** Resolves with the first match of its output; rejects when it ends or is late without one. */
  waitFor(pattern: RegExp, limit_ms?: number): Promise<RegExpMatchArray>;
};

/** How to start: `ready_fd` opens descriptor 3 as a pipe whose first byte calls back. */
export type StartOptions = {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly onReadyByte?: () => void;
};

const POLL_MS = 10;
const OUTPUT_LIMIT_BYTES = 1 << 20;
const DEFAULT_LIMIT_MS = 60_000;

const alive = new Set<ChildProcess>();
const cleanups = new Set<() => void>();
let hooked = false;

/** Registers work for the end of the run; returns a function that takes it back. */
export function onEnd(cleanup: () => void): () => void {
  hook();
  cleanups.add(cleanup);
  return () => cleanups.delete(cleanup);
}

/** Ends every process still running, then runs the registered clean-ups, newest first. */
export function endAll(): void {
  for (const child of alive) {
    child.kill("SIGKILL");
  }
  alive.clear();
  for (const cleanup of [...cleanups].reverse()) {
    cleanups.delete(cleanup);
    cleanup();
  }
}

function hook(): void {
  if (hooked) {
    return;
  }
  hooked = true;
  process.on("exit", endAll);
  for (const [name, number] of [
    ["SIGINT", 2],
    ["SIGTERM", 15],
    ["SIGHUP", 1],
  ] as const) {
    process.on(name, () => {
      endAll();
      process.exit(128 + number);
    });
  }
}

function collect(stream: Readable | null): () => string {
  const chunks: Buffer[] = [];
  let size = 0;
  stream?.on("data", (chunk: Buffer) => {
    // The pipe is always drained, but only the first part is kept: a chatty peer costs no memory.
    if (size < OUTPUT_LIMIT_BYTES) {
      chunks.push(chunk);
      size += chunk.length;
    }
  });
  return () => Buffer.concat(chunks).toString("utf8");
}

/** Starts a process. Throws only when the operating system cannot start anything at all. */
export function start(argv: readonly string[], options: StartOptions = {}): Running {
  hook();
  const [file, ...args] = argv;
  const ready = options.onReadyByte;
  const began_ms = performance.now();
  const child = spawn(file ?? "", args, {
    stdio: ["pipe", "pipe", "pipe", ...(ready === undefined ? [] : ["pipe" as const])],
    // No resolver of the machine hears of a test.
    env: { ...process.env, SLIRP_NO_CHECKS: "1", ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  alive.add(child);
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  child.stdin?.on("error", () => undefined);
  if (ready !== undefined) {
    child.stdio[3]?.once("data", ready);
  }
  let failure = "";
  let result: Outcome | undefined;
  const done = new Promise<Outcome>((resolve) => {
    const finish = (code: number | null, signal: string | null): void => {
      alive.delete(child);
      const elapsed_ms = performance.now() - began_ms;
      result = { code, signal, stdout: stdout(), stderr: stderr() + failure, elapsed_ms };
      resolve(result);
    };
    child.once("error", (error) => {
      failure = `cannot start ${JSON.stringify(file)}: ${error.message}`;
      finish(127, null);
    });
    child.once("close", finish);
  });
  return handle(child, argv, done, () => result, stdout, stderr);
}

function handle(
  child: ChildProcess,
  argv: readonly string[],
  done: Promise<Outcome>,
  result: () => Outcome | undefined,
  stdout: () => string,
  stderr: () => string,
): Running {
  const running: Running = {
    pid: child.pid ?? -1,
    stdout,
    stderr,
    ended: () => result() !== undefined,
    signal: (name) => child.kill(name),
    write: (text) => void child.stdin?.write(text),
    closeInput: () => void child.stdin?.end(),
    outcome: async (limit_ms = DEFAULT_LIMIT_MS) => {
      const timer = setTimeout(() => child.kill("SIGKILL"), limit_ms);
      const outcome = await done;
      clearTimeout(timer);
      return outcome;
    },
    waitFor: async (pattern, limit_ms = DEFAULT_LIMIT_MS) => {
      const match = await until(
        () => stdout().match(pattern) ?? (running.ended() ? "ended" : undefined),
        `output ${pattern} of ${JSON.stringify(argv.join(" "))}`,
        limit_ms,
      );
      const found = match === "ended" ? stdout().match(pattern) : match;
      if (found === null) {
        throw new Error(`${argv.join(" ")} ended before ${pattern}: ${stdout()}${stderr()}`);
      }
      return found;
    },
  };
  return running;
}

/** Runs to the end and returns the outcome whatever it is. */
export async function run(
  argv: readonly string[],
  limit_ms: number = DEFAULT_LIMIT_MS,
  options: StartOptions = {},
): Promise<Outcome> {
  return start(argv, options).outcome(limit_ms);
}

/** Runs to the end at once, for set-up commands; throws with what was printed when it fails. */
export function must(argv: readonly string[], input = ""): string {
  const [file, ...args] = argv;
  const result = spawnSync(file ?? "", args, { input, encoding: "utf8", timeout: 20_000 });
  if (result.status !== 0) {
    const why = result.error?.message ?? result.stderr;
    throw new Error(`${argv.join(" ")} failed with ${result.status}: ${why}`);
  }
  return result.stdout;
}

/** Like `must`, but says whether it worked instead of throwing. */
export function attempt(argv: readonly string[]): boolean {
  const [file, ...args] = argv;
  return spawnSync(file ?? "", args, { stdio: "ignore", timeout: 20_000 }).status === 0;
}

/**
 * Polls until the probe gives something other than undefined, false or null. `what` names the
 * condition for the failure message; as a function it may add the state at that moment.
 */
export async function until<T>(
  probe: () => T | undefined | null | false | Promise<T | undefined | null | false>,
  what: string | (() => string),
  limit_ms: number = DEFAULT_LIMIT_MS,
): Promise<T> {
  const deadline_ms = performance.now() + limit_ms;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== null && value !== false) {
      return value;
    }
    if (performance.now() > deadline_ms) {
      const words = typeof what === "string" ? what : what();
      throw new Error(`waited ${limit_ms} ms in vain for ${words}`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Path of a program, looked for in PATH and in the folders that only root's PATH has. */
export function which(name: string): string | undefined {
  const folders = [
    ...(process.env["PATH"] ?? "").split(delimiter),
    "/usr/local/sbin",
    "/usr/sbin",
    "/sbin",
  ];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}
