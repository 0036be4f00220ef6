/**
 * `npm run bench`: installs and builds what is missing, then runs bench/main.ts under Bun, or
 * bench/hooks.ts with `--hooks`, or bench/qemu.ts with `--qemu`.
 */
import process from "node:process";
import { bootstrap } from "./bootstrap.mjs";
import { inRoot, main, run, tool } from "./shell.mjs";

const HOOKS = "--hooks";
const QEMU = "--qemu";

main(async () => {
  await bootstrap({ build: true, system: true });
  const args = process.argv.slice(2);
  const special = args.includes(HOOKS) ? "hooks" : args.includes(QEMU) ? "qemu" : "main";
  const rest = args.filter((each) => each !== HOOKS && each !== QEMU);
  const { code } = await run(tool("bun"), [inRoot(`bench/${special}.ts`), ...rest]);
  return code;
});
