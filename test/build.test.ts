/**
 * What the build made: engines without imports and with a memory that cannot grow, a binary that is
 * nothing but this program. And what it is made from: packages and a base image by their checksums.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { deafen } from "../scripts/build.mjs";
import { unsealed } from "../scripts/lock.mjs";
import { engineBytes, workerUrl } from "../src/assets.ts";

const PAGE_SIZE = 65536;
const MEMORY_PAGES = 2048;
/** Octets, plain and as servers send it: more is a function that is inlined into many callers. */
const ENGINE_SIZE_MAX = 110_000;
const ENGINE_GZIP_MAX = 45_000;

for (const simd of [true, false]) {
  describe(`engine ${simd ? "with SIMD" : "without SIMD"}`, () => {
    const load = (): WebAssembly.Module => new WebAssembly.Module(engineBytes(simd));

    test("imports nothing", () => {
      assert.deepEqual(WebAssembly.Module.imports(load()), []);
    });

    test("is small, and has no names of functions", () => {
      const octets = engineBytes(simd);
      assert.ok(octets.byteLength <= ENGINE_SIZE_MAX, `${octets.byteLength} octets`);
      const { byteLength } = gzipSync(octets, { level: 9 });
      assert.ok(byteLength <= ENGINE_GZIP_MAX, `${byteLength} octets by gzip`);
      assert.deepEqual(WebAssembly.Module.customSections(load(), "name"), []);
    });

    test("exports a memory of fixed size", () => {
      const { memory } = new WebAssembly.Instance(load(), {}).exports;
      assert.ok(memory instanceof WebAssembly.Memory);
      assert.equal(memory.buffer.byteLength, MEMORY_PAGES * PAGE_SIZE);
      assert.throws(() => memory.grow(1), RangeError);
    });
  });
}

test("the scalar engine is another module than the one with SIMD", () => {
  assert.notDeepEqual(engineBytes(true), engineBytes(false));
});

test("the worker's entry is looked up beside the sources", () => {
  assert.ok(workerUrl().pathname.endsWith("/src/binding/worker.ts"));
});

describe("the binary is no interpreter", () => {
  const file = join(import.meta.dirname, "../dist/slirp-binding");
  const skip = existsSync(file) ? false : "needs dist/slirp-binding";
  const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));

  /** Runs it in a folder that tries to have its way with it. */
  function run(args: readonly string[], variables: Readonly<Record<string, string>>): string {
    const cwd = mkdtempSync(join(tmpdir(), "slirp-deaf-"));
    try {
      writeFileSync(join(cwd, "evil.js"), 'console.log("EVIL")');
      writeFileSync(join(cwd, "bunfig.toml"), 'preload = ["./evil.js"]');
      writeFileSync(join(cwd, ".env"), "BUN_BE_BUN=1");
      const { stdout } = spawnSync(file, args, { cwd, encoding: "utf8", env: variables });
      return stdout;
    } finally {
      rmSync(cwd, { recursive: true });
    }
  }

  const variables: readonly (readonly [string, string])[] = [
    ["PATH", "/usr/bin"],
    ["BUN_BE_BUN", "1"],
    ["BUN_OPTIONS", "--preload=./evil.js"],
    ["BUN_INSPECT_PRELOAD", "./evil.js"],
    ["BUN_INSPECT", "unix:///evil.sock"],
    ["NODE_OPTIONS", "--require ./evil.js"],
  ];
  for (const [name, value] of variables) {
    test(`whatever ${name} says`, { skip }, () => {
      assert.equal(run(["--version"], { [name]: value }), `slirp-binding ${version}\n`);
    });
  }

  test("whatever its arguments say", { skip }, () => {
    const env = { BUN_BE_BUN: "1", BUN_OPTIONS: "--bun" };
    for (const args of [["-e", 'console.log("EVIL")'], ["--preload", "./evil.js"], ["./evil.js"]]) {
      assert.ok(!run(args, env).includes("EVIL"), args.join(" "));
    }
  });

  test("because the names of variables are no names any more, and nothing else is", () => {
    const names = "x\0BUN_BE_BUN\0yBUN_OPTIONSBUN_INSPECT_PRELOAD\0";
    const others = 'process.env.BUN_INSPECT "BUN_OPTIONS" (BUN_BE_BUN) BUN_TMPDIR';
    const octets = Buffer.from(names + others, "latin1");
    assert.deepEqual(deafen(octets), new Set(["BUN_BE_BUN", "BUN_OPTIONS", "BUN_INSPECT"]));
    const wanted = "x\0\0UN_BE_BUN\0y\0UN_OPTIONS\0UN_INSPECT_PRELOAD\0";
    assert.equal(octets.toString("latin1"), wanted + others);
  });
});

describe("what it is made from", () => {
  const read = (name: string) => readFileSync(new URL(`../${name}`, import.meta.url), "utf8");
  const lock = JSON.parse(read("package-lock.json"));

  test("every package has a checksum", () => {
    assert.deepEqual(unsealed(lock), []);
    const some = { packages: { "": {}, "node_modules/a": { version: "1.0.0" } } };
    assert.deepEqual(unsealed(some), ["node_modules/a"]);
  });

  test("no package comes from a place of its own", () => {
    const entries = Object.values<{ resolved?: string; link?: boolean }>(lock.packages);
    assert.ok(entries.every(({ resolved, link }) => resolved === undefined && link === undefined));
    assert.doesNotMatch(read("package-lock.json"), /"resolved"|"(?:git|file|ssh)[+:]/);
  });

  test("base images are named by digest, if they are named", () => {
    const bases = [...read("Containerfile").matchAll(/^ARG \w*BASE=(\S+)$/gm)].map(
      ([, base]) => base,
    );
    assert.equal(bases.length, 2);
    for (const base of bases) assert.match(base ?? "", /^(?:scratch|.+@sha256:[0-9a-f]{64})$/);
    const stages = [...read("Containerfile").matchAll(/^FROM \$\{(\w+)\}/gm)].map(
      ([, from]) => from,
    );
    assert.deepEqual(stages, ["BUILD_BASE", "BASE"]);
  });
});
