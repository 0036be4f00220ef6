/**
 * `npm run fuzz -- [--frames N] [--minutes M] [--seed S] [--jobs J] [--epoch E] [--verbose]`: the
 * fuzzer under Bun, with everything it needs installed and built. Ends after N frames or M minutes,
 * whichever comes first, and says which drop reasons and states were reached and which never. With
 * `--vhost` the vhost-user link instead of the engine (`fuzz-vhost.mjs`).
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { bootstrap } from "./bootstrap.mjs";
import { fuzzVhost, VHOST_OPTIONS } from "./fuzz-vhost.mjs";
import { inRoot, main, tool } from "./shell.mjs";
import { sideBySide } from "./side-by-side.mjs";

const FRAMES = 10_000_000;
const MINUTES = 10;
/** With `--frames` alone, time is no limit. */
const MINUTES_MAX = 7 * 24 * 60;

function read(name, text, fallback) {
  const value = text === undefined ? fallback : Number(text);
  if (Number.isFinite(value) && value >= 0) return value;
  throw new Error(`give --${name} a number, not "${text}"`);
}

function list(title, counts, verbose) {
  const entries = Object.entries(counts);
  const never = entries.filter(([, count]) => count === 0).map(([name]) => name);
  const told = never.length > 0 ? `; never: ${never.join(" ")}` : "";
  process.stdout.write(`${title}: ${entries.length - never.length} of ${entries.length}${told}\n`);
  if (!verbose) return;
  for (const [name, count] of entries) process.stdout.write(`  ${name} ${count}\n`);
}

main(async () => {
  const text = { type: "string" };
  const { values } = parseArgs({
    options: {
      ...{ frames: text, minutes: text, seed: text, jobs: text, epoch: text },
      ...{ states: text, sequences: text },
      vhost: { type: "boolean", default: false },
      verbose: { type: "boolean", default: false },
    },
  });
  const seed = read("seed", values.seed, Date.now() % 2 ** 32);
  if (values.vhost) {
    const states = read("states", values.states, VHOST_OPTIONS.states);
    const sequences = read("sequences", values.sequences, VHOST_OPTIONS.sequences);
    return fuzzVhost({ states, sequences, seed });
  }
  const frames = read("frames", values.frames, FRAMES);
  const fallback = values.frames === undefined ? MINUTES : MINUTES_MAX;
  const minutes = read("minutes", values.minutes, fallback);
  const jobs = Math.max(1, Math.floor(read("jobs", values.jobs, 1)));
  const epoch = read("epoch", values.epoch, 0);
  await bootstrap({ tests: true });
  process.stdout.write(`seed ${seed}\n`);
  const commands = Array.from({ length: jobs }, (_, i) => {
    const own = { frames: Math.ceil(frames / jobs), minutes, seed, epoch: epoch + i, step: jobs };
    const args = Object.entries(own).flatMap(([name, value]) => [`--${name}`, String(value)]);
    return [tool("bun"), inRoot("test/fuzz/fuzz.ts"), ...args];
  });
  const summary = ({ replies = 0, decoded = 0, operations = 0, stats, drops, states }) => {
    if (stats === undefined) return; // failed before it could tell
    process.stdout.write(
      `${operations} operations, ${replies} frames for the guest, ${decoded} of them decoded\n`,
    );
    list("drop reasons reached", drops, values.verbose);
    list("TCP states reached", states, values.verbose);
    list("counters moved", stats, values.verbose);
  };
  const limit_ms = minutes * 60_000;
  return sideBySide(commands, { what: "frames", total: frames, limit_ms, summary });
});
