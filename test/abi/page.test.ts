/** What is made of the constants of the ABI is up to date: the C header of `examples/c-host`. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import * as abi from "../../wasm/abi.ts";
import { allConstants, readConstants } from "./constants.ts";
import { cHeader } from "./header.ts";

describe("constants of the ABI, from their sources", () => {
  test("are those that the host imports, all of them", () => {
    const found = allConstants().map(({ name, value }) => [name, value]);
    const exported = Object.entries(abi).map(([name, value]) => [name, Number(value)]);
    assert.deepEqual(new Map(found as [string, number][]), new Map(exported as [string, number][]));
    assert.equal(found.length, exported.length);
  });

  test("have the comments above and behind them", () => {
    const text = [
      "/** What the file is. */",
      "",
      "// ---- a section",
      "",
      "/** First line,",
      " * second line. */",
      "export const ABI_VERSION: i32 = 2; // and behind",
      "export const OP_CLOSE: i32 = 5;",
    ];
    assert.deepEqual(
      readConstants(text.join("\n")).map(({ name, comment }) => [name, comment]),
      [
        ["ABI_VERSION", "First line, second line. and behind"],
        ["OP_CLOSE", ""],
      ],
    );
  });

  test("of another form, or with another value than the host has, are errors", () => {
    assert.throws(() => readConstants("export const OP_CLOSE: i32 = 4 + 1;"), /no constant/);
    assert.throws(() => readConstants("export const OP_CLOSE: i32 = 6;"), /OP_CLOSE is not 6/);
  });
});

describe("made from them: node --import tsx test/abi/update.ts", () => {
  test("examples/c-host/abi.h", () => {
    const header = new URL("../../examples/c-host/abi.h", import.meta.url);
    assert.equal(readFileSync(header, "utf8"), cHeader());
  });
});
