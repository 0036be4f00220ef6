/**
 * `npm run bench -- --instructions`: how many instructions the engine's code takes for what
 * `--engine` takes the time of. A time of a machine that others use is never twice the same, the
 * number of instructions all but is. It knows nothing of caches and of branches that were foreseen.
 *
 * valgrind counts; the engine and its harness run in Node, which compiles WebAssembly once and with
 * all optimisations. A load is done twice, short and long: start and compilation are in both, the
 * difference is the load's. `--against DIR` counts another checkout's engine, too.
 */
import { execFile } from "node:child_process";
import { rmSync } from "node:fs";
import { join, resolve } from "node:path";
import process from "node:process";
import { parseArgs, promisify } from "node:util";
import { messageOf } from "../src/lib/message.ts";
import { ROOT } from "../test/support/e2e/program.ts";
import { which } from "../test/support/e2e/shell.ts";
import { CROWD, LOADS } from "./engine/loads.ts";
import { BAR, bundleCounted, COUNTED, lendHarness, nameOf } from "./engine-sides.ts";
import { table } from "./report.ts";

const USAGE = `usage: npm run bench -- --instructions [options]
  --against DIR      another checkout, built: its engine is counted, too
  --only TEXT        loads with this text in their name
  --strict           exit with code 1 when a bar is missed`;

/** Looks at the clock, 32 turns of the load each. */
const SHORT = 30;
const LONG = 180;
/** Compiles everything at first, in the one thread that is counted, and the same each time. */
const NODE = [
  ...["--no-liftoff", "--no-wasm-tier-up", "--no-wasm-dynamic-tiering"],
  ...["--predictable", "--hash-seed=1"],
];
const COUNTER = [
  ...["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"],
  "--smc-check=all-non-file",
];

const execute = promisify(execFile);

interface Run {
  readonly instructions: number;
  readonly units: number;
}

async function count(file: string, load: string, crowd: number, looks: number): Promise<Run> {
  const argv = [...COUNTER, "node", ...NODE, file, load, String(crowd), String(looks)];
  const { stdout, stderr } = await execute("valgrind", argv);
  const found = /I\s+refs:\s+([\d,]+)/.exec(stderr)?.[1];
  if (found === undefined) throw new Error(`valgrind has counted nothing: ${stderr.slice(-500)}`);
  return { instructions: Number(found.replaceAll(",", "")), units: Number(stdout) };
}

/** Instructions of a frame, datagram or connection. */
async function perUnit(file: string, load: string, crowd: number): Promise<number> {
  const short = await count(file, load, crowd, SHORT);
  const long = await count(file, load, crowd, LONG);
  return (long.instructions - short.instructions) / (long.units - short.units);
}

interface Options {
  readonly against: string | undefined;
  readonly loads: readonly string[];
  readonly strict: boolean;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      against: { type: "string" },
      only: { type: "string", default: "" },
      strict: { type: "boolean", default: false },
    },
  });
  const { against, only, strict } = values;
  const loads = LOADS.filter((load) => load.includes(only));
  if (loads.length === 0) throw new Error(`--only "${only}" names no load`);
  if (which("valgrind") === undefined) throw new Error("needs valgrind (Debian package valgrind)");
  return { against, loads, strict };
}

/** @returns whether every bar is met */
async function compare(folders: readonly string[], loads: readonly string[]): Promise<boolean> {
  const files = await Promise.all(folders.map(bundleCounted));
  const head = ["instructions for one", "this"];
  if (files.length > 1) head.push("other", "ratio", `bar ${BAR}`);
  const rows = [head];
  let isMet = true;
  for (const crowd of [0, CROWD]) {
    for (const load of loads) {
      process.stderr.write(`${load}, beside ${crowd} flows\n`);
      const [own = Number.NaN, other] = await Promise.all(
        files.map((file) => perUnit(file, load, crowd)),
      );
      const name = nameOf({ load, crowd });
      const row = [name, own.toFixed(0)];
      if (other !== undefined) {
        const isReached = other / own >= BAR;
        isMet &&= isReached;
        row.push(other.toFixed(0), (other / own).toFixed(3), isReached ? "met" : "MISSED");
      }
      rows.push(row);
    }
  }
  console.log(table(rows));
  return isMet;
}

async function main(): Promise<number> {
  const { against, loads, strict } = readOptions();
  const takeBack = against === undefined ? () => undefined : lendHarness(against);
  const folders = [ROOT, ...(against === undefined ? [] : [resolve(against)])];
  try {
    return (await compare(folders, loads)) || !strict ? 0 : 1;
  } finally {
    takeBack();
    for (const folder of folders) rmSync(join(folder, COUNTED), { recursive: true });
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`bench: ${messageOf(error)}\n${USAGE}`);
  process.exitCode = 2;
}
