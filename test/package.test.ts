/**
 * The package as its users have it: packed, installed outside of the project without a network, run
 * by every runtime, compiled against, bundled, misused.
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { findings } from "../scripts/package-check.mjs";
import { stageJsr } from "../scripts/package-jsr.mjs";
import { engineBytes } from "../src/assets.ts";
import { detectSimd } from "../src/engine/module.ts";
import { simulate } from "../src/lab/sim/index.ts";
import { CONSUMER, MISUSE, type Misuse } from "./support/package-consumer.ts";

const ROOT = join(import.meta.dirname, "..");
const NAME = "slirp-engine";
const tool = (name: string): string => join(ROOT, "node_modules/.bin", name);
const RUNTIMES: Readonly<Record<string, readonly string[]>> = {
  node: [process.execPath],
  bun: [tool("bun")],
  deno: [tool("deno"), "run", "--allow-all"],
};
/** Examples of one runtime each; `test/e2e/embedded-qemu.test.ts` has the one with a machine. */
const NONE = { file: "back-to-back.mjs", says: /came back/ };
const EXAMPLES: Readonly<Record<string, typeof NONE>> = {
  bun: { file: "bun.ts", says: /Bun/ },
  deno: { file: "deno.ts", says: /has echoed "hello"/ },
};
/**
 * Octets of a consumer's bundle, minified, of what makes a network and nothing else. The aim is
 * 25,000 (ARCHITECTURE.md says what stands in the way).
 */
const BUNDLE_MAX = 37_500;
const BUNDLE_GZIP_MAX = 14_400;
const TARBALL_MAX = 300_000;

const folder = mkdtempSync(join(tmpdir(), "slirp-package-"));
const installed = join(folder, "node_modules", NAME);
let tarball = "";

before(() => {
  const args = ["pack", join(ROOT, "packages/engine"), "--pack-destination", folder];
  execFileSync("npm", args, { stdio: ["ignore", "ignore", "inherit"] });
  const [file = ""] = readdirSync(folder);
  tarball = join(folder, file);
  const manifest = { name: "consumer", private: true, type: "module" };
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest));
  const quiet = ["--offline", "--no-audit", "--no-fund", "--ignore-scripts"];
  execFileSync("npm", ["install", ...quiet, tarball], { cwd: folder, stdio: "ignore" });
  for (const name of ["back-to-back.mjs", "bun.ts", "deno.ts", "node-qemu.mjs"]) {
    cpSync(join(ROOT, "examples", name), join(folder, "examples", name));
  }
});

after(() => rmSync(folder, { recursive: true, force: true }));

function put(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return name;
}

/** Runs a file of the consumer's; what it says. */
function run(runtime: string, file: string, ...rest: string[]): string {
  const [command = "", ...args] = RUNTIMES[runtime] ?? [];
  // Deno takes any value of FORCE_COLOR, 0 too, as a wish for colours.
  const env: NodeJS.ProcessEnv = { ...process.env, NO_COLOR: "1" };
  delete env["FORCE_COLOR"];
  const options = { cwd: folder, encoding: "utf8", timeout: 60_000, env } as const;
  const { status, stdout, stderr } = spawnSync(command, [...args, file, ...rest], options);
  assert.equal(status, 0, `${runtime} ${file}: ${stderr}`);
  return stdout;
}

