/** A broken rule stops the engine at once and leaves its line in memory. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { loadTestModule, VARIANTS } from "../support/wasm.ts";

for (const variant of VARIANTS) {
  describe(`wasm/trap (${variant})`, () => {
    test("a rule that holds costs nothing, a broken one traps", () => {
      const wasm = loadTestModule("base", variant);
      wasm.run("trapCheck", 1);
      assert.equal(wasm.u32("trapLine"), 0);
      assert.throws(() => wasm.run("trapCheck", 0), WebAssembly.RuntimeError);
      assert.notEqual(wasm.u32("trapLine"), 0);
    });

    test("an abort of the compiler's own goes the same way, with its line", () => {
      const wasm = loadTestModule("base", variant);
      assert.throws(() => wasm.run("onAbort", 0, 0, 321, 5), WebAssembly.RuntimeError);
      assert.equal(wasm.u32("trapLine"), 321);
    });
  });
}
