/**
 * Changes the engine in one instruction at a time and sees whether a test fails:
 *
 *     npm run mutants -- --wasm [--file TEXT] [--count N] [--seed N] [--jobs N] [--list]
 *
 * The exit code is 1 where fewer than 85 of 100 mutants are seen.
 */
import { tmpdir } from "node:os";
import process from "node:process";
import { Random } from "../../fuzz/random.ts";
import { Arena } from "../arena.ts";
import { type Nearness, References } from "../choose-tests.ts";
import {
  filesBelow,
  JOBS_MAX,
  jobsOf,
  natural,
  parse,
  ROOT,
  runCommand,
  seedOf,
} from "../command.ts";
import type { Verdict } from "../judge.ts";
import { change, place, score, survivors, table } from "../report.ts";
import { isEquivalent, shuffled } from "../sample.ts";
import { judgesOfAll, stepsOf, WasmCourt } from "./court.ts";
import { PlainEngine, type WasmMutant } from "./engine.ts";

const BAR = 85;
const COUNT_DEFAULT = 200;
const STREAM = 0x7761736d;
const JUDGES: readonly Nearness[] = ["mirror", "folder", "simulator", "others"];

const HELP = `npm run mutants -- --wasm [OPTIONS]

Changes the engine in one instruction at a time and sees whether the tests of that file fail, then
those of its folder, the simulator, and all other tests of the engine.

  --file TEXT     only files whose path has this in it
  --count N       how many mutants (default: ${COUNT_DEFAULT})
  --seed N        which ones; the same seed takes the same ones (default: by the clock)
  --jobs N        how many at once, ${JOBS_MAX} at most (default: ${JOBS_MAX})
  --list          only prints the mutants
  --help          this

Ends with 1 where fewer than ${BAR} of 100 mutants are seen. Changes that make no difference are
named in test/mutants/equivalent.json and not counted.
`;

const ARGUMENTS = {
  wasm: { type: "boolean" },
  file: { type: "string" },
  count: { type: "string" },
  seed: { type: "string" },
  jobs: { type: "string" },
  list: { type: "boolean" },
  help: { type: "boolean" },
} as const;

/** One change each of as many places as are wanted. */
function choose(engine: PlainEngine, file: string, seed: number, count: number): WasmMutant[] {
  const random = new Random(seed, STREAM);
  const chosen: WasmMutant[] = [];
  for (const { mutants } of shuffled(
    engine.sites((each) => each.includes(file)),
    random,
  )) {
    const mutant = mutants[random.below(mutants.length)];
    if (mutant !== undefined && !isEquivalent(mutant)) chosen.push(mutant);
    if (chosen.length === count) break;
  }
  return chosen;
}

async function judge(
  engine: PlainEngine,
  mutants: readonly WasmMutant[],
  arenas: readonly Arena[],
): Promise<Verdict[]> {
  const tests = filesBelow("test", ".test.ts");
  const references = new References(ROOT);
  const court = new WasmCourt(arenas);
  process.stderr.write("all tests without a mutant\n");
  await court.prepare(engine.unchanged(), judgesOfAll(tests));
  let done = 0;
  const verdicts = await court.judge(
    mutants,
    (file) => stepsOf(file, tests, references),
    ({ mutant, by, test }) => {
      done += 1;
      const verdict = by === "nobody" ? `SURVIVES\n${change(mutant)}` : `${by}: ${test}`;
      process.stderr.write(`${done}/${mutants.length} ${place(mutant)}: ${verdict}\n`);
    },
  );
  const seers = new Set(verdicts.map(({ test }) => test).filter((test) => test !== ""));
  await court.prepare(engine.unchanged(), [...seers]);
  return verdicts;
}

await runCommand(async (arenas) => {
  const values = parse(ARGUMENTS);
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const seed = seedOf(values.seed);
  const jobs = jobsOf(values.jobs);
  const count = natural("count", values.count, COUNT_DEFAULT);
  process.stderr.write(`seed ${seed}\n`);
  const engine = new PlainEngine(ROOT);
  const mutants = choose(engine, values.file ?? "", seed, count);
  if (values.list) {
    for (const mutant of mutants) process.stdout.write(`${place(mutant)}\n${change(mutant)}\n`);
    return 0;
  }
  for (let left = jobs; left > 0; left--) arenas.push(new Arena(ROOT, tmpdir(), ["node_modules"]));
  const verdicts = await judge(engine, mutants, arenas);
  process.stdout.write(`${survivors(verdicts)}\nseed ${seed}\n${table(verdicts, JUDGES)}\n`);
  return score(verdicts) < BAR ? 1 : 0;
});
