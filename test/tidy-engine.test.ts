/**
 * Rules of `wasm/` that no other tool checks: no module variable but named state, no bare numbers,
 * regions as large as what they hold, units of times, one style of privacy.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { ENGINE_STATE } from "./support/engine-state.ts";
import { blank } from "./support/source.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
/** Arithmetic as it was published, and addresses laid out in a table at the head of the file. */
const ARITHMETIC = new Set(["wasm/prng.ts", "wasm/wire/checksum.ts", "wasm/wire/embedded.ts"]);
/** Small numbers are counts and words of a record; larger ones are facts with a name. */
const SMALL = 9;
const MASKS = new Set([0xff, 0xffff, 0xffffffff]);

const SOURCES = readdirSync(join(ROOT, "wasm"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => `wasm/${name}`)
  .sort()
  .map((file) => ({ file, code: blank(readFileSync(join(ROOT, file), "utf8")) }));

/** The code without declarations of constants and variables at the top level, line by line. */
function bodies(code: string): string[] {
  let isDeclared = false;
  return code.split("\n").map((line) => {
    if (/^(?:export )?(?:const|let) /.test(line)) isDeclared = true;
    const shown = isDeclared ? "" : line;
    if (/;\s*$/.test(line)) isDeclared = false;
    return shown;
  });
}

/** Numbers of a line that have no name: widths of shifts and masks of halves are left out. */
function bare(line: string): number[] {
  return [...line.matchAll(/(?<![\w.$])(?:0x[\da-f]+|\d[\d_]*)(?![\w.])/gi)]
    .filter(({ index }) => !/(?:<<|>>>?)=? $/.test(line.slice(0, index)))
    .map(([text]) => Number(text.replaceAll("_", "")))
    .filter((value) => value > SMALL && !MASKS.has(value));
}

describe("the engine's rules", () => {
  test("module variables are state that the engine keeps, each named in a list", () => {
    const found = SOURCES.flatMap(({ file, code }) => {
      const names = [...code.matchAll(/^(?:export )?let (\w+)/gm)].map(([, name]) => name);
      return names.length === 0 ? [] : [[file, names]];
    });
    assert.deepEqual(Object.fromEntries(found), ENGINE_STATE, "use a record, or name the state");
  });

  test("numbers have names", () => {
    const found = SOURCES.filter(({ file }) => !ARITHMETIC.has(file)).flatMap(({ file, code }) =>
      bodies(code).flatMap((line, index) =>
        bare(line).map((value) => `${file}:${index + 1}: ${value}`),
      ),
    );
    assert.deepEqual(found, []);
  });

  test("regions are as large as what they hold", () => {
    const found = SOURCES.filter(({ code }) => /memory\.data\(\d[\d_]*,/.test(code));
    assert.deepEqual(
      found.map(({ file }) => file),
      [],
    );
  });

  test("times of the clock say their unit", () => {
    const found = SOURCES.flatMap(({ file, code }) =>
      [...code.matchAll(/^(?:export )?const (\w+): i64 =/gm)]
        .map(([, name = ""]) => name)
        .filter((name) => !/_US$|_SHIFT$|_NONE$/.test(name))
        .map((name) => `${file}: ${name}`),
    );
    assert.deepEqual(found, []);
  });

  test("private is what a module does not export", () => {
    const found = SOURCES.filter(({ code }) =>
      /\b(?:private|protected)\b|\bthis\._|#\w/.test(code),
    );
    assert.deepEqual(
      found.map(({ file }) => file),
      [],
    );
  });
});
