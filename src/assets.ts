/**
 * Where the files beside the code are: the engine modules, the entry of the worker thread, and what
 * the pages carry.
 *
 * From source they are looked up relative to this file, in every runtime. The single binary of
 * `bun build --compile` carries them in its own read-only file system under `EMBEDDED_ROOT`, laid
 * out like the project because `scripts/build.mjs` passes `--root .`; its workers are JavaScript.
 */
import { readFileSync } from "node:fs";

const EMBEDDED_ROOT = "file:///$bunfs/root/";

const embedded = import.meta.url.startsWith(EMBEDDED_ROOT);
const root = embedded ? EMBEDDED_ROOT : new URL("../", import.meta.url);

/**
 * The compiled engine: with 128-bit SIMD, or the scalar build for hosts without it.
 *
 * @throws {Error} when the engine was not built
 */
export function engineBytes(simd: boolean): Uint8Array<ArrayBuffer> {
  return new Uint8Array(builtFile(`engine${simd ? "" : "-scalar"}.wasm`));
}

/** What a page carries beside its HTML: uPlot and what draws with it, and the look of both. */
export interface PageParts {
  readonly script: string;
  readonly style: string;
}

/**
 * Of the simulator's report or of the live page.
 *
 * @throws {Error} when it was not built
 */
export function pageParts(name: "report" | "ui"): PageParts {
  const read = (ending: string): string => builtFile(`${name}.${ending}.txt`).toString("utf8");
  return { script: read("js"), style: read("css") };
}

function builtFile(name: string): Buffer {
  const file = new URL(`dist/${name}`, root);
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new Error(`Run "npm run build" first: cannot read "${file.pathname}"`, { cause });
  }
}

/** What `new Worker(…, { type: "module" })` takes to start the loop's thread. */
export function workerUrl(): URL {
  return new URL(`src/binding/worker.${embedded ? "js" : "ts"}`, root);
}
