/**
 * Changes the product's TypeScript in one place at a time and sees whether a test fails:
 *
 *     npm run mutants -- --typescript [--folder NAME]... [--file TEXT] [--count N] [--seed N]
 *                        [--jobs N] [--list]
 *
 * The exit code is 1 where fewer than 88 of 100 mutants of a folder are seen.
 */
import { existsSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { Arena } from "./arena.ts";
import { judgesOf, References } from "./choose-tests.ts";
import {
  filesBelow,
  JOBS_MAX,
  jobsOf,
  natural,
  parse,
  ROOT,
  runCommand,
  seedOf,
  UsageError,
} from "./command.ts";
import { Court, type Trial, type Verdict } from "./judge.ts";
import { byFolder, change, place, score, survivors, table } from "./report.ts";
import { isEquivalent, type Mutant, type SourceFile, sample } from "./sample.ts";
import { typed } from "./type-check.ts";

const BAR = 88;
const COUNT_DEFAULT = 60;
const FOLDERS = [
  ...["loop", "link", "hooks", "config", "upstream", "replay"],
  ...["sys", "binding", "engine", "lib", "cli"],
];
/** Written by programs from what they have read; their tests compare them as they are. */
const MADE = /^src\/(?:hooks\/gen\/|sys\/seccomp-table\.ts$)/;

const HELP = `npm run mutants -- --typescript [OPTIONS]

Changes the product's TypeScript in one place at a time, in a copy of the project, and sees whether
the tests of that file fail, then those of its folder.

  --folder NAME   of ${FOLDERS.join(", ")};
                  may be given more than once (default: all)
  --file TEXT     only files whose path has this in it
  --count N       mutants of each folder (default: ${COUNT_DEFAULT})
  --seed N        which ones; the same seed takes the same ones (default: by the clock)
  --jobs N        how many at once, ${JOBS_MAX} at most (default: ${JOBS_MAX})
  --list          only prints the mutants
  --help          this

Ends with 1 where fewer than ${BAR} of 100 mutants of a folder are seen. Changes that make no
difference are named in test/mutants/equivalent.json and not counted.
`;

interface Options {
  readonly folders: readonly string[];
  readonly file: string;
  readonly count: number;
  readonly seed: number;
  readonly jobs: number;
  readonly list: boolean;
}

const ARGUMENTS = {
  typescript: { type: "boolean" },
  folder: { type: "string", multiple: true },
  file: { type: "string" },
  count: { type: "string" },
  seed: { type: "string" },
  jobs: { type: "string" },
  list: { type: "boolean" },
  help: { type: "boolean" },
} as const;

function readOptions(): Options | "help" {
  const values = parse(ARGUMENTS);
  if (values.help) return "help";
  const folders = values.folder ?? FOLDERS;
  const stranger = folders.find((folder) => !FOLDERS.includes(folder));
  if (stranger !== undefined) {
    throw new UsageError(`give --folder one of ${FOLDERS.join(", ")}, not "${stranger}"`);
  }
  return {
    folders,
    file: values.file ?? "",
    count: natural("count", values.count, COUNT_DEFAULT),
    seed: seedOf(values.seed),
    jobs: jobsOf(values.jobs),
    list: values.list ?? false,
  };
}

function sourcesOf(folder: string, part: string): SourceFile[] {
  return filesBelow(`src/${folder}`, ".ts")
    .filter((file) => !file.endsWith(".d.ts") && !MADE.test(file) && file.includes(part))
    .map((file) => ({ file, text: readFileSync(join(ROOT, file), "utf8") }));
}

/** Of each folder the first `count` mutants that are ones: neither refused nor without effect. */
async function choose(options: Options, arena: Arena): Promise<Mutant[]> {
  const candidates = options.folders.map((folder) => {
    const all = [...sample(folder, sourcesOf(folder, options.file), options.seed)];
    const counted = all.filter((mutant) => !isEquivalent(mutant));
    return { folder, mutants: counted.slice(0, 2 * options.count + 20) };
  });
  const right = await typed(
    candidates.flatMap(({ mutants }) => mutants),
    arena,
  );
  return candidates.flatMap(({ folder }) =>
    right.filter((mutant) => mutant.folder === folder).slice(0, options.count),
  );
}

async function judge(mutants: readonly Mutant[], arenas: readonly Arena[]): Promise<Verdict[]> {
  const tests = filesBelow("test", ".test.ts");
  const references = new References(ROOT);
  const trials: Trial[] = mutants.map((mutant) => {
    return { mutant, judges: judgesOf(mutant.file, tests, references) };
  });
  const court = new Court(arenas);
  const wanted = [...new Set(trials.flatMap(({ judges }) => judges.map(({ test }) => test)))];
  process.stderr.write(`${wanted.length} test files without a mutant\n`);
  const failed = await court.prepare(wanted);
  if (failed.length > 0) throw new Error(`these fail without a mutant:\n${failed.join("\n")}`);
  let done = 0;
  const verdicts = await court.judge(trials, ({ mutant, by, test }) => {
    done += 1;
    const verdict = by === "nobody" ? "SURVIVES" : `${by}: ${test}`;
    process.stderr.write(`${done}/${trials.length} ${place(mutant)}: ${verdict}\n`);
  });
  const seers = new Set(verdicts.map(({ test }) => test).filter((test) => test !== ""));
  const broken = await court.prepare([...seers]);
  if (broken.length > 0) throw new Error(`these fail by now without one:\n${broken.join("\n")}`);
  return verdicts;
}

/** Tests load the engine from there. */
function isBuilt(): boolean {
  return ["engine.wasm", "engine-scalar.wasm"].every((name) =>
    existsSync(join(ROOT, "dist", name)),
  );
}

async function work(options: Options, arenas: Arena[]): Promise<number> {
  for (let left = options.list ? 1 : options.jobs; left > 0; left--) {
    arenas.push(new Arena(ROOT, tmpdir()));
  }
  const [first] = arenas;
  if (first === undefined) return 2;
  process.stderr.write(`seed ${options.seed}\n`);
  const mutants = await choose(options, first);
  if (options.list) {
    for (const mutant of mutants) process.stdout.write(`${place(mutant)}\n${change(mutant)}\n`);
    return 0;
  }
  const verdicts = await judge(mutants, arenas);
  process.stdout.write(`${survivors(verdicts)}\nseed ${options.seed}\n${table(verdicts)}\n`);
  return [...byFolder(verdicts).values()].some((of) => score(of) < BAR) ? 1 : 0;
}

await runCommand(async (arenas) => {
  const options = readOptions();
  if (options === "help") {
    process.stdout.write(HELP);
    return 0;
  }
  if (!options.list && !isBuilt()) throw new Error('build first: "npm run build"');
  return work(options, arenas);
});
