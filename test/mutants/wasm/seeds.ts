/**
 * The first pinned seeds of the simulator on the checked engine, each told when it is done; ends
 * with 1 at the first violation.
 */
import process from "node:process";
import { simulateSeed } from "../../../src/lab/sim/simulate.ts";
import { PINNED_SEEDS } from "../../sim/pinned.ts";
import { checkedEngine } from "../../support/engine-binary.ts";

const COUNT = 40;

for (const seed of PINNED_SEEDS.slice(0, COUNT)) {
  const { violations } = simulateSeed(seed, { module: checkedEngine() });
  process.stdout.write(`${seed}: ${violations.join("; ")}\n`);
  if (violations.length > 0) process.exit(1);
}
