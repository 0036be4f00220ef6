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

/** The judges of a file's mutants, the nearest first; none is asked twice. */
export function stepsOf(file: string, tests: readonly string[], references: References): Step[] {
  const all = judgesOfAll(tests).filter((test) => test !== SIMULATOR);
  const mirror = judgesOf(file, tests, references)
    .filter(({ test, nearness }) => nearness === "mirror" && all.includes(test))
    .map(({ test }) => test);
  const folder = all.filter((test) => {
    return dirname(test) === `test/${dirname(file)}` && !mirror.includes(test);
  });
  const others = all.filter((test) => !mirror.includes(test) && !folder.includes(test));
  return [
    { nearness: "mirror", tests: mirror },
    { nearness: "folder", tests: folder },
    { nearness: "simulator", tests: [SIMULATOR] },
    { nearness: "others", tests: others },
  ];
}

/** All that judge any file. */
export function judgesOfAll(tests: readonly string[]): string[] {
  return [...tests.filter((test) => test.startsWith("test/wasm/")), FROM_OUTSIDE, SIMULATOR];
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
  /** Of each test file how long it took without a mutant, and how long it said nothing. */
  readonly #known = new Map<string, Pick<Outcome, "spent_ms" | "silence_ms">>();

  /** @param arenas as many trials are held at once */
  constructor(arenas: readonly Arena[]) {
    this.#arenas = arenas;
  }

  #run(arena: Arena, step: Step): Promise<Outcome> {
    const silences_ms = step.tests.map((test) => {
      const known = this.#known.get(test);
      return known === undefined ? LIMIT_MS : SILENCE_MS + SILENCE_FACTOR * known.silence_ms;
    });
    const silence_ms = Math.max(...silences_ms);
    return arena.run({ command: commandOf(step), env: {}, limit_ms: LIMIT_MS, silence_ms });
  }

  /** A step in parts that run in one process each, the quickest tests first. */
  #parts({ nearness, tests }: Step): Step[] {
    const spent_ms = (test: string): number => this.#known.get(test)?.spent_ms ?? 0;
    const sorted = tests.toSorted((a, b) => spent_ms(a) - spent_ms(b));
    return Array.from({ length: Math.ceil(tests.length / TOGETHER_MAX) }, (_, index) => {
      const from = index * TOGETHER_MAX;
      return { nearness, tests: sorted.slice(from, from + TOGETHER_MAX) };
    });
  }

  /**
   * Runs tests on the engine as it is.
   * @throws {Error} where one fails
   */
  async prepare(
    unchanged: ReadonlyMap<string, Uint8Array>,
    tests: readonly string[],
  ): Promise<void> {
    const queue = [...tests];
    const worker = async (arena: Arena): Promise<void> => {
      put(arena, unchanged);
      for (let test = queue.shift(); test !== undefined; test = queue.shift()) {
        const nearness = test === SIMULATOR ? "simulator" : "others";
        const outcome = await this.#run(arena, { nearness, tests: [test] });
        if (outcome.state !== "passed") {
          throw new Error(`${test}, without a mutant, ${outcome.state}:\n${outcome.output}`);
        }
        this.#known.set(test, outcome);
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
    for (const step of steps.flatMap((each) => this.#parts(each))) {
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
