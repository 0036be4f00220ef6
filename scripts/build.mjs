/**
 * Builds what is stale: the engine (SIMD and scalar), the AssemblyScript test modules, the binary.
 *
 *     node scripts/build.mjs [--tests] [--force]
 *
 *     dist/engine.wasm, dist/engine-scalar.wasm   wasm/index.ts
 *     dist/report.js.txt, report.css.txt          src/sim/report/browser and uPlot
 *     dist/slirp-binding                          src/main.ts, worker and all of these in one file
 *     build/test/NAME.wasm, NAME-scalar.wasm      test/wasm/exports/NAME.ts, with --tests
 *
 * An output is stale when an input is younger. Outputs appear by rename, so nobody reads half of
 * one, and scripts that run at the same time do not harm each other.
 */
import fs from "node:fs";
import path from "node:path";
import process from "node:process";
import { inRoot, isMain, main, must, ROOT, tool } from "./shell.mjs";

const PARALLEL = 2;
const ASC = "node_modules/assemblyscript/bin/asc.js";
const ENGINES = ["dist/engine.wasm", "dist/engine-scalar.wasm"];
const WORKER = "src/binding/worker.ts";
const PAGE = "src/sim/report/browser";
const PLOTS = "node_modules/uplot/dist";
/** Not .js and .css: Bun would take those for code of the program. */
const REPORT = ["dist/report.js.txt", "dist/report.css.txt"];
const EXPORTS = "test/wasm/exports";

/** All files below a folder of the project with that ending, as paths from the root. */
export function filesBelow(folder, ending) {
  const absolute = inRoot(folder);
  if (!fs.existsSync(absolute)) return [];
  const names = fs.readdirSync(absolute, { recursive: true });
  const files = names
    .filter((name) => name.endsWith(ending))
    .map((name) => path.join(folder, name));
  return files.filter((file) => !file.includes("node_modules")).sort();
}

function modified_ms(file) {
  return fs.statSync(inRoot(file), { throwIfNoEntry: false })?.mtimeMs;
}

function stale({ output, inputs }) {
  const made_ms = modified_ms(output);
  if (made_ms === undefined) return true;
  return inputs.some((file) => (modified_ms(file) ?? Number.POSITIVE_INFINITY) > made_ms);
}

/** The AssemblyScript command line for one module. */
function asc(entry, output, target) {
  const compile = async (temporary) => {
    // trap.ts is an entry of its own so that the abort override resolves in every module
    const entries = [entry, "wasm/trap.ts"];
    const args = [ASC, ...entries, "--config", "asconfig.json", "--target", target];
    const said = await must(process.execPath, [...args, "-o", temporary], { quiet: true });
    if (said.trim() !== "") process.stderr.write(said);
  };
  const shared = [...filesBelow("wasm", ".ts"), "asconfig.json", "scripts/build.mjs"];
  return { output, entry, inputs: [entry, ...shared], make: compile };
}

/** What the report page carries: a library's text as it is, and ours after it. */
function reportPart(output, entry, library, own) {
  const make = async (temporary) => {
    const texts = [fs.readFileSync(inRoot(library), "utf8"), await own(inRoot(temporary))];
    fs.writeFileSync(inRoot(temporary), texts.map((text) => `${text.trim()}\n`).join(""));
  };
  const sources = [...filesBelow(PAGE, ".ts"), ...filesBelow(PAGE, ".css"), "package-lock.json"];
  const inputs = [...sources, "src/sim/report/units.ts", "scripts/build.mjs"];
  return { output, entry, inputs, make };
}

function reportParts() {
  const [script, style] = [`${PAGE}/main.ts`, `${PAGE}/page.css`];
  const bundle = async (temporary) => {
    const args = ["build", script, "--target", "browser", "--format", "iife", "--minify"];
    await must(tool("bun"), [...args, "--outfile", temporary], { quiet: true });
    return fs.readFileSync(temporary, "utf8");
  };
  const [scripts, styles] = REPORT;
  const copy = () => fs.readFileSync(inRoot(style), "utf8");
  return [
    reportPart(scripts, script, `${PLOTS}/uPlot.iife.min.js`, bundle),
    reportPart(styles, style, `${PLOTS}/uPlot.min.css`, copy),
  ];
}

