/**
 * The engine with one deliberate bug: its sources in a temporary folder, one text replaced,
 * compiled.
 *
 * Compiled with the flags of `asconfig.json` but less optimization: it is the same engine, step by
 * step, in a fifth of the time, and the time of a run is the simulator's anyway.
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { Mutant } from "./list.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const ASC = join(ROOT, "node_modules/assemblyscript/bin/asc.js");
const FLAGS = [
  ...["--target", "simd", "--optimizeLevel", "1", "--shrinkLevel", "0"],
  ...["--config", "asconfig.json", "--baseDir", "."],
];

/** The file's text with the bug. @throws {Error} where the text to replace is not there once */
export function mutate(mutant: Mutant, text: string): string {
  const parts = text.split(mutant.from);
  if (mutant.from === "" || parts.length !== 2) {
    const count = mutant.from === "" ? 0 : parts.length - 1;
    throw new Error(`mend mutant "${mutant.name}": found ${count} times in wasm/${mutant.file}`);
  }
  return parts.join(mutant.to);
}

/** What is in the project's file that a mutant changes. */
export function sourceOf(mutant: Mutant): string {
  return readFileSync(join(ROOT, "wasm", mutant.file), "utf8");
}

/** Compiles the engine, as it is where no mutant is given. */
export function compileMutant(mutant?: Mutant): WebAssembly.Module {
  const folder = mkdtempSync(join(tmpdir(), "slirp-mutant-"));
  try {
    cpSync(join(ROOT, "wasm"), join(folder, "wasm"), { recursive: true });
    writeConfig(folder);
    if (mutant !== undefined) {
      writeFileSync(join(folder, "wasm", mutant.file), mutate(mutant, sourceOf(mutant)));
    }
    const runtime = "bun" in process.versions || "deno" in process.versions;
    const node = runtime ? "node" : process.execPath;
    const args = [ASC, "wasm/index.ts", "wasm/trap.ts", ...FLAGS, "--outFile", "engine.wasm"];
    execFileSync(node, args, { cwd: folder, stdio: ["ignore", "ignore", "inherit"] });
    return new WebAssembly.Module(new Uint8Array(readFileSync(join(folder, "engine.wasm"))));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The build's configuration without the search for a fixed point of optimization. */
function writeConfig(folder: string): void {
  const text = readFileSync(join(ROOT, "asconfig.json"), "utf8");
  writeFileSync(
    join(folder, "asconfig.json"),
    text.replace('"converge": true', '"converge": false'),
  );
}
