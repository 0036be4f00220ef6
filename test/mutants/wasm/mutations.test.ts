/**
 * A small AssemblyScript module, compiled as the engine is for this: every change of it that is
 * found, and what the module does once it is made.
 */
import assert from "node:assert/strict";
import { SourceMap, type SourceMapPayload } from "node:module";
import { before, describe, test } from "node:test";
import { main } from "assemblyscript/asc";
import { applyMutation } from "../mutations.ts";
import { patchModule, readModule, type WasmModule } from "./binary.ts";
import { Body } from "./body.ts";
import { type BinaryMutation, Source } from "./mutations.ts";

const FILE = "wasm/a.ts";
const TEXT = `
const CHECKED: bool = true;
let total: u32 = 0;
export function compare(a: i32, b: i32): bool { return a < b; }
export function unsigned(a: u32, b: u32): bool { return a >= b; }
export function sum(a: u64, b: u64): u64 { return a + b; }
export function narrow(a: u8): u8 { a += 3; return a; }
export function both(a: i32, b: i32): bool { return a == 1 && b == 2; }
export function either(a: i32, b: i32): bool { return a == 1 || b == 2; }
export function pick(a: i32): i32 { return a > 0 ? 5 : 6; }
export function less(a: u32): u32 { return min(a, 7); }
export function not(a: bool): bool { return !a; }
export function count(n: u32): u32 {
  let seen: u32 = 0;
  for (let i: u32 = 0; i < n; i++) {
    if (i == 3) break;
    seen += 2;
  }
  return seen;
}
function note(n: u32): void { total = n; }
function told(n: u32): u32 { total = n; return n; }
export function noted(n: u32): u32 { note(n); return total; }
export function heard(n: u32): u32 { told(n); return total; }
export function asserted(n: u32): u32 {
  if (CHECKED) assert(n < 100);
  store<u32>(1024, n);
  return load<u32>(1024);
}
`;

type Exports = WebAssembly.Instance["exports"];

interface Found {
  readonly text: string;
  readonly mutation: BinaryMutation;
}

let module: WasmModule;
/** By function: all changes, and the source that each stands for. */
const found = new Map<string, Found[]>();

before(async () => {
  const files = new Map<string, string | Uint8Array>([[FILE, TEXT]]);
  const args = [FILE, "-O0", "--debug", "--sourceMap", "--runtime", "stub", "-o", "a.wasm"];
  const use = ["--use", "abort=", "--runPasses", "memory-packing", "--initialMemory", "1"];
  const { error } = await main([...args, ...use], {
    readFile: (name) => {
      const content = files.get(name);
      return typeof content === "string" ? content : null;
    },
    writeFile: (name, content) => {
      files.set(name, content);
    },
    listFiles: () => [],
  });
  assert.equal(error, null);
  const binary = files.get("a.wasm");
  assert.ok(binary instanceof Uint8Array);
  module = readModule(binary);
  const map = new SourceMap(JSON.parse(String(files.get("a.wasm.map"))) as SourceMapPayload);
  const source = new Source(FILE, TEXT);
  for (const fn of module.functions) {
    if (!fn.name.startsWith("wasm/a/")) continue;
    const offsets = fn.instructions.map(({ start }) => source.offsetIn(map, start));
    const mutations = source.sitesOf(new Body(module, fn, offsets)).flat();
    const told = mutations.map((mutation) => ({ text: applyMutation(TEXT, mutation), mutation }));
    found.set(fn.name.slice("wasm/a/".length), told);
  }
});

/** The module with the change that makes `to` of `from` in the source of a function. */
function changed(name: string, from: string, to: string): Exports {
  const wanted = TEXT.replace(from, to);
  assert.notEqual(wanted, TEXT);
  const mutation = found.get(name)?.find(({ text }) => text === wanted)?.mutation;
  assert.ok(mutation !== undefined, `"${name}" has no change to "${to}"`);
  const fn = module.functions.find((each) => each.name === `wasm/a/${name}`);
  assert.ok(fn !== undefined);
  const octets = patchModule(module, mutation.edit(fn, module.octets), fn.body);
  return new WebAssembly.Instance(new WebAssembly.Module(octets.slice())).exports;
}

