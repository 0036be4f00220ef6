/** Names as XML has them. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isBlank, localOf, nameAt } from "../../../src/hooks/domain/names.ts";

describe("names", () => {
  const names: readonly (readonly [string, string | undefined])[] = [
    ["a", "a"],
    ["a-b.c_1:d e", "a-b.c_1:d"],
    ["\u00e9\u{10400}x=", "\u00e9\u{10400}x"],
    ["ab\u00b7c>", "ab\u00b7c"],
    ["ab\u00d7c", "ab"],
    ["-a", undefined],
    ["1", undefined],
    ["\u00d7", undefined],
    ["", undefined],
  ];
  for (const [text, name] of names) {
    test(JSON.stringify(text), () => assert.equal(nameAt(`<${text}`, 1), name));
  }

  test("what follows the prefix", () => {
    assert.deepEqual(["a", "p:a", "p:a:b"].map(localOf), ["a", "a", "a:b"]);
  });

  test("white space is four characters", () => {
    const units = Array.from({ length: 0x3001 }, (_, unit) => unit);
    assert.deepEqual(units.filter(isBlank), [9, 10, 13, 32]);
    assert.ok(!isBlank(Number.NaN), "the end of a text");
  });
});