describe("package", () => {
  test("has what it should and nothing else", () => {
    const list = execFileSync("tar", ["tzf", tarball], { encoding: "utf8" }).trim().split("\n");
    const files = list.map((name) => name.replace(/^package\//, ""));
    const types = files.filter((name) => name.startsWith("dist/types/"));
    assert.ok(types.every((name) => /^dist\/types\/(src|wasm)\/.*\.d\.ts$/.test(name)));
    const others = files.filter((name) => !types.includes(name) && !name.includes("/chunk-"));
    const entries = ["index", "node", "sim", "web"].map((name) => `dist/${name}.js`);
    const engines = ["dist/engine.wasm", "dist/engine-scalar.wasm"];
    const wanted = [...entries, ...engines, "LICENSE", "README.md", "package.json"];
    assert.deepEqual(others.sort(), wanted.sort());
    assert.ok(readFileSync(tarball).length <= TARBALL_MAX, `${readFileSync(tarball).length}`);
  });

  test("is of the program's version and licence, and depends on nothing", () => {
    const read = (path: string): Record<string, unknown> =>
      JSON.parse(readFileSync(join(path, "package.json"), "utf8"));
    const [program, own] = [read(ROOT), read(installed)];
    for (const key of ["version", "license", "engines"]) assert.deepEqual(own[key], program[key]);
    const jsr = JSON.parse(readFileSync(join(ROOT, "packages/engine/deno.json"), "utf8"));
    assert.equal(jsr.version, program["version"]);
    assert.equal(own["dependencies"], undefined);
    assert.deepEqual(readFileSync(join(installed, "LICENSE")), readFileSync(join(ROOT, "LICENSE")));
  });

  test("what browsers load uses nothing of Node", () => {
    for (const name of ["index", "sim", "web"]) {
      const seen = new Set([`${name}.js`]);
      for (const file of seen) {
        const text = readFileSync(join(installed, "dist", file), "utf8");
        for (const [, specifier = ""] of text.matchAll(/(?:from|import) ?"([^"]+)"/g)) {
          assert.match(specifier, /^\.\//, file);
          seen.add(specifier.slice(2));
        }
      }
    }
  });

  test("publint, arethetypeswrong and JSR find nothing", async () => {
    stageJsr();
    assert.deepEqual(await findings(tarball), []);
  });
});

describe("package: a consumer", () => {
  for (const runtime of Object.keys(RUNTIMES)) {
    test(`runs the engine against itself in ${runtime}`, () => {
      const said = run(runtime, "examples/back-to-back.mjs", "2");
      assert.match(said, /^2097152 of 2097152 octets came back/);
    });

    test(`runs its examples in ${runtime}`, () => {
      const { file, says } = EXAMPLES[runtime] ?? NONE;
      assert.match(run(runtime, `examples/${file}`), says);
    });

    test(`simulates in ${runtime}`, () => {
      const file = put(
        "sim.mjs",
        `import { simulate } from "${NAME}/sim";
         import { readEngine } from "${NAME}/node";
         const { ok, hash } = simulate(await readEngine(), 3);
         console.log(ok, hash);`,
      );
      const { hash } = simulate(engineBytes(detectSimd()), 3);
      assert.equal(run(runtime, file), `true ${hash}\n`);
    });
  }

  test("is told how the example with a machine is called", () => {
    const options = { cwd: folder, encoding: "utf8" } as const;
    const called = spawnSync(process.execPath, ["examples/node-qemu.mjs"], options);
    assert.equal(called.status, 2);
    assert.match(called.stderr, /^usage: node node-qemu\.mjs PATH/);
  });

  test("finds the engines by their names", () => {
    const file = put(
      "files.mjs",
      `import { readFileSync } from "node:fs";
       import { fileURLToPath } from "node:url";
       for (const name of ["engine.wasm", "engine-scalar.wasm", "package.json"]) {
         const path = fileURLToPath(import.meta.resolve("${NAME}/" + name));
         console.log(readFileSync(path).length);
       }`,
    );
    const sizes = run("node", file).trim().split("\n").map(Number);
    assert.ok(sizes.length === 3 && sizes.every((size) => size > 500), `${sizes}`);
  });

  test("is told by require() that it is an ES module, or has it", () => {
    put("require.cjs", `console.log(typeof require("${NAME}").createNetwork);`);
    const { status, stdout, stderr } = spawnSync(process.execPath, ["require.cjs"], {
      cwd: folder,
      encoding: "utf8",
    });
    if (status === 0) assert.equal(stdout, "function\n");
    else assert.match(stderr, /ERR_REQUIRE_ESM/);
  });

  const STRICT = { strict: true, noEmit: true, target: "es2022", skipLibCheck: false };
  const TYPES = join(ROOT, "node_modules/@types");
  const SKIP = { skipLibCheck: true };
  for (const [name, options] of Object.entries({
    node16: { module: "node16", moduleResolution: "node16", lib: ["es2022", "dom"], types: [] },
    bundler: { module: "esnext", moduleResolution: "bundler", lib: ["es2022", "dom"], types: [] },
    worker: { module: "esnext", moduleResolution: "bundler", lib: ["es2022", "webworker"] },
    // Node's own types of this version do not know WebAssembly: `skipLibCheck`, as README.md says.
    node: { module: "node20", lib: ["es2022"], types: ["node"], typeRoots: [TYPES], ...SKIP },
  })) {
    test(`compiles against the types, strictly: ${name}`, () => {
      const source = name === "node" ? `${CONSUMER}import "${NAME}/node";\n` : CONSUMER;
      put("consumer.ts", source);
      const compilerOptions = { types: [], ...STRICT, ...options };
      put("tsconfig.json", JSON.stringify({ compilerOptions, files: ["consumer.ts"] }));
      const { status, stdout } = spawnSync(tool("tsc"), ["--project", folder], {
        encoding: "utf8",
      });
      assert.equal(status, 0, stdout);
    });
  }

  test("gets a bundle no larger than it was", () => {
    put("bundle.mjs", `import { createNetwork } from "${NAME}"; console.log(createNetwork);`);
    const args = ["bundle.mjs", "--bundle", "--minify", "--format=esm", "--target=es2022"];
    const bundle = execFileSync(tool("esbuild"), args, { cwd: folder });
    const sizes = `${bundle.length} octets, ${gzipSync(bundle).length} by gzip`;
    assert.ok(bundle.length > 10_000 && bundle.length <= BUNDLE_MAX, sizes);
    assert.ok(gzipSync(bundle).length <= BUNDLE_GZIP_MAX, sizes);
  });
});

describe("package: misuse", () => {
  for (const runtime of Object.keys(RUNTIMES)) {
    test(`gets a typed error in ${runtime}`, () => {
      const found: readonly Misuse[] = JSON.parse(run(runtime, put("misuse.mjs", MISUSE)));
      assert.ok(found.length >= 25);
      for (const { what, wanted, code, isTyped, message } of found) {
        assert.equal(code, wanted, `${what}: ${message}`);
        assert.equal(isTyped, true, what);
        assert.doesNotMatch(message, /\n|\.$/, what);
      }
    });
  }
});
