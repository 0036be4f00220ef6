/** Tests that pass and fail, for those of the runner itself. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";

const nextTask = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("group", () => {
  describe("inner", () => {
    test("passes", () => {
      assert.deepEqual(Buffer.from("text").toString("hex"), "74657874");
    });

    test("is wrong", () => {
      assert.equal(1, 2, "one is not two");
    });
  });

  test("rejects", async () => {
    await nextTask();
    throw new Error("too late");
  });

  test("traps", () => {
    const code = [
      0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0,
    ];
    const module = new WebAssembly.Module(new Uint8Array([...code, 10, 5, 1, 3, 0, 0, 11]));
    const { f } = new WebAssembly.Instance(module).exports;
    if (typeof f === "function") f();
  });

  test("reads what is not there", () => {
    readFileSync(new URL("file:///dist/none.wasm"));
  });
});

test("waits and passes", nextTask);
