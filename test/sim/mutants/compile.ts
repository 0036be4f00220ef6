/**
 * The engine with one deliberate bug: one text of its sources replaced while the compiler reads
 * them.
 *
 * Compiled with the settings of `asconfig.json` but less optimization: it is the same engine, step
 * by step, in a tenth of the time. The compiler runs in this process, as starting it takes longer
 * than what it does; that wants Node, under which it is fastest by far.
 */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { main as asc } from "assemblyscript/asc";
import type { Mutant } from "./list.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const CONFIG = "asconfig.json";
const OUTPUT = "engine.wasm";
const ARGUMENTS = [
  ...["wasm/index.ts", "wasm/trap.ts", "--config", CONFIG, "--target", "simd"],
  ...["--optimizeLevel", "1", "--outFile", OUTPUT],
];

/** The file's text with the bug. @throws {Error} where the text to replace is not there once */
export function mutate(mutant: Mutant, text: string): string {
  const parts = text.split(mutant.from);
  if (parts.length !== 2) {
    const count = parts.length - 1;
    throw new Error(`mend mutant "${mutant.name}": found ${count} times in wasm/${mutant.file}`);
  }
  return parts.join(mutant.to);
}

/** What is in the project's file that a mutant changes. */
export function sourceOf(mutant: Mutant): string {
  return readFileSync(resolve(ROOT, "wasm", mutant.file), "utf8");
}

function read(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null; // the compiler looks in several places
  }
}

/** Compiles the engine, as it is where no mutant is given. @throws {Error} where that fails */
export async function compileMutant(mutant?: Mutant): Promise<WebAssembly.Module> {
  let made: Uint8Array<ArrayBuffer> | undefined;
  const changed = mutant === undefined ? "" : resolve(ROOT, "wasm", mutant.file);
  const { error } = await asc(ARGUMENTS, {
    stderr: process.stderr,
    listFiles: () => [],
    readFile: (name, base) => {
      const path = resolve(ROOT, base, name);
      if (mutant !== undefined && path === changed) return mutate(mutant, sourceOf(mutant));
      const text = read(path);
      // The search for a fixed point of optimization is what takes longest.
      return name === CONFIG
        ? (text?.replace('"converge": true', '"converge": false') ?? null)
        : text;
    },
    writeFile: (name, contents) => {
      if (name === OUTPUT && typeof contents !== "string") made = new Uint8Array(contents);
    },
  });
  if (error !== null) throw error;
  if (made === undefined) throw new Error("the compiler wrote nothing");
  return new WebAssembly.Module(made);
}
