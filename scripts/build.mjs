/**
 * Builds what is stale: the engine (SIMD and scalar), the AssemblyScript test modules, the binary.
 *
 *     node scripts/build.mjs [--tests] [--mutants] [--force]
 *
 *     dist/engine.wasm, dist/engine-scalar.wasm   wasm/index.ts
 *     dist/report.js.txt, report.css.txt          src/lab/sim/report/browser and uPlot
 *     dist/ui.js.txt, ui.css.txt                  src/ui/browser and uPlot
 *     dist/slirp-binding                          src/main.ts, worker and all of these in one file
 *     build/test/engine-checked.wasm              wasm/index.ts with assertions, with --tests
 *     build/test/NAME.wasm, NAME-scalar.wasm      test/wasm/exports/NAME.ts, with --tests
 *     build/plain/engine.wasm, NAME.wasm          the same two, as they are written, with --mutants
 *
 * An output is stale when an input is younger. Outputs appear by rename, so nobody reads half of
 * one, and scripts that run at the same time do not harm each other.
 */
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import process from "node:process";
import { install } from "./install.mjs";
import { inRoot, isMain, main, must, ROOT, tool } from "./shell.mjs";

const PARALLEL = 2;
const ASC = "node_modules/assemblyscript/bin/asc.js";
/**
 * Functions with so many callers, most of them seldom called, that inlining costs more octets than
 * it is worth, by the names that asc gives them: what is done once for a flow, for errors and for
 * the link's own protocols.
 */
const OUT_OF_LINE = [
  ...["stats/drop", "ring/*Alloc", "ring/msgSetName6", "flow/emit/isOwnAddress", "flow/icmp*"],
  ...["flow/table/mark*", "flow/table/listOldest", "flow/table/shareMove", "flow/parties/*"],
  ...["flow/queries/*", "wire/icmp*", "wire/ndp/*", "wire/dhcpv4/*", "local/*-options/*"],
];
/**
 * What asc takes for granted in every module and does not name there, and how to optimize.
 * `--no-inline` is a pass that marks functions: without effect where it comes after -O3. Functions
 * of one file stand side by side at the end, where gzip finds more that is alike.
 */
const OPTIMIZATION = [
  ...["--enable-bulk-memory", "--enable-sign-ext", "--enable-mutable-globals"],
  ...["--enable-nontrapping-float-to-int", "--low-memory-unused"],
  ...["--always-inline-max-function-size", "8", "--flexible-inline-max-function-size", "50"],
  ...OUT_OF_LINE.map((name) => `--no-inline=wasm/${name}`),
  ...["--converge", "-O3", "--reorder-functions-by-name"],
];
const ENGINES = ["dist/engine.wasm", "dist/engine-scalar.wasm"];
const CHECKED = "build/test/engine-checked.wasm";
const WORKER = "src/binding/worker.ts";
/** Pages, and where the code of each is; their parts are `dist/NAME.js.txt` and `.css.txt`. */
const PAGES = { report: "src/lab/sim/report/browser", ui: "src/ui/browser" };
const PLOTS = "node_modules/uplot/dist";
/** Not .js and .css: Bun would take those for code of the program. */
const PAGE_PARTS = Object.keys(PAGES).flatMap((name) => {
  return [`dist/${name}.js.txt`, `dist/${name}.css.txt`];
});
const EXPORTS = "test/wasm/exports";
/** Not optimized and with source maps, which `test/mutants/wasm` reads and changes. */
const PLAIN = "build/plain";
/** What has code of its own without SIMD: checksums. */
const SCALAR_CODE = "wire";

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
    const map = inRoot(`${temporary}.map`);
    if (fs.existsSync(map)) fs.renameSync(map, inRoot(`${output}.map`));
  };
  const shared = [...filesBelow("wasm", ".ts"), "asconfig.json", "scripts/build.mjs"];
  return { output, entry, inputs: [entry, ...shared], make: compile };
}

/**
 * An engine as it is shipped: asc only compiles it, wasm-opt optimizes. asc's own way to optimize
 * inlines so much that the module is larger and no faster (docs/dependencies.md).
 */
function engine(output, target, features) {
  const plain = asc("wasm/index.ts", output, target);
  const optimize = async (temporary) => {
    await plain.make(temporary);
    const args = [temporary, ...features, ...OPTIMIZATION, "-o", temporary];
    await must(tool("wasm-opt"), args, { quiet: true });
  };
  return { ...plain, inputs: [...plain.inputs, "package-lock.json"], make: optimize };
}

/** What a page carries: a library's text as it is, and ours after it. */
function pagePart(output, entry, library, own) {
  const make = async (temporary) => {
    const texts = [fs.readFileSync(inRoot(library), "utf8"), await own(inRoot(temporary))];
    fs.writeFileSync(inRoot(temporary), texts.map((text) => `${text.trim()}\n`).join(""));
  };
  const folder = path.dirname(entry);
  const sources = [
    ...filesBelow(folder, ".ts"),
    ...filesBelow(folder, ".css"),
    "package-lock.json",
  ];
  const inputs = [...sources, "src/lib/units.ts", "scripts/build.mjs"];
  return { output, entry, inputs, make };
}

function pageParts(name, folder) {
  const [script, style] = [`${folder}/main.ts`, `${folder}/page.css`];
  const bundle = async (temporary) => {
    const args = ["build", script, "--target", "browser", "--format", "iife", "--minify"];
    await must(tool("bun"), [...args, "--outfile", temporary], { quiet: true });
    return fs.readFileSync(temporary, "utf8");
  };
  const copy = () => fs.readFileSync(inRoot(style), "utf8");
  return [
    pagePart(`dist/${name}.js.txt`, script, `${PLOTS}/uPlot.iife.min.js`, bundle),
    pagePart(`dist/${name}.css.txt`, style, `${PLOTS}/uPlot.min.css`, copy),
  ];
}

