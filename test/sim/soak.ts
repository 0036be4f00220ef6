/**
 * One of the processes of `npm run soak`: seeds in a row, progress as lines of JSON for
 * `scripts/side-by-side.mjs`. At the first violation it says what, and how to see it again.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { reproduceCommand, runSeeds, Tally } from "../../src/sim/swarm.ts";

const PROGRESS_MS = 1000;

function main(): number {
  const { values } = parseArgs({
    options: { from: { type: "string" }, count: { type: "string" }, step: { type: "string" } },
  });
  const [from, count, step] = [values.from, values.count, values.step].map(Number);
  if (from === undefined || count === undefined || step === undefined) return 2;
  const tally = new Tally();
  const report = (): void => {
    const { seeds, frames, elapsed } = tally;
    process.stdout.write(`${JSON.stringify({ done: seeds, frames, elapsed })}\n`);
  };
  let reported = performance.now();
  for (const verdict of runSeeds({ from, count, step })) {
    tally.add(verdict);
    if (!verdict.ok) {
      const found = verdict.violations.map((violation) => `  ${violation}\n`).join("");
      const again = `see it again: ${reproduceCommand(verdict.seed)}\n`;
      process.stderr.write(`VIOLATION with seed ${verdict.seed}:\n${found}${again}`);
      report();
      return 1;
    }
    if (performance.now() - reported < PROGRESS_MS) continue;
    reported = performance.now();
    report();
  }
  report();
  return 0;
}

process.exitCode = main();
