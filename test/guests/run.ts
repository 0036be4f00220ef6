/**
 * `npm run guests`: real guests behind vhost-user, more of them than `npm test` has time for.
 *
 *     npm run guests -- [--only TEXT] [--mib N] [--list]     the matrix
 *     npm run guests -- --migration [--runs N] [--only TEXT] moves between two QEMUs
 *     npm run guests -- --migration --control                the same, with a fault of the log
 *
 * A line for each guest or move; the exit code is 1 where one failed. With `--control` the program
 * under test is a copy that does not mark the buffers it writes, which has to be found.
 */
import { existsSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { Arena } from "../mutants/arena.ts";
import { ROOT } from "../support/e2e/program.ts";
import { cannotRun } from "../support/e2e/setup.ts";
import { run, which } from "../support/e2e/shell.ts";
import { noProbe } from "../support/guest-probe.ts";
import { qemuMissing } from "../support/qemu.ts";
import { type GuestRow, MATRIX, SELECTION } from "./matrix.ts";
import { type MigrationOptions, migrates } from "./migration.ts";
import { tryGuest } from "./suite.ts";

const MIB = 1 << 20;
const CONTROL_LIMIT_MS = 600_000;
const FREE_HUGE_PAGES = "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages";
const HUGE_PAGE_MIB = 2;

/** The moves that take turns: of each kind of card, there and back, begun twice. */
const MOVES: readonly (MigrationOptions & { readonly name: string })[] = [
  { name: "there" },
  { name: "no merging", card: ["mrg_rxbuf=off"] },
  { name: "cancelled and begun again", cancels: true },
  { name: "there and back, MTU 65520", mtu: 65520, moves: 2 },
  { name: "without announcement", isSilent: true },
  { name: "legacy driver, plain rings", card: ["disable-modern=on", "event_idx=off"] },
];

/**
 * Faults of the log: the move where they are to be found, and in which file what is left out. Marks
 * of rings are not among them: QEMU takes a whole used ring as written when it stops the queue.
 */
const FAULTS = [
  {
    name: "buffers are not marked",
    move: "there",
    file: "src/link/vhost-user/regions.ts",
    text: "true)) return false;\n    if (this.#isLogging) this.#log?.mark(guestAddress, length);\n",
    without: "true)) return false;\n",
  },
] as const;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

const seconds = (since_ms: number): string =>
  `${((performance.now() - since_ms) / 1000).toFixed(1)} s`;

/** Why this guest cannot be had here, or undefined. */
function obstacle(row: GuestRow): string | undefined {
  if (!row.memory.includes("hugetlb=on")) return undefined;
  const free = existsSync(FREE_HUGE_PAGES) ? Number(readFileSync(FREE_HUGE_PAGES, "utf8")) : 0;
  if (free * HUGE_PAGE_MIB >= row.size_mib) return undefined;
  return `${free} free huge pages of ${HUGE_PAGE_MIB} MiB, ${row.size_mib / HUGE_PAGE_MIB} wanted`;
}

/** Runs what is to be run and tells how it went. */
async function attempt(name: string, work: () => Promise<void>): Promise<boolean> {
  const began_ms = performance.now();
  try {
    await work();
    say(`ok    ${name}, ${seconds(began_ms)}`);
    return true;
  } catch (error) {
    const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
    say(`FAIL  ${name}, ${seconds(began_ms)}\n${why.replaceAll(/^/gm, "      | ")}`);
    return false;
  }
}

async function runMatrix(only: string, bytes: number, isList: boolean): Promise<number> {
  let failed = 0;
  for (const row of [...MATRIX, ...SELECTION].filter(({ name }) => name.includes(only))) {
    const why = obstacle(row);
    if (isList) say([row.name, ...row.card, ...row.memory].join(" "));
    else if (why !== undefined) say(`skip  ${row.name}: ${why}`);
    else if (!(await attempt(row.name, () => tryGuest(row, bytes)))) failed += 1;
  }
  return failed;
}

async function runMoves(only: string, runs: number): Promise<number> {
  let failed = 0;
  const kinds = MOVES.filter(({ name }) => name.includes(only));
  for (let i = 0; i < runs; i += 1) {
    const kind = kinds[i % kinds.length];
    if (kind === undefined) throw new Error(`no move is called "${only}"`);
    const tell = (line: string): void => say(`      ${line}`);
    const name = `${i + 1} of ${runs}: ${kind.name}`;
    if (!(await attempt(name, () => migrates({ ...kind, tell })))) failed += 1;
  }
  return failed;
}

/** Each fault has to be found: how many were not. */
async function runControl(): Promise<number> {
  let missed = 0;
  for (const { name, move, file, text, without } of FAULTS) {
    const arena = new Arena(ROOT, tmpdir(), ["node_modules", "build", "dist"]);
    try {
      const source = readFileSync(join(ROOT, file), "utf8");
      if (source.split(text).length !== 2) throw new Error(`"${text}" is not in ${file}`);
      arena.write(file, source.replace(text, without));
      const command = [process.execPath, "--import", "tsx", "test/guests/run.ts"];
      const words = [...command, "--migration", "--runs", "1", "--only", move];
      const where = { cwd: arena.folder, env: { SLIRP_RUNTIME: "bun" } };
      const { code, stdout, stderr } = await run(words, CONTROL_LIMIT_MS, where);
      const isFound = code === 1 && stdout.startsWith("FAIL");
      if (!isFound) missed += 1;
      const reason = /Error.*/.exec(stdout)?.[0] ?? `${code}: ${stdout}${stderr}`;
      say(`${isFound ? "found" : "MISSED"} ${name}: ${reason}`);
    } finally {
      arena.close();
    }
  }
  return missed;
}

function natural(text: string, name: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new Error(`give --${name} a number from 1 on, not "${text}"`);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: "string", default: "" },
      mib: { type: "string", default: "8" },
      runs: { type: "string", default: "20" },
      list: { type: "boolean", default: false },
      migration: { type: "boolean", default: false },
      control: { type: "boolean", default: false },
    },
  });
  const why = cannotRun("dnsmasq", "dhclient") || qemuMissing() || noProbe();
  if (why) throw new Error(why);
  if (which("ss") === undefined) throw new Error("needs ss (Debian package iproute2)");
  if (!values.migration) {
    return runMatrix(values.only, natural(values.mib, "mib") * MIB, values.list);
  }
  return values.control ? runControl() : runMoves(values.only, natural(values.runs, "runs"));
}

main().then(
  (failed) => {
    process.exitCode = failed > 0 ? 1 : 0;
  },
  (error: unknown) => {
    process.stderr.write(`guests: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 2;
  },
);
