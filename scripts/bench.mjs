/**
 * `npm run bench`: installs and builds what is missing, then runs bench/main.ts under Bun, or
 * bench/NAME.ts with `--NAME`: browser, engine, floods, hooks, qemu, readme, shares, storm,
 * testpmd, watched, writers.
 */
import process from "node:process";
import { bootstrap } from "./bootstrap.mjs";
import { inRoot, main, run, tool } from "./shell.mjs";
import { systemPackages } from "./system-packages.mjs";

/** Arguments that stand for a program of their own, of the same name. */
const SPECIAL =
  "browser engine floods hooks qemu readme shares storm testpmd watched writers".split(" ");

/** What a program needs besides the packages that tests need, too. */
const DPDK = { "dpdk-dev": "/usr/bin/dpdk-testpmd" };
const PACKAGES = { readme: DPDK, testpmd: DPDK };

main(async () => {
  const args = process.argv.slice(2);
  const special = SPECIAL.find((name) => args.includes(`--${name}`)) ?? "main";
  await bootstrap({ build: true, system: special !== "engine" });
  if (special in PACKAGES) await systemPackages(PACKAGES[special]);
  const rest = args.filter((each) => !SPECIAL.some((name) => each === `--${name}`));
  const { code } = await run(tool("bun"), [inRoot(`bench/${special}.ts`), ...rest]);
  return code;
});
