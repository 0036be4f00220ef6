/**
 * `npm run bench`: this program, slirp4netns and pasta side by side in one run on one machine.
 *
 * All configurations of a repetition are up at the same time, idle but for the one being measured;
 * each metric visits them all before the next metric begins, in an order that changes with every
 * repetition. docs/benchmark.md says how to read the result.
 */

import process from "node:process";
import { messageOf } from "../src/lib/message.ts";
import type { ProgramKind } from "../test/support/e2e/program.ts";
import { endAll } from "../test/support/e2e/shell.ts";
import { CONGESTION_CONTROL, type Namespace } from "../test/support/e2e/world.ts";
import { type Footprint, measureFootprint } from "./footprint.ts";
import { measure, type Path, startEcho } from "./measure.ts";
import { type Config, orderOf, parseOptions, type RunOptions, takesPart, USAGE } from "./plan.ts";
import {
  footprintTable,
  machine,
  type Results,
  resultTables,
  table,
  verdicts,
  verdictTable,
  writeResults,
} from "./report.ts";
import { absence, createBenchHost, createPath, obstacle, prepareRr, removePath } from "./world.ts";

const terminal = process.stderr.isTTY === true;

/** Progress goes to standard error: rewritten on a terminal, a line each otherwise. */
function progress(text: string): void {
  process.stderr.write(terminal ? `\r\x1b[2K${text}` : `${text}\n`);
}

/** Notes a failed repetition for a configuration that did not come up. */
type Up = { readonly config: Config; readonly path: Path | undefined; readonly error: string };

async function bringUp(host: Namespace, configs: readonly Config[]): Promise<Up[]> {
  const all: Up[] = [];
  for (const config of configs) {
    try {
      all.push({ config, path: await createPath(host, config), error: "" });
    } catch (error) {
      const words = messageOf(error);
      all.push({ config, path: undefined, error: words.split("\n")[0] ?? "" });
    }
  }
  return all;
}

async function repeat(
  host: Namespace,
  options: RunOptions,
  rep: number,
  rr: readonly string[],
  results: Results,
): Promise<void> {
  const all = await bringUp(host, orderOf(options.configs, rep));
  for (const metric of options.metrics) {
    const part = all.filter(({ config }) => takesPart(config, metric));
    for (const { config, path, error } of orderOf(part, rep)) {
      progress(`repetition ${rep + 1}/${options.reps}: ${metric}, ${config.name}`);
      const sample =
        path === undefined
          ? { ok: false as const, error }
          : await measure(path, metric, options.seconds, rr);
      results[metric] ??= {};
      const byConfig = results[metric];
      byConfig[config.name] ??= [];
      byConfig[config.name]?.push(sample);
    }
  }
  for (const { path } of all) {
    if (path !== undefined) {
      await removePath(path);
    }
  }
}

async function footprintsOf(
  host: Namespace,
  options: RunOptions,
  rr: readonly string[],
): Promise<Footprint[]> {
  const kinds = new Set(options.configs.map(({ kind }) => kind));
  const footprints: Footprint[] = [];
  for (const kind of kinds) {
    if (kind !== "direct") {
      progress(`start-up, memory and idle flows: ${kind}`);
      footprints.push(await measureFootprint(host, kind, rr, options));
    }
  }
  return footprints;
}

/** Leaves out what is not installed, and says so. */
function available(configs: readonly Config[]): Config[] {
  const kinds = [...new Set(configs.map(({ kind }) => kind))];
  const out = new Set<ProgramKind | "direct">();
  for (const kind of kinds) {
    const why = absence(kind);
    if (why !== undefined) {
      console.log(`left out: ${kind}: ${why}`);
      out.add(kind);
    }
  }
  return configs.filter(({ kind }) => !out.has(kind));
}

function readOptions(): RunOptions {
  try {
    return parseOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`bench: ${messageOf(error)}\n${USAGE}`);
    process.exit(2);
  }
}

async function main(): Promise<void> {
  const asked = readOptions();
  const why = obstacle();
  if (why !== undefined) {
    console.error(`bench: cannot run: ${why}`);
    process.exit(1);
  }
  const date = new Date().toISOString();
  const rr = prepareRr();
  const about = machine(rr);
  const options = { ...asked, configs: available(asked.configs) };
  const host = createBenchHost();
  const echoes = await startEcho(host, rr, options.configs);
  const results: Results = {};
  for (let rep = 0; rep < options.reps; rep += 1) {
    await repeat(host, options, rep, rr, results);
  }
  const footprints = options.footprint ? await footprintsOf(host, options, rr) : [];
  progress("");
  for (const echo of echoes) echo.signal("SIGKILL");
  host.remove();
  const judged = verdicts(results, footprints);
  console.log(table(Object.entries(about)));
  const repetitions = `${options.reps} repetitions of ${options.seconds} s`;
  console.log(`${repetitions}, ${CONGESTION_CONTROL} everywhere, ${date}\n`);
  console.log(`${resultTables(results, options.configs)}\n`);
  if (footprints.length > 0) {
    console.log(`${footprintTable(footprints)}\n`);
  }
  if (judged.length > 0) {
    console.log(`${verdictTable(judged)}\n`);
  }
  const { reps, seconds } = options;
  const whole = { date, machine: about, reps, seconds, results, footprints, verdicts: judged };
  writeResults("", whole);
  endAll();
  process.exit(options.strict && judged.some(({ met }) => !met) ? 1 : 0);
}

await main();
