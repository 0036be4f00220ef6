/**
 * The fuzzer's command line: npm run fuzz -- [--frames N] [--seed S] [--minutes M] [--epoch E].
 * Ends after N frames or M minutes, whichever comes first; prints progress, and on failure the
 * command that repeats it, with exit status 1.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { DROP_NAMES, STAT_NAMES } from "../../src/engine/stats.ts";
import { EPOCH_FRAMES, FuzzFailure, fuzzEpoch } from "./fuzzer.ts";

const FRAMES_DEFAULT = 10_000_000;
const MINUTES_DEFAULT = 10;
const PROGRESS_MS = 5000;

function readNumber(name: string, text: string | undefined, fallback: number): number {
  const value = text === undefined ? fallback : Number(text);
  if (!Number.isFinite(value) || value < 0) {
    process.stderr.write(`give --${name} a number, not "${text}"\n`);
    process.exit(2);
  }
  return value;
}

function main(): number {
  const { values } = parseArgs({
    options: {
      frames: { type: "string" },
      seed: { type: "string" },
      minutes: { type: "string" },
      epoch: { type: "string" },
      verbose: { type: "boolean" },
    },
  });
  const frames = readNumber("frames", values.frames, FRAMES_DEFAULT);
  const minutes = readNumber("minutes", values.minutes, MINUTES_DEFAULT);
  const seed = readNumber("seed", values.seed, Date.now() % 2 ** 32);
  const first = readNumber("epoch", values.epoch, 0);
  const begin = performance.now();
  const end = begin + minutes * 60_000;
  process.stdout.write(`seed ${seed}\n`);
  let done = 0;
  let replies = 0;
  let decoded = 0;
  let operations = 0;
  let reported = begin;
  const counters = new Map<string, number>();
  const names = [...STAT_NAMES, ...DROP_NAMES];
  const report = (): void => {
    const seconds = (performance.now() - begin) / 1000;
    const rate = Math.round(done / Math.max(seconds, 0.001));
    process.stdout.write(
      `${done} frames in ${seconds.toFixed(1)} s (${rate}/s), ${operations} operations, ` +
        `${replies} frames for the guest, ${decoded} of them decoded\n`,
    );
  };
  try {
    for (let epoch = first; done < frames && performance.now() < end; epoch += 1) {
      const result = fuzzEpoch(seed, epoch, Math.min(EPOCH_FRAMES, frames - done));
      done += result.frames;
      replies += result.replies;
      decoded += result.decoded;
      operations += result.operations;
      names.forEach((name, i) => {
        counters.set(name, (counters.get(name) ?? 0) + (result.counters[i] ?? 0));
      });
      if (performance.now() - reported > PROGRESS_MS) {
        reported = performance.now();
        report();
      }
    }
  } catch (error) {
    if (!(error instanceof FuzzFailure)) throw error;
    report();
    const stack = error.cause instanceof Error ? `\n${error.cause.stack ?? ""}` : "";
    const repeat = `--seed ${seed} --epoch ${error.epoch} --frames ${EPOCH_FRAMES}`;
    process.stderr.write(
      `FAILED: ${error.message}${stack}\nrepeat it: npm run fuzz -- ${repeat}\n`,
    );
    return 1;
  }
  report();
  if (values.verbose === true) {
    for (const [name, value] of counters) process.stdout.write(`${name} ${value}\n`);
  }
  return 0;
}

process.exitCode = main();
