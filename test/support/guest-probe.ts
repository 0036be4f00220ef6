/**
 * The program that a guest gets for its tests (`guest/probe.c`), compiled once, and typed doors to
 * what it can do.
 */
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { ConnectReport, EchoReport, StreamReport, StreamsTask } from "./e2e/peers.ts";
import { ROOT } from "./e2e/program.ts";
import { must, which } from "./e2e/shell.ts";
import type { GuestShell } from "./qemu.ts";

const COMPILER = "cc";
const SOURCES = ["probe.c", "sha256.h"].map((name) => join(ROOT, "test/support/guest", name));
const FOLDER = join(ROOT, "build/qemu");
const TRANSFER_LIMIT_MS = 240_000;

/** Why it cannot be compiled here, or false. */
export function noProbe(): string | false {
  return which(COMPILER) === undefined ? `needs ${COMPILER} (Debian package gcc)` : false;
}

/** Path of the program. */
export function probe(): string {
  const path = join(FOLDER, "probe");
  const made = existsSync(path) ? statSync(path).mtimeMs : 0;
  if (SOURCES.every((source) => statSync(source).mtimeMs < made)) return path;
  mkdirSync(FOLDER, { recursive: true });
  const folder = mkdtempSync(join(FOLDER, "compile-"));
  const draft = join(folder, "probe");
  must([COMPILER, "-O2", "-static", "-Wall", "-Werror", "-o", draft, SOURCES[0] ?? ""]);
  renameSync(draft, path); // whole at once, as a run beside this one may read it
  rmSync(folder, { recursive: true });
  return path;
}

/** What it printed, each line that is JSON. */
export function reportsIn<T>(output: string): T[] {
  const lines = output.split("\n").filter((line) => line.startsWith("{"));
  return lines.map((line) => JSON.parse(line) as T);
}

function firstOf<T>(output: string): T {
  const [report] = reportsIn<T>(output);
  if (report === undefined) throw new Error(`the probe told nothing: ${output}`);
  return report;
}

/** The words by which the probe does a task. */
export function streamsWords(task: StreamsTask): string {
  const { host, port, mode, streams, send, receive, seed } = task;
  return ["streams", host, port, mode, streams, send, receive, seed].join(" ");
}

/** As `streams` of e2e/peers, from within a guest; in the order of their seeds. */
export async function guestStreams(guest: GuestShell, task: StreamsTask): Promise<StreamReport[]> {
  const output = await guest.must(`probe ${streamsWords(task)}`, TRANSFER_LIMIT_MS);
  return reportsIn<StreamReport>(output).sort((a, b) => a.seed - b.seed);
}

/** As `udpEcho`, from within a guest. */
export async function guestEcho(
  guest: GuestShell,
  host: string,
  port: number,
  sizes: readonly number[],
): Promise<EchoReport> {
  return firstOf(await guest.must(`probe udp ${host} ${port} ${sizes.join(",")}`, 120_000));
}

/** As `tryConnect`, from within a guest. */
export async function guestConnects(
  guest: GuestShell,
  host: string,
  port: number,
): Promise<ConnectReport> {
  return firstOf(await guest.must(`probe connect ${host} ${port}`));
}

/** Starts the probe beside the shell; what it prints is in the file `/tmp/NAME`. */
export async function startProbe(guest: GuestShell, name: string, words: string): Promise<void> {
  await guest.must(`probe ${words} >/tmp/${name} 2>&1 & echo $! >/tmp/${name}.pid`);
}

/** Waits in the guest until the probe has printed `text`. */
export async function probeSays(guest: GuestShell, name: string, text: string): Promise<void> {
  await guest.must(`until grep -q '${text}' /tmp/${name}; do usleep 20000; done`, 120_000);
}

/** Ends a probe that waits for it; what it told. */
export async function endProbe<T>(guest: GuestShell, name: string): Promise<T> {
  await guest.must(`kill $(cat /tmp/${name}.pid)`);
  await probeSays(guest, name, "^{");
  return firstOf(await guest.must(`cat /tmp/${name}`));
}
