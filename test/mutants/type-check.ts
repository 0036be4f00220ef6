/**
 * Leaves out the mutants that the type checker refuses: nobody could make such a change without
 * being told. All are checked in one run, each as a file of its own beside the one it changes.
 */
import type { Arena } from "./arena.ts";
import type { Mutant } from "./sample.ts";

const CONFIG = "tsconfig.mutants.json";
const LIMIT_MS = 10 * 60_000;
/** Messages of the parser have numbers from 1000 on, those about types from 2000 on. */
const SYNTAX_ERROR = /^\S+\.ts\(\d+,\d+\): error TS1\d{3}: /m;
/** What is no mistake in itself, but follows from one. */
const LENIENT = {
  noUnusedLocals: false,
  noUnusedParameters: false,
  allowUnreachableCode: true,
  allowUnusedLabels: true,
};

/** What a copy of the project is asked for here. */
type Checker = Pick<Arena, "write" | "restore" | "run">;

function besides(file: string, index: number): string {
  return file.replace(/\.ts$/, `.mutant-${index}.ts`);
}

/** The files that the type checker's messages are about. */
export function filesNamed(output: string): Set<string> {
  return new Set(
    [...output.matchAll(/^(\S+\.ts)\(\d+,\d+\): error /gm)].map(([, file]) => file ?? ""),
  );
}

/** Those of the mutants that have types without an error. @throws {Error} where none can be told */
export async function typed(mutants: readonly Mutant[], arena: Checker): Promise<Mutant[]> {
  let left = [...mutants];
  for (let hasSyntaxErrors = true; hasSyntaxErrors; ) {
    const output = await messagesOf(left, arena);
    const refused = filesNamed(output);
    const before = left.length;
    left = left.filter((_, index) => !refused.has(besides(left[index]?.file ?? "", index)));
    // Where anything cannot be parsed, the checker does not look at types at all.
    hasSyntaxErrors = left.length < before && SYNTAX_ERROR.test(output);
  }
  return left;
}

/** What the type checker says of these, each as a file of its own. */
async function messagesOf(mutants: readonly Mutant[], arena: Checker): Promise<string> {
  const files = mutants.map(({ file }, index) => besides(file, index));
  const settings = { extends: "./tsconfig.json", compilerOptions: LENIENT, include: [], files };
  arena.write(CONFIG, JSON.stringify(settings));
  for (const [index, { text }] of mutants.entries()) arena.write(files[index] ?? "", text);
  try {
    const command = ["node_modules/.bin/tsc", "--project", CONFIG, "--pretty", "false"];
    const { state, output } = await arena.run({ command, env: {}, limit_ms: LIMIT_MS });
    if (state === "late" || (state === "failed" && filesNamed(output).size === 0)) {
      throw new Error(`the type checker says nothing of use:\n${output}`);
    }
    return output;
  } finally {
    for (const file of [...files, CONFIG]) arena.restore(file);
  }
}
