/** Names as XML has them. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isBlank, isName, localOf, prefixOf } from "../../../src/hooks/domain/names.ts";

describe("names", () => {
  const good = ["a", "_", "a-b.c_1", "p:a", "\u00e9\u{10400}x", "a\u00b7", "p:\u{10400}", "\u1681"];
  const bad = [
    "",
    "1",
    "-a",
    "a b",
    "a=",
    "\u00d7",
    "a\u00d7",
    ":",
    ":a",
    "a:",
    "a:b:c",
    "a:1",
    "a\n",
  ];
  for (const text of good) test(JSON.stringify(text), () => assert.ok(isName(text)));
  for (const text of bad) test(`${JSON.stringify(text)} is none`, () => assert.ok(!isName(text)));

  test("what the XML library takes for white space is part of none", () => {
    for (let unit = 0; unit <= 0xffff; unit += 1) {
      const text = String.fromCharCode(unit);
      if (/\s/.test(text)) assert.ok(!isName(`a${text}b`) && !isName(`${text}b`), `${unit}`);
    }
  });

  test("prefix and local name", () => {
    assert.deepEqual(["a", "p:a"].map(localOf), ["a", "a"]);
    assert.deepEqual(["a", "p:a"].map(prefixOf), ["", "p"]);
  });

  test("white space is four characters", () => {
    const units = Array.from({ length: 0x3001 }, (_, unit) => unit);
    assert.deepEqual(units.filter(isBlank), [9, 10, 13, 32]);
    assert.ok(!isBlank(Number.NaN), "the end of a text");
  });
});
