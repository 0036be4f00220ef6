/** What the build made: engines without imports and with a memory that cannot grow. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { engineBytes, workerUrl } from "../src/assets.ts";

const PAGE_SIZE = 65536;
const MEMORY_PAGES = 2048;

for (const simd of [true, false]) {
  describe(`engine ${simd ? "with SIMD" : "without SIMD"}`, () => {
    const load = (): WebAssembly.Module => new WebAssembly.Module(engineBytes(simd));

    test("imports nothing", () => {
      assert.deepEqual(WebAssembly.Module.imports(load()), []);
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
