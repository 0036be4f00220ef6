/**
 * Which test files judge a mutant of a file, and in which order: those of its own name, those that
 * `unmirrored.ts` names for it, then those of its folder that have anything to do with it.
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Job } from "../../scripts/test-plan.mjs";
import { UNMIRRORED } from "../support/unmirrored.ts";

/** Where a test stands that sees a mutant; the last two judge the engine alone. */
export type Nearness = "mirror" | "folder" | "others" | "simulator";

export interface Judge {
  readonly test: string;
  readonly nearness: Nearness;
}

/** `src/a/b.ts` is `a/b`, `wasm/a/b.ts` is `wasm/a/b`: what is below `test` for it. */
function stemOf(file: string): string {
  return file.replace(/^src\//, "").replace(/\.ts$/, "");
}

function isOfName(test: string, file: string): boolean {
  const stem = `test/${stemOf(file)}`;
  return test.startsWith(`${stem}.`) || test.startsWith(`${stem}-`);
}

/** Tests that the reason for having no mirror names; those of whole programs are too slow. */
function named(file: string, reasons: Readonly<Record<string, string>>): string[] {
  const found = (reasons[file] ?? "").matchAll(/test\/[\w/.-]+\.test\.ts/g);
  return [...found].map(([path]) => path).filter((path) => !path.startsWith("test/e2e/"));
}

/** What a file names of the project, and what that names: by import, or as a program or worker. */
export class References {
  readonly #root: string;
  readonly #direct = new Map<string, readonly string[]>();

  constructor(root: string) {
    this.#root = root;
  }

  /** The files that a file names in a string, relative to itself or to the root. */
  #read(file: string): readonly string[] {
    const known = this.#direct.get(file);
    if (known !== undefined) return known;
    const path = join(this.#root, file);
    const text = existsSync(path) ? readFileSync(path, "utf8") : "";
    const found = [...text.matchAll(/["'`]([\w./-]+\.(?:ts|mts|mjs))["'`]/g)].flatMap(
      ([, name = ""]) => [join(dirname(file), name), name],
    );
    this.#direct.set(file, found);
    return found;
  }

  /** True where `from` is or names `to`, however many files are between. */
  reaches(from: string, to: string): boolean {
    const seen = new Set([from]);
    for (const file of seen) {
      if (file === to) return true;
      for (const next of this.#read(file)) seen.add(next);
    }
    return false;
  }
}

/**
 * The judges of a file's mutants.
 * @param file below `src` or `wasm`
 * @param tests all test files of the project
 */
export function judgesOf(
  file: string,
  tests: readonly string[],
  references: References,
  reasons: Readonly<Record<string, string>> = UNMIRRORED,
): Judge[] {
  const [folder] = stemOf(file).split("/");
  const wanted = named(file, reasons);
  const mirrors = tests.filter((test) => isOfName(test, file) || wanted.includes(test));
  const others = tests.filter(
    (test) =>
      test.startsWith(`test/${folder}/`) &&
      !mirrors.includes(test) &&
      references.reaches(test, file),
  );
  return [
    ...mirrors.map((test) => ({ test, nearness: "mirror" as const })),
    ...others.map((test) => ({ test, nearness: "folder" as const })),
  ];
}

/**
 * How a test file is run for a verdict: under Bun where the plan has it so, which is quickest.
 * @param file the mutant's; Deno's own code is judged under Deno
 */
export function commandOf(jobs: readonly Job[], file = ""): readonly string[] {
  const own = jobs.find(({ runtime }) => runtime === "deno" && /\bdeno\.ts$/.test(file));
  const job = own ?? jobs.find(({ runtime }) => runtime === "bun") ?? jobs[0];
  if (job === undefined) throw new Error("the plan has no such test file");
  if (job.runtime === "deno") {
    const flags = ["-A", "--no-check", "--no-lock", "--quiet"];
    return ["node_modules/.bin/deno", "test", ...flags, job.file];
  }
  return job.runtime === "bun"
    ? ["node_modules/.bin/bun", "test", "--timeout=600000", `./${job.file}`]
    : ["node", "--import", "tsx", job.file];
}
