/** Tries mutants one after the other in copies of the project, and says which test saw each. */
import { type Job, testPlan } from "../../scripts/test-plan.mjs";
import type { Arena } from "./arena.ts";
import { commandOf, type Judge, type Nearness } from "./choose-tests.ts";
import type { Change, Mutant } from "./sample.ts";

/** A test that takes this much longer than without a mutant hangs; the machine may be busy. */
const LATE_FACTOR = 8;
const LATE_MS = 20_000;
/** For a test whose time is not known yet. */
const FIRST_LIMIT_MS = 5 * 60_000;

export interface Verdict {
  readonly mutant: Change;
  /** How near the test is that saw the mutant; `late` where the test did not end. */
  readonly by: Nearness | "late" | "nobody";
  /** The test that saw it. */
  readonly test: string;
}

export interface Trial {
  readonly mutant: Mutant;
  readonly judges: readonly Judge[];
}

export class Court {
  readonly #arenas: readonly Arena[];
  readonly #limits_ms = new Map<string, number>();
  readonly #jobs = new Map<string, readonly Job[]>();

  /** @param arenas as many trials are held at once */
  constructor(arenas: readonly Arena[]) {
    this.#arenas = arenas;
  }

  #run(arena: Arena, test: string, file = "") {
    const limit_ms = this.#limits_ms.get(test) ?? FIRST_LIMIT_MS;
    const command = commandOf(this.#jobsOf(test), file);
    return arena.run({ command, env: {}, limit_ms });
  }

  #jobsOf(test: string): readonly Job[] {
    const known = this.#jobs.get(test);
    if (known !== undefined) return known;
    const jobs = testPlan({ only: test }).flatMap((stage) => stage.jobs);
    this.#jobs.set(test, jobs);
    return jobs;
  }

  /** Does work on each item, in as many copies as there are at once. */
  async #each<Item>(
    items: readonly Item[],
    work: (arena: Arena, item: Item) => Promise<void>,
  ): Promise<void> {
    const queue = [...items];
    const worker = async (arena: Arena): Promise<void> => {
      for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
        await work(arena, item);
      }
    };
    await Promise.all(this.#arenas.map(worker));
  }

  /**
   * Runs tests without a mutant: what fails so, twice, is no judge, and how long a test takes
   * bounds how long it may take with a mutant.
   * @returns what failed
   */
  async prepare(tests: readonly string[]): Promise<string[]> {
    const failed: string[] = [];
    await this.#each(tests, async (arena, test) => {
      let outcome = await this.#run(arena, test);
      if (outcome.state !== "passed") outcome = await this.#run(arena, test);
      this.#limits_ms.set(test, LATE_MS + LATE_FACTOR * outcome.spent_ms);
      if (outcome.state !== "passed") failed.push(`${test}:\n${outcome.output}`);
    });
    return failed;
  }

  /** Judges all; `tell` hears each verdict when it falls. */
  async judge(trials: readonly Trial[], tell: (verdict: Verdict) => void): Promise<Verdict[]> {
    const verdicts = new Map<Trial, Verdict>();
    await this.#each(trials, async (arena, trial) => {
      const { file, text } = trial.mutant;
      arena.write(file, text);
      try {
        const verdict = await this.#try(arena, trial);
        verdicts.set(trial, verdict);
        tell(verdict);
      } finally {
        arena.restore(file);
      }
    });
    return trials.flatMap((trial) => verdicts.get(trial) ?? []);
  }

  async #try(arena: Arena, { mutant, judges }: Trial): Promise<Verdict> {
    for (const { test, nearness } of judges) {
      const { state } = await this.#run(arena, test, mutant.file);
      if (state === "late") return { mutant, by: "late", test };
      if (state === "failed") return { mutant, by: nearness, test };
    }
    return { mutant, by: "nobody", test: "" };
  }
}
