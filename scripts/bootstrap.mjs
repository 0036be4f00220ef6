/**
 * Makes a fresh clone ready: npm packages, built files, system packages. Idempotent, and quick when
 * there is nothing to do, so every script calls it first.
 */
import { build } from "./build.mjs";
import { install } from "./install.mjs";
import { isMain, main } from "./shell.mjs";
import { testPackages } from "./system-packages.mjs";

/** What the work at hand needs; each part does nothing when it is already there. */
export async function bootstrap(wanted = {}) {
  const { build: wantBuild = true, system = false, ...built } = wanted;
  await install();
  if (wantBuild) await build(built);
  if (system) await testPackages();
}

if (isMain(import.meta.filename)) main(() => bootstrap({ system: true, tests: true }));
