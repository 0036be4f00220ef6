/**
 * One of the processes of `npm run fuzz -- --vhost`: states of the rings, or sequences of control
 * messages, from one seed. A fault kills it, or ends it with status 1, and
 * `scripts/fuzz-vhost.mjs` says how it is seen again. What was reached goes out as a line of JSON.
 *
 *     bun test/fuzz/vhost/child.ts states|sequences SEED COUNT
 */
import process from "node:process";
import { loadLibc } from "../../../src/sys/libc.ts";
import { guarded } from "./guarded.ts";
import { holdings } from "./leftovers.ts";
import { Scribbler } from "./scribbler.ts";
import { fuzzSequences, SEQUENCES_OF_A_BATCH } from "./sequences.ts";
import { fuzzStates } from "./states.ts";

/** One stage of so many has a guest that rewrites its rings meanwhile. */
const SCRIBBLED = 4;

const [kind = "", ...numbers] = process.argv.slice(2);
const [seed = 0, count = 0] = numbers.map(Number);
const sys = guarded(await loadLibc());

if (kind === "states") {
  const seen = { states: 0, broken: 0, fromGuest: 0, toGuest: 0 };
  const scribbler = new Scribbler();
  fuzzStates(sys, seed, seen, undefined);
  const before = holdings();
  for (let stage = 1; seen.states < count; stage += 1) {
    fuzzStates(sys, seed + stage, seen, stage % SCRIBBLED === 0 ? scribbler : undefined);
  }
  scribbler.close();
  const after = holdings();
  if (after.mappings !== before.mappings) throw new Error("mappings are left behind");
  if (after.descriptors > before.descriptors) throw new Error("descriptors are left behind");
  process.stdout.write(`${JSON.stringify(seen)}\n`);
} else {
  const seen = { sequences: 0, messages: 0, lost: 0 };
  fuzzSequences(sys, seed, 1, { ...seen });
  for (let batch = 1; seen.sequences < count; batch += 1) {
    fuzzSequences(sys, seed + batch, Math.min(SEQUENCES_OF_A_BATCH, count - seen.sequences), seen);
  }
  process.stdout.write(`${JSON.stringify(seen)}\n`);
}
process.exit(0);
