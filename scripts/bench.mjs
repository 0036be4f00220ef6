/** `npm run bench`: installs and builds what is missing, then runs bench/main.ts under Bun. */
import process from "node:process";
import { bootstrap } from "./bootstrap.mjs";
import { inRoot, main, run, tool } from "./shell.mjs";

main(async () => {
  await bootstrap({ build: true, system: true });
  const { code } = await run(tool("bun"), [inRoot("bench/main.ts"), ...process.argv.slice(2)]);
  return code;
});
