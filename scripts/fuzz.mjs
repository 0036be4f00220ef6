/** `npm run fuzz -- ARGS`: the fuzzer under Bun, with everything it needs installed and built. */
import process from "node:process";
import { bootstrap } from "./bootstrap.mjs";
import { inRoot, main, run, tool } from "./shell.mjs";

main(async () => {
  await bootstrap({ tests: true });
  const { code } = await run(tool("bun"), [inRoot("test/fuzz/fuzz.ts"), ...process.argv.slice(2)]);
  return code;
});
