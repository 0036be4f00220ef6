/**
 * `simulate`: runs the engine in virtual time and says what came of it. A swarm of seeds is in
 * `simulate-swarm.ts`; here is the single run, of a seed or of a scenario file.
 *
 * Contract: code 0 = nothing was wrong; 1 = a violation, an expectation missed, or a file that
 * cannot be written; 2 = a scenario that cannot be read.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { shownCommand } from "../../cli/program.ts";
import { quote } from "../../config/errors.ts";
import type { SimulateOptions, SingleOptions } from "../../config/simulate.ts";
import { type OutputSink, openOutputFile } from "../../lib/output-file.ts";
import { pcapngHeader } from "../../link/pcapng.ts";
import { familyOptions } from "../sim/family.ts";
import { type CheckedRun, runScenario, runSeed } from "../sim/run.ts";
import { Sampler } from "../sim/sampler.ts";
import { readScenario, ScenarioError } from "../sim/scenario-file.ts";
import type { ScenarioDocument } from "../sim/scenario-schema.ts";
import type { SimulateOptions as RunOptions } from "../sim/simulate.ts";
import { textReport } from "../sim/text-report.ts";
import { StandardOutput } from "./standard-output.ts";

const EXIT_USAGE = 2;

/** Resolves to the exit code. */
export async function simulate(options: SimulateOptions): Promise<number> {
  if (options.kind === "swarm") {
    return (await import("./simulate-swarm.ts")).simulateSwarm(options);
  }
  let document: ScenarioDocument | undefined;
  try {
    if (options.scenario !== undefined) document = openScenario(options.scenario);
  } catch (error) {
    complain(messageOf(error));
    return EXIT_USAGE;
  }
  try {
    return await runOne(options, document);
  } catch (error) {
    complain(messageOf(error));
    return 1;
  }
}

function complain(message: string): void {
  process.stderr.write(`slirp-binding: ${message}\n`);
}

function openScenario(path: string): ScenarioDocument {
  try {
    return readScenario(readFileSync(path, "utf8"));
  } catch (error) {
    throw new ScenarioError(`read scenario ${quote(path)}: ${messageOf(error)}`);
  }
}

async function runOne(
  options: SingleOptions,
  document: ScenarioDocument | undefined,
): Promise<number> {
  const output = new StandardOutput();
  const pcap = options.pcap === undefined ? undefined : openCapture(options.pcap);
  const sampler = options.report === undefined ? undefined : new Sampler();
  const runOptions: RunOptions = {
    ...(options.trace ? { trace: (line: string) => output.line(line) } : {}),
    observers: { ...(pcap && { pcap }), ...(sampler && { sampler }) },
  };
  const began = performance.now();
  const run =
    document === undefined
      ? runSeed(options.seed ?? 0, runOptions, options.family)
      : runScenario(document, options.seed, runOptions);
  const real = (performance.now() - began) * 1000;
  output.flush();
  const lines = textReport(run, { real, reproduce: reproduce(options, run) });
  writeText(lines, options.trace, output);
  pcap?.check();
  if (options.report !== undefined && sampler !== undefined) {
    await writePage(options.report, run, sampler, reproduce(options, run));
  }
  return run.ok ? 0 : 1;
}

/** A trace has standard output for itself, so that two of them can be compared. */
function writeText(lines: readonly string[], isTraced: boolean, output: StandardOutput): void {
  const text = `${lines.join("\n")}\n`;
  if (isTraced) process.stderr.write(text);
  else output.write(text);
  output.flush();
}

/** The page and what it needs are loaded only when somebody wants it. */
async function writePage(
  path: string,
  run: CheckedRun,
  sampler: Sampler,
  command: string,
): Promise<void> {
  const { reportOf } = await import("../sim/report/report-of.ts");
  const { renderReport } = await import("../sim/report/page.ts");
  const { title, description = "", world, summary, expectations } = run;
  const about = { title, description, reproduce: command, expectations };
  const page = renderReport(reportOf(world, summary.result, sampler, about));
  try {
    writeFileSync(path, page);
  } catch (error) {
    throw new Error(`write --report ${quote(path)}: ${messageOf(error)}`);
  }
}

function reproduce({ scenario, family }: SingleOptions, { plan }: CheckedRun): string {
  const file =
    scenario === undefined ? "" : ` ${/^[\w./-]+$/.test(scenario) ? scenario : quote(scenario)}`;
  return `${shownCommand()} simulate${file} --seed ${plan.seed}${familyOptions(family)} --trace`;
}

/** A capture, and what went wrong with it: the run itself goes on. */
interface Capture extends OutputSink {
  /** @throws Error when the capture is not whole */
  check(): void;
}

function openCapture(path: string): Capture {
  let failure: unknown;
  const attempt = <T>(what: () => T): T => {
    try {
      return what();
    } catch (error) {
      failure ??= error;
      throw new Error(`write --pcap ${quote(path)}: ${messageOf(error)}`);
    }
  };
  const sink = attempt(() => openOutputFile(path));
  attempt(() => sink.write(pcapngHeader()));
  return {
    write: (bytes) => attempt(() => sink.write(bytes)),
    close: () => attempt(() => sink.close()),
    check: () => {
      if (failure !== undefined)
        throw new Error(`write --pcap ${quote(path)}: ${messageOf(failure)}`);
    },
  };
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Of a failed system call: "ENOENT: no such file or directory, open 'x'".
  return error.message.replace(/^(E[A-Z]+: [^,]+), .*$/s, "$1");
}
