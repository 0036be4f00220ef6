/**
 * `npm run mutants -- ARGS`: deliberate bugs of the engine, each to be found by the simulator; with
 * `--typescript` changes of the product's TypeScript, each to be seen by a test.
 */
import process from "node:process";
import { bootstrap } from "./bootstrap.mjs";
import { inRoot, main, run } from "./shell.mjs";

main(async () => {
  const args = process.argv.slice(2);
  const isSampled = args.includes("--typescript");
  await bootstrap({ tests: isSampled });
  const script = isSampled ? "test/mutants/run.ts" : "test/sim/mutants/run.ts";
  return (await run(process.execPath, ["--import", "tsx", inRoot(script), ...args])).code;
});
