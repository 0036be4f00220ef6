/**
 * One of the processes of `npm run soak`: seeds in a row, of one family after the other (arguments
 * like `random:1000`, how many), progress as lines of JSON for
 * `scripts/side-by-side.mjs`. At the first violation it says what, and how to see it again.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { FAMILIES } from "../../src/lab/sim/family.ts";
import { runSeeds, type SwarmOptions, Tally } from "../../src/lab/sim/swarm.ts";
import { checkedEngine } from "../support/engine-binary.ts";
import { reproduceCommand } from "./reproduce.ts";

const PROGRESS_MS = 1000;

function main(): number {
  const { values, positionals } = parseArgs({
    options: { from: { type: "string" }, step: { type: "string" } },
    allowPositionals: true,
  });
  const [from, step] = [values.from, values.step].map(Number);
  if (from === undefined || step === undefined) return 2;
  const tally = new Tally();
  const report = (): void => {
    const { seeds, frames, elapsed } = tally;
    process.stdout.write(`${JSON.stringify({ done: seeds, frames, elapsed })}\n`);
  };
  const module = checkedEngine();
  for (const each of positionals) {
    const [name, count] = each.split(":");
    const family = FAMILIES.find((known) => known === name) ?? "random";
    const options = { family, from, step, count: Number(count), run: { module } };
    if (!run(options, tally, report)) return 1;
  }
  report();
  return 0;
}

/** False at the first violation. */
function run(options: SwarmOptions, tally: Tally, report: () => void): boolean {
  let reported = performance.now();
  for (const verdict of runSeeds(options)) {
    tally.add(verdict);
    if (!verdict.ok) {
      const found = verdict.violations.map((violation) => `  ${violation}\n`).join("");
      const again = `see it again: ${reproduceCommand(verdict.seed, options.family)}\n`;
      process.stderr.write(`VIOLATION with seed ${verdict.seed}:\n${found}${again}`);
      report();
      return false;
    }
    if (performance.now() - reported < PROGRESS_MS) continue;
    reported = performance.now();
    report();
  }
  return true;
}

process.exitCode = main();
