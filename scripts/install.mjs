/** Installs the npm packages of the lockfile, if they are not there already. */
import { createHash } from "node:crypto";
import fs from "node:fs";
import process from "node:process";
import { inRoot, must, run, tool } from "./shell.mjs";

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
export async function install() {
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
