/**
 * The package as sources, for JSR: `build/jsr` has what the entries reach, at the places that it
 * has in the project, both engines beside `readEngine`, and `deno.json`, README and licence of
 * `packages/engine`.
 *
 * One thing is changed on the way: the numbers of the engine's contract are declared `i32` for
 * AssemblyScript, a type that `src/engine/as-types.d.ts` makes known to the project; a package may
 * not declare types for whoever uses it, so they become `number`.
 */
import fs from "node:fs";
import path from "node:path";
import { inRoot } from "./shell.mjs";

/** Entries of the package by name, and the sources they are made from. */
export const ENTRIES = {
  index: "src/network/index.ts",
  node: "src/network/node/index.ts",
  web: "src/network/web/index.ts",
  sim: "src/lab/sim/index.ts",
};
const TARGET = "build/jsr";
const PACKAGE = "packages/engine";
/** Where `readEngine` looks for the engines: beside itself. */
const READER = "src/network/node";
const SPECIFIER = /(?:from|import)\s*\(?\s*"(\.{1,2}\/[^"]+\.ts)"/g;

/** Sources that these reach, paths from the root. */
function reached(entries) {
  const seen = new Set(entries);
  // The list grows while it is read.
  for (const file of seen) {
    const text = fs.readFileSync(inRoot(file), "utf8");
    for (const [, specifier = ""] of text.matchAll(SPECIFIER)) {
      seen.add(path.join(path.dirname(file), specifier));
    }
  }
  return [...seen];
}

/** Writes `build/jsr` anew; its path. */
export function stageJsr() {
  const target = inRoot(TARGET);
  fs.rmSync(target, { recursive: true, force: true });
  const copy = (from, to) => {
    fs.mkdirSync(path.dirname(to), { recursive: true });
    fs.copyFileSync(from, to);
  };
  for (const file of reached(Object.values(ENTRIES))) {
    const to = path.join(target, file);
    copy(inRoot(file), to);
    if (!file.startsWith("wasm/")) continue;
    fs.writeFileSync(to, fs.readFileSync(to, "utf8").replaceAll(/: i32\b/g, ": number"));
  }
  for (const name of ["deno.json", "README.md"]) {
    copy(inRoot(PACKAGE, name), path.join(target, name));
  }
  copy(inRoot("LICENSE"), path.join(target, "LICENSE"));
  for (const name of ["engine.wasm", "engine-scalar.wasm"]) {
    copy(inRoot("dist", name), path.join(target, READER, name));
  }
  return target;
}
