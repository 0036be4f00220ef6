/**
 * Looks as docs/operating.md says: runs the command of a row where the program runs, with
 * `slirp-binding` in the path, and checks that it prints what the row promises.
 *
 * The program of a test file and its commands meet at a socket of its own (`SLIRP_ADMIN`), for
 * other tests may run programs of the same user.
 */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { ourCommand } from "../e2e/program.ts";
import { type Outcome, onEnd, until } from "../e2e/shell.ts";
import type { Namespace } from "../e2e/world.ts";
import { missingIn, type Row } from "./table.ts";

/** Loses what root may: the checks of `doctor` are for whom the program becomes. */
export const NOBODY: readonly string[] = [
  ...["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"],
  ...["--bounding-set=-all", "--inh-caps=-all"],
];
const LIMIT_ms = 20_000;

export interface LookOptions {
  /** Put before the shell that runs the command. */
  readonly prefix?: readonly string[];
}

/** Makes the folder, and has programs that are started from here on use it. */
function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "slirp-operating-"));
  onEnd(() => rmSync(folder, { recursive: true, force: true }));
  chmodSync(folder, 0o755);
  const words = ourCommand().map((word) => `'${word}'`);
  writeFileSync(join(folder, "slirp-binding"), `#!/bin/sh\nexec ${words.join(" ")} "$@"\n`);
  chmodSync(join(folder, "slirp-binding"), 0o755);
  const runtime = join(folder, "run");
  mkdirSync(runtime, { mode: 0o700 });
  process.env["SLIRP_ADMIN"] = `unix:${join(runtime, "admin.sock")}`;
  return folder;
}

const FOLDER = makeFolder();

/** Command line by which a shell in the namespace runs this. */
export function inShell(text: string, { prefix = [] }: LookOptions = {}): string[] {
  const path = `PATH=${FOLDER}:${process.env["PATH"] ?? ""}`;
  return ["env", path, ...prefix, "sh", "-c", text];
}

/** What a row's command prints, whether or not it is as it should be. */
export async function ask(host: Namespace, row: Row, options?: LookOptions): Promise<Outcome> {
  return host.run(inShell(row.command, options), LIMIT_ms);
}

/** Runs the command of a row and checks that all is there; its standard output. */
export async function look(host: Namespace, row: Row, options?: LookOptions): Promise<string> {
  const outcome = await ask(host, row, options);
  assert.deepEqual(missingIn(row, textOf(outcome)), [], `row ${row.id}:\n${textOf(outcome)}`);
  return outcome.stdout;
}

/** The same, again until all is there. */
export async function lookUntil(host: Namespace, row: Row, options?: LookOptions): Promise<void> {
  let text = "";
  await until(
    async () => {
      text = textOf(await ask(host, row, options));
      return missingIn(row, text).length === 0;
    },
    () => `row ${row.id} to show ${JSON.stringify(row.shows)}:\n${text}`,
    LIMIT_ms,
  );
}

/** Carries out the first command among what mends it, as root, where it says: host or guest. */
export async function mend(where: Namespace, row: Row): Promise<void> {
  const [command] = row.cures;
  assert.ok(command !== undefined, `row ${row.id} has something that mends it`);
  const own = command.replaceAll("IFACE", "tap0");
  const { code, stderr } = await where.run(inShell(own), LIMIT_ms);
  assert.equal(code, 0, `${command}: ${stderr}`);
}

/** Whether the row's command no longer shows the first of its texts. */
function isGone(row: Row, outcome: Outcome): boolean {
  // `doctor` ends with 1 where anything else is wrong with the machine.
  const isAnswer = outcome.code === 0 || /^slirp-binding doctor\b/.test(row.command);
  return isAnswer && missingIn(row, textOf(outcome)).includes(row.shows[0] ?? "");
}

export async function isMended(host: Namespace, row: Row, options?: LookOptions): Promise<void> {
  const outcome = await ask(host, row, options);
  assert.ok(isGone(row, outcome), `row ${row.id}: ${textOf(outcome)}`);
}

/** The same, as soon as it is. */
export async function untilMended(host: Namespace, row: Row): Promise<void> {
  let text = "";
  await until(
    async () => {
      const outcome = await ask(host, row);
      text = textOf(outcome);
      return isGone(row, outcome);
    },
    () => `row ${row.id} no longer to show ${JSON.stringify(row.shows)}:\n${text}`,
    LIMIT_ms,
  );
}

function textOf({ stdout, stderr }: Outcome): string {
  return `${stdout}${stderr}`;
}
