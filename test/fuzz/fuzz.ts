/**
 * One of the processes of `npm run fuzz`: every `--step`-th epoch from `--epoch` on, until
 * `--frames` frames are done or `--minutes` are over. Progress and coverage go out as lines of JSON
 * for `scripts/side-by-side.mjs`; a failure as text, with the command that repeats it, and exit
 * status 1.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { Coverage } from "./coverage.ts";
import { EPOCH_FRAMES, FuzzFailure, fuzzEpoch } from "./fuzzer.ts";

const PROGRESS_MS = 1000;

const number = { type: "string", default: "0" } as const;

function fail(seed: number, error: unknown): number {
  if (!(error instanceof FuzzFailure)) throw error;
  const stack = error.cause instanceof Error ? `\n${error.cause.stack ?? ""}` : "";
  const repeat = `--seed ${seed} --epoch ${error.epoch} --frames ${EPOCH_FRAMES} --jobs 1`;
  process.stderr.write(`FAILED: ${error.message}${stack}\nrepeat it: npm run fuzz -- ${repeat}\n`);
  return 1;
}

function main(): number {
  const options = { frames: number, seed: number, minutes: number, epoch: number, step: number };
  const { values } = parseArgs({ options });
  const [frames, seed, minutes] = [values.frames, values.seed, values.minutes].map(Number);
  if (frames === undefined || seed === undefined || minutes === undefined) return 2;
  const end = performance.now() + minutes * 60_000;
  const coverage = new Coverage();
  const report = (): void => void process.stdout.write(`${JSON.stringify(coverage)}\n`);
  let reported = performance.now();
  let epoch = Number(values.epoch);
  while (coverage.done < frames && performance.now() < end) {
    try {
      coverage.add(fuzzEpoch(seed, epoch, Math.min(EPOCH_FRAMES, frames - coverage.done)));
    } catch (error) {
      report();
      return fail(seed, error);
    }
    epoch += Number(values.step);
    if (performance.now() - reported < PROGRESS_MS) continue;
    reported = performance.now();
    report();
  }
  report();
  return 0;
}

process.exitCode = main();