/**
 * Variables by which a runtime in a binary is told to be something else: an interpreter of whatever
 * its arguments say, one with more modules in it or with a debugger, one that writes files. `bun
 * build` has no switch for them, as it has for bunfig.toml and .env.
 */
const RUNTIME_VARIABLES = [
  "BE_BUN",
  "OPTIONS",
  "INSPECT",
  "BYTECODE_(?:ORDER|DIGEST|ORDER_NAMES)_OUT",
];
/** As the runtime's code has the names; in messages and scripts other characters precede them. */
const RUNTIME_NAMES = new RegExp(`(?<=[\\0A-Za-z_])BUN_(?:${RUNTIME_VARIABLES.join("|")})`, "g");

/**
 * Makes the names unfit for any environment: none can have a zero in it. What follows the first
 * character stays, as other names may share it.
 * @param octets an executable of Bun, changed in place
 * @returns the names that were found
 */
export function deafen(octets) {
  // One character for each octet, so that places are the same.
  const found = [...octets.toString("latin1").matchAll(RUNTIME_NAMES)];
  for (const { index } of found) octets[index] = 0;
  return new Set(found.map(([name]) => name));
}

/** A copy of Bun that hears no such variable. */
function deafRuntime(file) {
  const octets = fs.readFileSync(fs.realpathSync(tool("bun")));
  const found = deafen(octets);
  for (const name of ["BUN_BE_BUN", "BUN_OPTIONS", "BUN_INSPECT"]) {
    if (!found.has(name)) throw new Error(`this Bun does not name ${name}: see scripts/build.mjs`);
  }
  fs.writeFileSync(file, octets, { mode: 0o755 });
}

/** Throws where a binary does what a variable says. */
function checkDeaf(file) {
  const env = { BUN_BE_BUN: "1", BUN_OPTIONS: `--preload=${inRoot("dist/no-such-module.js")}` };
  const said = execFileSync(file, ["--version"], { env, encoding: "utf8" });
  if (!said.startsWith("slirp-binding ")) throw new Error(`the binary obeys BUN_BE_BUN: ${said}`);
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
    const files = [...ENGINES, ...PAGE_PARTS];
    const args = ["build", "--compile", entry, WORKER, ...files, ...layout, ...shrink];
    const runtime = `${temporary}-runtime`;
    try {
      deafRuntime(inRoot(runtime));
      const target = [`--compile-executable-path=${inRoot(runtime)}`, "--outfile", temporary];
      await must(tool("bun"), [...args, ...settings, ...target], { quiet: true });
      checkDeaf(inRoot(temporary));
    } finally {
      fs.rmSync(inRoot(runtime), { force: true });
    }
  };
  const sources = [
    ...filesBelow("src", ".ts"),
    ...filesBelow("src", ".js"),
    ...filesBelow("src", ".json"),
    ...filesBelow("wasm/abi", ".ts"),
    ...["wasm/abi.ts", "wasm/errno.ts"],
  ];
  const inputs = [...sources, ...ENGINES, ...PAGE_PARTS, "package-lock.json", "scripts/build.mjs"];
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

/** What `npm run mutants -- --wasm` changes. */
function plain() {
  const modules = filesBelow(EXPORTS, ".ts").map((entry) => {
    return asc(entry, `${PLAIN}/${path.basename(entry, ".ts")}.wasm`, "plain");
  });
  const scalar = `${PLAIN}/${SCALAR_CODE}-scalar.wasm`;
  return [
    asc("wasm/index.ts", `${PLAIN}/engine.wasm`, "plain-checked"),
    asc(`${EXPORTS}/${SCALAR_CODE}.ts`, scalar, "plain-scalar"),
    ...modules,
  ];
}

function engines() {
  const [vectors, scalar] = ENGINES;
  return [engine(vectors, "engine", ["--enable-simd"]), engine(scalar, "engine-scalar", [])];
}

/** Builds the engines alone, where they are stale. */
export async function buildEngines() {
  const failures = await makeAll(engines(), false);
  if (failures.length > 0) throw new Error(failures.join("\n").replaceAll(`${ROOT}/`, ""));
}

/**
 * Builds what is stale, with `checked` the engine that soak runs use, too; throws one error that
 * names everything that failed.
 */
export async function build({
  tests = false,
  checked = false,
  mutants = false,
  force = false,
} = {}) {
  const entries = tests ? filesBelow(EXPORTS, ".ts") : [];
  const modules = entries.flatMap((entry) =>
    variants(entry, "build/test", path.basename(entry, ".ts")),
  );
  if (tests || checked) modules.unshift(asc("wasm/index.ts", CHECKED, "checked"));
  if (mutants) modules.push(...plain());
  const parts = Object.entries(PAGES).flatMap(([name, folder]) => pageParts(name, folder));
  const failures = [
    ...(await makeAll([...engines(), ...modules], force)),
    ...(await makeAll(parts, force)),
  ];
  const whole = [...ENGINES, ...PAGE_PARTS].every((file) => fs.existsSync(inRoot(file)));
  if (whole) failures.push(...(await makeAll([binary()], force)));
  if (failures.length > 0) throw new Error(failures.join("\n").replaceAll(`${ROOT}/`, ""));
}

if (isMain(import.meta.filename)) {
  main(async () => {
    await install();
    await build({
      tests: process.argv.includes("--tests"),
      mutants: process.argv.includes("--mutants"),
      force: process.argv.includes("--force"),
    });
  });
}
