/**
 * `npm run bench`: installs and builds what is missing, then runs bench/main.ts under Bun, or
 * bench/hooks.ts with `--hooks`.
 */
import process from "node:process";
import { bootstrap } from "./bootstrap.mjs";
import { inRoot, main, run, tool } from "./shell.mjs";

const HOOKS = "--hooks";

main(async () => {
  await bootstrap({ build: true, system: true });
  const args = process.argv.slice(2);
  const file = args.includes(HOOKS) ? "bench/hooks.ts" : "bench/main.ts";
  const rest = args.filter((each) => each !== HOOKS);
  const { code } = await run(tool("bun"), [inRoot(file), ...rest]);
  return code;
});
