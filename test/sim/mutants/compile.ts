/**
 * The engine, the loop or the vhost-user link with one deliberate bug: one text of the sources
 * replaced while the compiler reads them, or in a copy of the loop's module or the link's folder.
 *
 * Compiled with the settings of `asconfig.json` but less optimization: it is the same engine, step
 * by step, in a tenth of the time. The compiler runs in this process, as starting it takes longer
 * than what it does; that wants Node, under which it is fastest by far.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";
import { main as asc } from "assemblyscript/asc";
import type { CardCode } from "../../../src/lab/sim/card/card.ts";
import type { SimulateOptions } from "../../../src/lab/sim/simulate.ts";
import type { Loop } from "../../../src/loop/loop.ts";
import { isAsserted } from "./list.ts";
import type { Mutant } from "./mutant.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const LOOP = "src/loop/loop.ts";
const CARD = "src/link/vhost-user";
const CONFIG = "asconfig.json";
const OUTPUT = "engine.wasm";
const ARGUMENTS = [
  ...["wasm/index.ts", "wasm/trap.ts", "--config", CONFIG],
  ...["--optimizeLevel", "1", "--outFile", OUTPUT],
];

/** The file's text with the bug. @throws {Error} where the text to replace is not there once */
export function mutate(mutant: Mutant, text: string): string {
  const parts = text.split(mutant.from);
  if (parts.length !== 2) {
    const count = parts.length - 1;
    throw new Error(`mend mutant "${mutant.name}": found ${count} times in ${fileOf(mutant)}`);
  }
  return parts.join(mutant.to);
}

/** Path of the file that a mutant changes, from the root of the project. */
function fileOf({ file }: Mutant): string {
  return file.startsWith("src/") ? file : `wasm/${file}`;
}

/** What is in that file. */
export function sourceOf(mutant: Mutant): string {
  return readFileSync(resolve(ROOT, fileOf(mutant)), "utf8");
}

/** What to run so that the bug is there. @throws {Error} where it cannot be made */
export async function plant(mutant: Mutant): Promise<SimulateOptions> {
  if (mutant.file === LOOP) return { observers: { loop: await loadLoop(mutant) } };
  if (mutant.file.startsWith(`${CARD}/`)) return { observers: { card: await loadCard(mutant) } };
  return { module: await compileMutant(mutant) };
}

/** The loop's module from a file elsewhere; what it imports is where it was. */
async function loadLoop(mutant: Mutant): Promise<typeof Loop> {
  const module = await load<{ readonly Loop: typeof Loop }>(mutant, [LOOP]);
  return module.Loop;
}

/** The same for all that the card runs: the files import each other. */
async function loadCard(mutant: Mutant): Promise<CardCode> {
  const folder = resolve(ROOT, CARD);
  const files = readdirSync(folder).map((name) => join(CARD, name));
  const parts = ["features", "from-guest", "queue", "regions", "to-guest"];
  return load<CardCode>(
    mutant,
    files,
    parts.map((name) => `export * from "./${name}.mts";`).join(""),
  );
}

/** Imports copies of files of one folder; @param text of the module, where it is none of them */
async function load<T>(mutant: Mutant, files: readonly string[], text?: string): Promise<T> {
  const place = mkdtempSync(join(tmpdir(), "mutant-"));
  const copy = (file: string): string => join(place, basename(file).replace(/ts$/, "mts"));
  try {
    for (const file of files) {
      const source = readFileSync(resolve(ROOT, file), "utf8");
      const made = file === mutant.file ? mutate(mutant, source) : source;
      writeFileSync(copy(file), redirect(made, file, files.length > 1));
    }
    const main = text === undefined ? copy(mutant.file) : join(place, "main.mts");
    if (text !== undefined) writeFileSync(main, text);
    const module: T = await import(pathToFileURL(main).href);
    return module;
  } finally {
    rmSync(place, { recursive: true });
  }
}

/** Has imports lead where they led; @param hasNeighbours those of its folder are copied as well */
function redirect(text: string, file: string, hasNeighbours: boolean): string {
  const folder = dirname(resolve(ROOT, file));
  return text.replace(
    /(from ")(\.[^"]+)(";)/g,
    (_, before: string, path: string, after: string) => {
      const isNear = hasNeighbours && path.startsWith("./");
      const place = isNear ? path.replace(/ts$/, "mts") : pathToFileURL(resolve(folder, path)).href;
      return `${before}${place}${after}`;
    },
  );
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
  const target = mutant !== undefined && isAsserted(mutant) ? "checked" : "simd";
  let made: Uint8Array<ArrayBuffer> | undefined;
  const changed = mutant === undefined ? "" : resolve(ROOT, fileOf(mutant));
  const { error } = await asc([...ARGUMENTS, "--target", target], {
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
