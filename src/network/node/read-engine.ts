/** The engine's file, which the package has beside this code. */
import { readFile } from "node:fs/promises";
import { detectSimd } from "../../engine/module.ts";

export interface ReadEngineOptions {
  /** The build with SIMD; default: where this runtime executes it. */
  readonly simd?: boolean;
  /** Folder with `engine.wasm` and `engine-scalar.wasm`, other than the package's. */
  readonly folder?: URL;
}

/** Octets of the engine. Rejects where the file cannot be read. */
export async function readEngine(
  options: ReadEngineOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const { simd = detectSimd(), folder } = options;
  const url = simd
    ? new URL("./engine.wasm", folder ?? import.meta.url)
    : new URL("./engine-scalar.wasm", folder ?? import.meta.url);
  if (url.protocol === "file:") return new Uint8Array(await readFile(url));
  // A runtime that runs packages from where they are published.
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`cannot load ${url.href}: ${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
}