/** Function, text before and after, arguments, result before and after. */
type Case = readonly [string, string, string, readonly (number | bigint)[], unknown, unknown];

const CASES: readonly Case[] = [
  ["compare", "a < b", "a <= b", [2, 2], 0, 1],
  ["compare", "a < b", "a >= b", [1, 2], 1, 0],
  ["compare", "a < b", "a < (unsigned) b", [-1, 2], 1, 0],
  ["compare", "return a < b", "return 0", [1, 2], 1, 0],
  ["unsigned", "a >= b", "a >= (signed) b", [-1, 2], 1, 0],
  ["sum", "a + b", "a - b", [5n, 2n], 7n, 3n],
  ["sum", "return a + b", "return 0", [5n, 2n], 7n, 0n],
  ["narrow", "a += 3", "a -= 3", [10], 13, 7],
  ["narrow", "a += 3", "a += 4", [10], 13, 14],
  ["narrow", "a += 3;", ";", [10], 13, 10],
  ["both", "a == 1 && b == 2", "a == 1 || b == 2", [1, 3], 0, 1],
  ["both", "a == 1 && b == 2", "a == 1", [1, 3], 0, 1],
  ["both", "a == 1 && b == 2", "b == 2", [3, 2], 0, 1],
  ["either", "a == 1 || b == 2", "a == 1 && b == 2", [1, 3], 1, 0],
  ["either", "a == 1 || b == 2", "a == 1", [3, 2], 1, 0],
  ["either", "a == 1 || b == 2", "b == 2", [1, 3], 1, 0],
  ["pick", "a > 0 ?", "!(a > 0) ?", [1], 5, 6],
  ["pick", "a > 0 ?", "true ?", [0], 6, 5],
  ["pick", "a > 0 ?", "false ?", [1], 5, 6],
  ["less", "min(a, 7)", "max(a, 7)", [9], 7, 9],
  ["not", "!a", "a", [0], 1, 0],
  ["count", "i < n;", "false;", [2], 4, 0],
  ["count", "(i == 3) break;", "(i == 3) ;", [5], 6, 10],
  ["count", "seen += 2;", ";", [2], 4, 0],
  ["count", "u32 {\n  let", "u32 { return 0;\n  let", [2], 4, 0],
  ["note", "total = n; }\nfunction", "; }\nfunction", [2], 2, 0],
  ["noted", "note(n);", ";", [2], 2, 0],
  ["heard", "told(n);", ";", [2], 2, 0],
  ["asserted", "store<u32>(1024, n);", ";", [2], 2, 0],
];

describe("mutants/wasm/mutations", () => {
  for (const [name, from, to, args, before_, after] of CASES) {
    test(`${name}: ${from} becomes ${to}`, () => {
      const asked = name === "note" ? "noted" : name;
      const call = (exports: Exports): unknown => {
        const fn = exports[asked];
        assert.ok(typeof fn === "function");
        return fn(...args) as unknown;
      };
      const plain = new WebAssembly.Instance(new WebAssembly.Module(module.octets.slice()));
      assert.deepEqual(call(plain.exports), before_);
      assert.deepEqual(call(changed(name, from, to)), after);
    });
  }

  test("what is said of an assertion stays", () => {
    const texts = found.get("asserted")?.map(({ text }) => text) ?? [];
    assert.ok(texts.length > 0);
    for (const text of texts) assert.match(text, /if \(CHECKED\) assert\(n < 100\);/);
  });

  test("a step of a loop stays, which would never end", () => {
    const texts = found.get("count")?.map(({ text }) => text) ?? [];
    for (const text of texts) assert.match(text, /; i\+\+\)/);
  });

  test("every change makes a module that can be loaded", () => {
    for (const [name, all] of found) {
      const fn = module.functions.find((each) => each.name === `wasm/a/${name}`);
      assert.ok(fn !== undefined);
      for (const { text, mutation } of all) {
        const octets = patchModule(module, mutation.edit(fn, module.octets), fn.body);
        assert.ok(WebAssembly.validate(octets.slice()), text);
      }
    }
  });
});
