/**
 * Makes a fresh clone ready: npm packages, built files, system packages. Idempotent, and quick when
 * there is nothing to do, so every script calls it first.
 */
import { createHash } from "node:crypto";
import fs from "node:fs";
import { build } from "./build.mjs";
import { inRoot, isMain, main, must, run, tool } from "./shell.mjs";
import { systemPackages } from "./system-packages.mjs";

const STAMP = inRoot("node_modules/.installed-lock");

/** Packages whose program exists only after their install script ran, which npm may withhold. */
const INSTALLERS = {
  bun: "node_modules/bun/install.js",
  deno: "node_modules/deno/install.cjs",
  esbuild: "node_modules/esbuild/install.js",
};

function lockHash() {
  return createHash("sha256")
    .update(fs.readFileSync(inRoot("package-lock.json")))
    .digest("hex");
}

function installed() {
  return fs.existsSync(STAMP) && fs.readFileSync(STAMP, "utf8") === lockHash();
}

/** `npm ci` when node_modules is missing or was made from another lockfile. */
async function install() {
  if (installed()) return;
  process.stderr.write("install: npm ci\n");
  // The tests and the build need the development packages whatever NODE_ENV says.
  await must("npm", ["ci", "--include=dev", "--no-audit", "--no-fund"]);
  for (const [name, script] of Object.entries(INSTALLERS)) {
    const { code } = await run(tool(name), ["--version"], { quiet: true });
    if (code !== 0) await must(process.execPath, [inRoot(script)]);
    await must(tool(name), ["--version"], { quiet: true });
  }
  fs.writeFileSync(STAMP, lockHash());
}

/** What the work at hand needs; each part does nothing when it is already there. */
export async function bootstrap(wanted = {}) {
  const { build: wantBuild = true, system = false, tests = false, checked = false } = wanted;
  await install();
  if (wantBuild) await build({ tests, checked });
  if (system) await systemPackages();
}

if (isMain(import.meta.filename)) main(() => bootstrap({ system: true, tests: true }));
