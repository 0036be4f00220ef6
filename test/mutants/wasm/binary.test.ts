/** A module is read as it was made, and written as it was read but for the change. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { tinyEngine } from "../../support/tiny-wasm.ts";
import { leb, OP, patchModule, readModule, TYPE } from "./binary.ts";

const { i32, f64 } = TYPE;

function ops(index: number): number[] {
  return readModule(tinyEngine()).functions[index]?.instructions.map(({ op }) => op) ?? [];
}

describe("mutants/wasm/binary", () => {
  test("functions have their signatures and instructions", () => {
    const { functions, globals } = readModule(tinyEngine());
    assert.equal(functions.length, 14);
    assert.deepEqual(globals, []);
    const [control, , received] = functions;
    assert.deepEqual([control?.parameters, control?.results], [[], [i32]]);
    assert.deepEqual([received?.parameters, received?.results], [[i32, f64], []]);
    assert.deepEqual(ops(0), [OP.i32Const, OP.end]);
    assert.deepEqual(ops(2), [OP.end]);
    assert.deepEqual(ops(13), [OP.f64Const, OP.end]);
    assert.equal(control?.instructions[0]?.value, 1024n);
  });

  test("sizes grow with what is put in", () => {
    const module = readModule(tinyEngine());
    const [control] = module.functions;
    const [constant] = control?.instructions ?? [];
    assert.ok(control !== undefined && constant !== undefined);
    const { start, end } = constant;
    const padding = Array.from({ length: 200 }, () => [OP.i32Const, 1, OP.drop]).flat();
    const octets = [...padding, OP.i32Const, ...leb(77n, true)];
    const changed = patchModule(module, [{ start, end, octets }], control.body);
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(changed.slice()));
    const { control: call, init } = exports;
    assert.ok(typeof call === "function" && typeof init === "function");
    assert.equal(call(), 77);
    assert.equal(init(), 0);
    assert.equal(readModule(changed).functions[0]?.instructions.length, 402);
    const nothing = patchModule(module, [], control.body);
    assert.deepEqual(nothing, module.octets);
  });

  test("a module with imports is refused", () => {
    assert.throws(() => readModule(tinyEngine({ imports: true })), /imports/);
  });

  test("numbers", () => {
    assert.deepEqual(leb(0n, false), [0]);
    assert.deepEqual(leb(64n, false), [64]);
    assert.deepEqual(leb(64n, true), [0xc0, 0]);
    assert.deepEqual(leb(-1n, true), [0x7f]);
    assert.deepEqual(leb(-65n, true), [0xbf, 0x7f]);
    assert.deepEqual(leb(624485n, false), [0xe5, 0x8e, 0x26]);
  });
});
