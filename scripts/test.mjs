/**
 * Runs the tests, from a fresh clone too: installs, builds what is stale, then goes by the plan.
 *
 *     npm test [-- [--only PATTERN] [--no-e2e]]
 *
 * Each file runs in a process of its own, so that a crash in one cannot hide the others, and fails
 * when it takes longer than the plan allows it. What the programs of an end-to-end test send is
 * read by tshark after it (`captures.mjs`). The last line adds up all runtimes. The exit code is 1
 * after a failure, after no test at all, and, when CI=true, after a skip.
 */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { bootstrap } from "./bootstrap.mjs";
import { checkCaptures } from "./captures.mjs";
import { main, run, tool } from "./shell.mjs";
import { testPlan } from "./test-plan.mjs";
import { summarize } from "./test-report.mjs";

/** How much earlier than the whole file a test that hangs is given up, which names it. */
const EARLIER_S = 5;

function parseArguments(args) {
  const options = { only: undefined, endToEnd: true };
  for (let index = 0; index < args.length; index++) {
    if (args[index] === "--no-e2e") {
      options.endToEnd = false;
    } else if (args[index] === "--only" && args[index + 1] !== undefined) {
      options.only = args[++index];
    } else {
      throw new Error(`use --only PATTERN or --no-e2e, not "${args[index]}"`);
    }
  }
  return options;
}

function commandLine({ runtime, file, limit_s }, report) {
  switch (runtime) {
    case "node": {
      const junit = ["--test-reporter=junit", `--test-reporter-destination=${report}`];
      const spec = ["--test-reporter=spec", "--test-reporter-destination=stdout"];
      return [process.execPath, ["--import", "tsx", ...junit, ...spec, file]];
    }
    case "bun": {
      const junit = ["--reporter=junit", `--reporter-outfile=${report}`];
      // Bun alone limits a test to 5 s
      return [
        tool("bun"),
        ["test", `--timeout=${(limit_s - EARLIER_S) * 1000}`, ...junit, `./${file}`],
      ];
    }
    default: {
      const flags = ["-A", "--no-check", "--no-lock", "--quiet", `--junit-path=${report}`];
      return [tool("deno"), ["test", ...flags, file]];
    }
  }
}

async function runJob(job, report) {
  const captures = job.captures ? makeCaptureFolder() : undefined;
  const began_ms = performance.now();
  try {
    const { code, output } = await runFile(job, report, captures);
    const xml = fs.existsSync(report) ? fs.readFileSync(report, "utf8") : "";
    fs.rmSync(report, { force: true });
    const result = summarize(xml, code);
    if (job.skipsByDesign) result.skipped = [];
    const objections = captures === undefined ? [] : await readCaptures(captures, result);
    const spent_ms = performance.now() - began_ms;
    print(job, result, spent_ms, [output.trimEnd(), ...objections].join("\n"));
    return result;
  } finally {
    if (captures !== undefined) fs.rmSync(captures, { recursive: true, force: true });
  }
}

function makeCaptureFolder() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "slirp-captures-"));
  fs.chmodSync(folder, 0o1777); // some of the programs are other users'
  return folder;
}

function runFile(job, report, captures) {
  const [command, args] = commandLine(job, report);
  const env = { NO_COLOR: "1", FORCE_COLOR: "0", ...job.env };
  if (captures !== undefined) env.E2E_CAPTURES = captures;
  return run(command, args, { env, quiet: true, timeout_ms: job.limit_s * 1000 });
}

/** Adds to the result of a job what tshark says of its captures; returns its objections. */
async function readCaptures(folder, result) {
  const { files, frames, complaints, skipped } = await checkCaptures(folder);
  if (skipped) result.skipped.push({ name: "captures", message: skipped });
  if (complaints.length > 0) result.failed += 1;
  result.note = files > 0 ? `, ${frames} frames in ${files} captures` : "";
  return complaints;
}

function print({ label, file }, { passed, failed, skipped, note = "" }, spent_ms, output) {
  const verdict = failed > 0 ? "FAIL" : skipped.length > 0 ? "skip" : "ok";
  const counts = `${passed} passed${failed > 0 ? `, ${failed} failed` : ""}${note}`;
  const seconds = `${(spent_ms / 1000).toFixed(1)} s`;
  const lines = [`${verdict.padEnd(4)} ${label.padEnd(10)} ${file}: ${counts}, ${seconds}`];
  for (const { name, message } of skipped) {
    lines.push(`     skipped: ${name}${message ? `: ${message}` : ""}`);
  }
  if (failed > 0) lines.push(output.trimEnd().replaceAll(/^/gm, "     | "));
  process.stdout.write(`${lines.join("\n")}\n`);
}

/** Builds, and turns what fails into a counted failure, so that the other tests still run. */
async function prepare(options) {
  await bootstrap({ build: false, system: options.endToEnd });
  try {
    await bootstrap({ build: true, tests: true });
    return 0;
  } catch (error) {
    process.stdout.write(`FAIL build\n${error.message}\n`);
    return 1;
  }
}

async function runStage({ parallel, jobs }, folder, total) {
  const queue = [...jobs.entries()];
  const worker = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [index, job] = next;
      const result = await runJob(job, path.join(folder, `${index}.xml`));
      total.passed += result.passed;
      total.failed += result.failed;
      total.skipped += result.skipped.length;
    }
  };
  await Promise.all(Array.from({ length: parallel }, worker));
}

main(async () => {
  const options = parseArguments(process.argv.slice(2));
  const total = { passed: 0, failed: await prepare(options), skipped: 0 };
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "slirp-test-"));
  try {
    for (const stage of testPlan(options)) await runStage(stage, folder, total);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
  const { passed, failed, skipped } = total;
  process.stdout.write(`\n${passed} passed, ${failed} failed, ${skipped} skipped\n`);
  const refused = process.env["CI"] === "true" && skipped > 0;
  if (refused) process.stderr.write("a skipped test is a failure when CI=true\n");
  return failed > 0 || passed === 0 || refused ? 1 : 0;
});
