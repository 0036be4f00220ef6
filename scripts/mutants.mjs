/**
 * `npm run mutants -- ARGS`: deliberate bugs of the engine, each to be found by the simulator; with
 * `--typescript` changes of the product's TypeScript, with `--wasm` changes of the engine's
 * instructions, each to be seen by a test.
 */
import process from "node:process";
import { bootstrap } from "./bootstrap.mjs";
import { inRoot, main, run } from "./shell.mjs";

const KINDS = {
  "--typescript": { script: "test/mutants/run.ts", wanted: { tests: true } },
  "--wasm": { script: "test/mutants/wasm/run.ts", wanted: { mutants: true } },
};

main(async () => {
  const args = process.argv.slice(2);
  const kind = Object.keys(KINDS).find((name) => args.includes(name));
  const { script, wanted } = KINDS[kind] ?? { script: "test/sim/mutants/run.ts", wanted: {} };
  await bootstrap(wanted);
  return (await run(process.execPath, ["--import", "tsx", inRoot(script), ...args])).code;
});
