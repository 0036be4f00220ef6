/**
 * `npm run bench`: installs and builds what is missing, then runs bench/main.ts under Bun, or
 * bench/NAME.ts with `--NAME`: browser, embedded (under Node), engine, floods, hooks, instructions,
 * qemu, readme, shares, storm, testpmd, watched, writers.
 */
import process from "node:process";
import { bootstrap } from "./bootstrap.mjs";
import { inRoot, main, run, tool } from "./shell.mjs";
import { systemPackages } from "./system-packages.mjs";

/** Arguments that stand for a program of their own, of the same name. */
const SPECIAL = [
  ...["browser", "embedded", "engine", "floods", "hooks", "instructions", "qemu", "readme"],
  ...["shares", "storm", "testpmd", "watched", "writers"],
];
/** Those that need nothing of the system. */
const ENGINE_ALONE = new Set(["embedded", "engine", "instructions"]);

/** What a program needs besides the packages that tests need, too. */
const DPDK = { "dpdk-dev": "/usr/bin/dpdk-testpmd" };
const PACKAGES = {
  instructions: { valgrind: "/usr/bin/valgrind" },
  readme: DPDK,
  testpmd: DPDK,
};

main(async () => {
  const args = process.argv.slice(2);
  const special = SPECIAL.find((name) => args.includes(`--${name}`)) ?? "main";
  await bootstrap({ build: true, system: !ENGINE_ALONE.has(special) });
  if (special in PACKAGES) await systemPackages(PACKAGES[special]);
  const rest = args.filter((each) => !SPECIAL.some((name) => each === `--${name}`));
  const file = inRoot(`bench/${special}.ts`);
  const [runtime, ...first] =
    special === "embedded" ? [process.execPath, "--import", "tsx"] : [tool("bun")];
  const { code } = await run(runtime, [...first, file, ...rest]);
  return code;
});
