/**
 * `npm run bench`: installs and builds what is missing, then runs bench/main.ts under Bun, or
 * bench/hooks.ts with `--hooks`, bench/qemu.ts with `--qemu`, or bench/floods.ts with `--floods`.
 */
import process from "node:process";
import { bootstrap } from "./bootstrap.mjs";
import { inRoot, main, run, tool } from "./shell.mjs";

const SPECIAL = ["hooks", "qemu", "floods"];

main(async () => {
  await bootstrap({ build: true, system: true });
  const args = process.argv.slice(2);
  const special = SPECIAL.find((name) => args.includes(`--${name}`)) ?? "main";
  const rest = args.filter((each) => !SPECIAL.includes(each.replace(/^--/, "")));
  const { code } = await run(tool("bun"), [inRoot(`bench/${special}.ts`), ...rest]);
  return code;
});
