/**
 * Tries mutants of the engine: several test files run in one process, and the first test that fails
 * ends it.
 */
import { dirname } from "node:path";
import type { Arena, Outcome } from "../arena.ts";
import { judgesOf, type Nearness, type References } from "../choose-tests.ts";
import type { Verdict } from "../judge.ts";
import type { WasmMutant } from "./engine.ts";

const BUN = "node_modules/.bin/bun";
const SIMULATOR = "test/mutants/wasm/seeds.ts";
/** What drives the engine from outside, besides the tests of its parts. */
const FROM_OUTSIDE = "test/engine/engine.test.ts";
/** Test files in one process: their engines' memories add up until they are collected. */
const TOGETHER_MAX = 6;
const LIMIT_MS = 10 * 60_000;
/** Tests that say nothing for this much longer than they did without a mutant hang. */
const SILENCE_FACTOR = 5;
const SILENCE_MS = 20_000;

/** Tests that run together. */
export interface Step {
  readonly nearness: Nearness;
  readonly tests: readonly string[];
}

function together(nearness: Nearness, tests: readonly string[]): Step[] {
  return Array.from({ length: Math.ceil(tests.length / TOGETHER_MAX) }, (_, index) => {
    const from = index * TOGETHER_MAX;
    return { nearness, tests: tests.slice(from, from + TOGETHER_MAX) };
  });
}

/** The judges of a file's mutants, the nearest first; none is asked twice. */
export function stepsOf(file: string, tests: readonly string[], references: References): Step[] {
  const all = [...tests.filter((test) => test.startsWith("test/wasm/")), FROM_OUTSIDE];
  const mirror = judgesOf(file, tests, references)
    .filter(({ test, nearness }) => nearness === "mirror" && all.includes(test))
    .map(({ test }) => test);
  const folder = all.filter((test) => {
    return dirname(test) === `test/${dirname(file)}` && !mirror.includes(test);
  });
  const others = all.filter((test) => !mirror.includes(test) && !folder.includes(test));
  return [
    ...together("mirror", mirror),
    ...together("folder", folder),
    ...together("simulator", [SIMULATOR]),
    ...together("others", others),
  ];
}

export function commandOf({ nearness, tests }: Step): readonly string[] {
  if (nearness === "simulator") return [BUN, ...tests];
  return [BUN, "test", "--timeout=600000", "--bail", ...tests.map((test) => `./${test}`)];
}

/** The test file in which something failed, or which did not end: the last one that was named. */
export function fileNamed(output: string): string {
  return [...output.matchAll(/^(test\/\S+\.test\.ts):$/gm)].at(-1)?.[1] ?? SIMULATOR;
}

export class WasmCourt {
  readonly #arenas: readonly Arena[];
  /** How long a process that runs a test file may say nothing. */
  readonly #silences_ms = new Map<string, number>();

  /** @param arenas as many trials are held at once */
  constructor(arenas: readonly Arena[]) {
    this.#arenas = arenas;
  }

  #run(arena: Arena, step: Step): Promise<Outcome> {
    const known = step.tests.map((test) => this.#silences_ms.get(test) ?? LIMIT_MS);
    const silence_ms = Math.max(...known);
    return arena.run({ command: commandOf(step), env: {}, limit_ms: LIMIT_MS, silence_ms });
  }

  /**
   * Runs all tests on the engine as it is.
   * @throws {Error} where one fails
   */
  async prepare(unchanged: ReadonlyMap<string, Uint8Array>, steps: readonly Step[]): Promise<void> {
    const queue = [...steps];
    const worker = async (arena: Arena): Promise<void> => {
      put(arena, unchanged);
      for (let step = queue.shift(); step !== undefined; step = queue.shift()) {
        const { state, output, silence_ms } = await this.#run(arena, step);
        if (state !== "passed") throw new Error(`${state} without a mutant:\n${output}`);
        const limit_ms = SILENCE_MS + SILENCE_FACTOR * silence_ms;
        for (const test of step.tests) this.#silences_ms.set(test, limit_ms);
      }
    };
    await Promise.all(this.#arenas.map(worker));
  }

  /** Judges all; `tell` hears each verdict when it falls. */
  async judge(
    mutants: readonly WasmMutant[],
    stepsFor: (file: string) => readonly Step[],
    tell: (verdict: Verdict) => void,
  ): Promise<Verdict[]> {
    const queue = [...mutants.entries()];
    const verdicts: Verdict[] = [];
    const worker = async (arena: Arena): Promise<void> => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const [index, mutant] = next;
        put(arena, mutant.modules());
        const verdict = await this.#try(arena, mutant, stepsFor(mutant.file));
        verdicts[index] = verdict;
        tell(verdict);
      }
    };
    await Promise.all(this.#arenas.map(worker));
    return verdicts;
  }

  async #try(arena: Arena, mutant: WasmMutant, steps: readonly Step[]): Promise<Verdict> {
    for (const step of steps) {
      const { state, output } = await this.#run(arena, step);
      if (state === "passed") continue;
      const by = state === "late" ? "late" : step.nearness;
      return { mutant, by, test: fileNamed(output) };
    }
    return { mutant, by: "nobody", test: "" };
  }
}

function put(arena: Arena, modules: ReadonlyMap<string, Uint8Array>): void {
  for (const [path, octets] of modules) arena.write(path, octets);
}