/**
 * The single binary. Bytecode takes start-up from 50 ms to 22 ms; identifiers are kept for traces.
 * `--root` and the asset name keep the project's layout inside, which `src/assets.ts` relies on.
 */
function binary() {
  const entry = "src/main.ts";
  const layout = ["--root", ".", "--asset-naming", "[dir]/[name].[ext]", "--loader", ".txt:file"];
  const shrink = ["--minify-whitespace", "--minify-syntax", "--bytecode", "--format", "esm"];
  const settings = ["--no-compile-autoload-dotenv", "--no-compile-autoload-bunfig"];
  const make = async (temporary) => {
    const files = [...ENGINES, ...REPORT];
    const args = ["build", "--compile", entry, WORKER, ...files, ...layout, ...shrink];
    await must(tool("bun"), [...args, ...settings, "--outfile", temporary], { quiet: true });
  };
  const sources = [
    ...filesBelow("src", ".ts"),
    ...filesBelow("src", ".js"),
    ...filesBelow("src", ".json"),
    "wasm/abi.ts",
  ];
  const inputs = [...sources, ...ENGINES, ...REPORT, "package-lock.json", "scripts/build.mjs"];
  return { output: "dist/slirp-binding", entry, inputs, make };
}

async function make({ output, make: work }) {
  const temporary = `${path.dirname(output)}/.${process.pid}-${path.basename(output)}`;
  fs.mkdirSync(inRoot(path.dirname(output)), { recursive: true });
  try {
    await work(temporary);
    fs.renameSync(inRoot(temporary), inRoot(output));
    process.stderr.write(`build: ${output}\n`);
  } finally {
    fs.rmSync(inRoot(temporary), { force: true });
  }
}

/** Makes the stale ones of these, a few at a time, and returns what failed. */
async function makeAll(outputs, force) {
  const wanted = outputs.filter((each) => {
    if (fs.existsSync(inRoot(each.entry))) return force || stale(each);
    process.stderr.write(`build: no ${each.output}: "${each.entry}" is missing\n`);
    return false;
  });
  const failures = [];
  const worker = async () => {
    for (let next = wanted.shift(); next !== undefined; next = wanted.shift()) {
      await make(next).catch((error) => failures.push(error.message));
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  return failures;
}

function variants(entry, folder, name) {
  return [
    asc(entry, `${folder}/${name}.wasm`, "simd"),
    asc(entry, `${folder}/${name}-scalar.wasm`, "scalar"),
  ];
}

/** Builds what is stale; throws one error that names everything that failed. */
export async function build({ tests = false, force = false } = {}) {
  const entries = tests ? filesBelow(EXPORTS, ".ts") : [];
  const modules = entries.flatMap((entry) =>
    variants(entry, "build/test", path.basename(entry, ".ts")),
  );
  const failures = [
    ...(await makeAll([...variants("wasm/index.ts", "dist", "engine"), ...modules], force)),
    ...(await makeAll(reportParts(), force)),
  ];
  const whole = [...ENGINES, ...REPORT].every((file) => fs.existsSync(inRoot(file)));
  if (whole) failures.push(...(await makeAll([binary()], force)));
  if (failures.length > 0) throw new Error(failures.join("\n").replaceAll(`${ROOT}/`, ""));
}

if (isMain(import.meta.filename)) {
  main(async () => {
    // Imported here because bootstrap imports this module.
    const { bootstrap } = await import("./bootstrap.mjs");
    await bootstrap({ build: false });
    await build({
      tests: process.argv.includes("--tests"),
      force: process.argv.includes("--force"),
    });
  });
}
