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
 * Sources stay where the program has them; `ENTRIES` (`package-jsr.mjs`) says which are entries.
 * JavaScript is written to be read and without comments: those are in the declarations. Nothing is
 * fetched.
 */
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import process from "node:process";
import * as esbuild from "esbuild";
import { buildEngines } from "./build.mjs";
import { install } from "./install.mjs";
import { checkPackage } from "./package-check.mjs";
import { ENTRIES, stageJsr } from "./package-jsr.mjs";
import { inRoot, isMain, main, must, tool } from "./shell.mjs";

const FOLDER = "packages/engine";
const ENGINES = ["engine.wasm", "engine-scalar.wasm"];
const DIST = `${FOLDER}/dist`;

/** What declares `Symbol.dispose`, for consumers whose `lib` has it not. */
const DISPOSABLE = '/// <reference lib="esnext.disposable" />\n';

/** Specifiers of other files in a declaration or module. */
const RELATIVE = /((?:from|import)\s*\(?\s*")(\.{1,2}\/[^"]+)(")/g;

/**
 * The simulator shares next to nothing with the other entries: it is a file of its own, so that
 * nothing of it is in theirs. But there is one class of errors.
 */
const ERRORS_OF_INDEX = {
  name: "errors-of-index",
  setup: ({ onResolve }) => {
    onResolve({ filter: /engine\/errors\.ts$/ }, () => ({ path: "./index.js", external: true }));
  },
};

/** The JavaScript: an ES module for each entry, for any runtime. */
async function bundle(folder) {
  const { sim, ...others } = ENTRIES;
  const options = {
    absWorkingDir: inRoot(),
    outdir: folder,
    bundle: true,
    splitting: true,
    format: "esm",
    // Built-in modules of Node are left out where nothing of them is used.
    platform: "node",
    // As `package.json` says: whatever Node 20 and browsers of its time take.
    target: ["es2022"],
    // Constants of the engine's contract where they are used: a bundler that comes later cannot.
    minifySyntax: true,
    packages: "external",
    legalComments: "none",
    charset: "utf8",
    logLevel: "warning",
  };
  await Promise.all([
    esbuild.build({ ...options, entryPoints: others }),
    esbuild.build({ ...options, entryPoints: { sim }, plugins: [ERRORS_OF_INDEX] }),
  ]);
}

/**
 * Declarations of what the entries name, with specifiers that every kind of resolution takes.
 * @param all where tsc writes those of all sources
 */
async function declare(folder, all) {
  await must(tool("tsc"), ["--project", FOLDER, "--outDir", all], { quiet: true });
  const wanted = Object.values(ENTRIES).map((file) => file.replace(/\.ts$/, ".d.ts"));
  const seen = new Set(wanted);
  // The list grows while it is read.
  for (const file of seen) {
    const text = fs.readFileSync(path.join(all, file), "utf8").replace(RELATIVE, (...found) => {
      const [, before, specifier, after] = found;
      const other = path.join(path.dirname(file), specifier.replace(/\.ts$/, ".d.ts"));
      seen.add(other);
      return `${before}${specifier.replace(/\.ts$/, ".js")}${after}`;
    });
    const to = path.join(folder, "types", file);
    fs.mkdirSync(path.dirname(to), { recursive: true });
    fs.writeFileSync(to, text.includes("Symbol.dispose") ? `${DISPOSABLE}${text}` : text);
  }
}

/** Writes all files that are made; nobody who comes at the same time reads half of them. */
async function prepare() {
  await install();
  await buildEngines();
  const folder = inRoot(FOLDER, `.dist-${process.pid}`);
  const all = inRoot(`build/package-types-${process.pid}`);
  fs.mkdirSync(folder, { recursive: true });
  try {
    await Promise.all([bundle(folder), declare(folder, all)]);
    for (const name of ENGINES) fs.copyFileSync(inRoot("dist", name), path.join(folder, name));
    fs.copyFileSync(inRoot("LICENSE"), inRoot(FOLDER, "LICENSE"));
    fs.rmSync(inRoot(DIST), { recursive: true, force: true });
    fs.renameSync(folder, inRoot(DIST));
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
    fs.rmSync(all, { recursive: true, force: true });
  }
}

/** The tarball of what was prepared, in `folder`; its path. */
function pack(folder) {
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
    stageJsr();
    return process.argv.includes("--check") ? checkPackage(tarball) : 0;
  });
}
