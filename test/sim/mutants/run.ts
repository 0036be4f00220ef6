/**
 * Breaks the engine or the loop in every way of `list.ts` and sees how soon the simulator says so:
 *
 *     npm run mutants [-- --only PATTERN] [--seeds N]
 *
 * Prints one line for each, and ends with 1 if one survives, or if the engine as it is compiled
 * here is not the one that was built.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { simulateSeed } from "../../../src/lab/sim/simulate.ts";
import { compileMutant, plant } from "./compile.ts";
import { hunt } from "./hunt.ts";
import { MUTANTS } from "./list.ts";

const SEEDS_DEFAULT = 500;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { only: { type: "string" }, seeds: { type: "string" } },
  });
  const seeds = Number(values.seeds ?? SEEDS_DEFAULT);
  if (!Number.isSafeInteger(seeds) || seeds < 1) {
    process.stderr.write(`give --seeds a number, not "${values.seeds}"\n`);
    return 2;
  }
  const chosen = MUTANTS.filter(({ name }) => new RegExp(values.only ?? "").test(name));
  if (chosen.length === 0) {
    process.stderr.write(
      `give --only a pattern that a mutant's name matches, not "${values.only}"\n`,
    );
    return 2;
  }
  if (simulateSeed(1).hash !== simulateSeed(1, { module: await compileMutant() }).hash) {
    process.stderr.write("build first: the engine without a bug is not the one that was built\n");
    return 1;
  }
  let survivors = 0;
  for (const mutant of chosen) {
    const found = hunt(mutant, await plant(mutant), 1, seeds);
    if (found === undefined) survivors += 1;
    const note =
      found !== undefined && found.seed !== mutant.seed ? ` (listed: ${mutant.seed})` : "";
    const seed = found === undefined ? "-" : String(found.seed);
    const verdict = found?.violation ?? `SURVIVES ${seeds} seeds`;
    process.stdout.write(`${mutant.name.padEnd(40)} ${seed.padStart(4)}  ${verdict}${note}\n`);
  }
  process.stdout.write(`${chosen.length - survivors} of ${chosen.length} found\n`);
  return survivors > 0 ? 1 : 0;
}

process.exitCode = await main();
