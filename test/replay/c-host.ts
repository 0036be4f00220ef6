/**
 * The C host of `examples/c-host`: built once for each engine into `build/c-host`, as its README
 * says, and run.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { engineBytes } from "../../src/assets.ts";
import { hashOctets } from "../../src/lib/hash64.ts";
import { which } from "../support/e2e/shell.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const BUILDS = join(ROOT, "build/c-host");
const RUNTIME = "/usr/share/wabt/wasm2c/wasm-rt-impl.c";
/** Several times what it needs on one core that others use as well. */
const BUILD_LIMIT_MS = 120_000;
/** What runs longer has hung. */
const RUN_LIMIT_MS = 30_000;

/** Why it cannot be built here, or false. */
export function lacksCHost(): string | false {
  for (const name of ["cc", "make", "wasm2c"]) {
    if (which(name) === undefined) return `needs ${name} (Debian packages gcc, make, wabt)`;
  }
  return existsSync(RUNTIME) ? false : "needs the runtime of wasm2c (Debian package wabt)";
}

export interface CHost {
  readonly plain: string;
  /** Compiled with the sanitizers for addresses and undefined behaviour. */
  readonly sanitized: string;
}

/** Builds what is not there; what belongs to other engines goes. */
export function buildCHost(): CHost {
  const build = hashOctets(engineBytes(false));
  mkdirSync(BUILDS, { recursive: true });
  for (const name of readdirSync(BUILDS)) {
    if (name !== build) rmSync(join(BUILDS, name), { recursive: true, force: true });
  }
  const folder = join(BUILDS, build);
  // To optimize the translated engine twice as well takes twice as long, and tests need it once.
  const options = [`-j${cpus().length}`, `BUILD=${folder}`, "OPTIMIZE=-O1"];
  const args = ["-C", join(ROOT, "examples/c-host"), ...options, "replay", "sanitized"];
  const made = spawnSync("make", args, { encoding: "utf8", timeout: BUILD_LIMIT_MS });
  if (made.status !== 0) throw new Error(`make failed: ${made.error?.message ?? made.stderr}`);
  return { plain: join(folder, "replay"), sanitized: join(folder, "replay-sanitized") };
}

export interface CHostRun {
  /** Exit code; null = a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one of them with arguments. */
export function runCHost(program: string, ...args: readonly string[]): Promise<CHostRun> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      timeout: RUN_LIMIT_MS,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let [stdout, stderr] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stdout, stderr }));
  });
}
