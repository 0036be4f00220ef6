/** `npm run mutants -- ARGS`: deliberate bugs of the engine, each to be found by the simulator. */
import process from "node:process";
import { bootstrap } from "./bootstrap.mjs";
import { inRoot, main, run } from "./shell.mjs";

main(async () => {
  await bootstrap();
  const args = ["--import", "tsx", inRoot("test/sim/mutants/run.ts"), ...process.argv.slice(2)];
  return (await run(process.execPath, args)).code;
});
