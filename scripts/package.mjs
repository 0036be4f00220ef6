/**
 * The engine as a package: what `packages/engine` holds beside its manifest, and its tarball.
 *
 *     npm run package                  build/slirp-engine-VERSION.tgz
 *     npm run package -- --check       and what publint, @arethetypeswrong/core and JSR say of it
 *     npm run package -- --prepare     only the files, for `npm pack ./packages/engine`
 *
 *     packages/engine/dist/NAME.js         an entry, with what several of them share in chunk-*.js
 *     packages/engine/dist/types/…         declarations, one for each source
 *     packages/engine/dist/*.wasm          the two builds of the engine
 *     packages/engine/LICENSE              a copy
 *     build/jsr/                           the same as sources, for JSR
 *
 * Sources stay where the program has them; `ENTRIES` says which are entries. JavaScript is written
 * to be read and without comments: those are in the declarations. Nothing is fetched.
 */
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import process from "node:process";
import * as esbuild from "esbuild";
import { build } from "./build.mjs";
import { install } from "./install.mjs";
import { checkPackage } from "./package-check.mjs";
import { stageJsr } from "./package-jsr.mjs";
import { inRoot, isMain, main, must, tool } from "./shell.mjs";

export const FOLDER = "packages/engine";
export const ENGINES = ["engine.wasm", "engine-scalar.wasm"];
/** Entries of the package by name, and the sources they are made from. */
export const ENTRIES = {
  index: "src/network/index.ts",
  sim: "src/lab/sim/index.ts",
};
const DIST = `${FOLDER}/dist`;
const TYPES = "build/package/types";

/** Specifiers of other files in a declaration or module. */
const RELATIVE = /((?:from|import)\s*\(?\s*")(\.{1,2}\/[^"]+)(")/g;

/** The JavaScript: an ES module for each entry, for any runtime. */
async function bundle(folder) {
  await esbuild.build({
    entryPoints: Object.fromEntries(
      Object.entries(ENTRIES).map(([name, file]) => [name, inRoot(file)]),
    ),
    outdir: folder,
    bundle: true,
    splitting: true,
    format: "esm",
    // Built-in modules of Node are left out where nothing of them is used.
    platform: "node",
    // As `package.json` says: whatever Node 20 and browsers of its time take.
    target: ["es2022"],
    packages: "external",
    legalComments: "none",
    charset: "utf8",
    logLevel: "warning",
  });
}

/** Declarations of what the entries name, with specifiers that every kind of resolution takes. */
async function declare(folder) {
  fs.rmSync(inRoot(TYPES), { recursive: true, force: true });
  await must(tool("tsc"), ["--project", FOLDER], { quiet: true });
  const wanted = Object.values(ENTRIES).map((file) => file.replace(/\.ts$/, ".d.ts"));
  const seen = new Set(wanted);
  // The list grows while it is read.
  for (const file of seen) {
    const text = fs.readFileSync(inRoot(TYPES, file), "utf8").replace(RELATIVE, (...found) => {
      const [, before, specifier, after] = found;
      const other = path.join(path.dirname(file), specifier.replace(/\.ts$/, ".d.ts"));
      seen.add(other);
      return `${before}${specifier.replace(/\.ts$/, ".js")}${after}`;
    });
    const to = path.join(folder, "types", file);
    fs.mkdirSync(path.dirname(to), { recursive: true });
    fs.writeFileSync(to, text);
  }
}

/** Writes all files that are made. */
export async function prepare() {
  await install();
  await build();
  const folder = inRoot(DIST);
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  await Promise.all([bundle(folder), declare(folder)]);
  for (const name of ENGINES) fs.copyFileSync(inRoot("dist", name), path.join(folder, name));
  fs.copyFileSync(inRoot("LICENSE"), inRoot(FOLDER, "LICENSE"));
}

/** The tarball of what was prepared, in `folder`; its path. */
export function pack(folder) {
  fs.mkdirSync(folder, { recursive: true });
  const args = ["pack", inRoot(FOLDER), "--json", "--ignore-scripts", "--pack-destination", folder];
  const said = JSON.parse(execFileSync("npm", args, { encoding: "utf8" }));
  const [{ filename }] = Object.values(said);
  return path.join(folder, filename);
}

if (isMain(import.meta.filename)) {
  main(async () => {
    await prepare();
    if (process.argv.includes("--prepare")) return 0;
    const tarball = pack(inRoot("build"));
    process.stderr.write(`package: ${path.relative(inRoot(), tarball)}\n`);
    await stageJsr(Object.values(ENTRIES));
    return process.argv.includes("--check") ? checkPackage(tarball) : 0;
  });
}
