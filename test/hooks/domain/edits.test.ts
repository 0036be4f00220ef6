/** Splices of texts and of octets, and values that go into them. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  applyEdits,
  applyEditsToUtf8,
  type Edit,
  escapeAttribute,
} from "../../../src/hooks/domain/edits.ts";
import { attributeOf, parseXml } from "../../../src/hooks/domain/xml.ts";

const SEED = 20260831;

describe("edits", () => {
  test("are carried out in the order of their places; overlaps are a fault", () => {
    const edit = (start: number, end: number, text: string) => ({ start, end, text });
    assert.equal(applyEdits("abcdef", [edit(4, 5, ""), edit(1, 3, "X")]), "aXdf");
    assert.equal(applyEdits("ab", [edit(1, 1, "x"), edit(1, 1, "y")]), "axyb");
    assert.throws(() => applyEdits("abc", [edit(0, 2, ""), edit(1, 3, "")]), /edits overlap at 1/);
  });

  test("a value comes back from an attribute as it went in", () => {
    const value = fc
      .string({ unit: "binary" })
      .filter((text) => !/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/.test(text));
    fc.assert(
      fc.property(value, (text) => {
        const root = parseXml(`<a b="${escapeAttribute(text)}"/>`);
        assert.equal(attributeOf(root, "b"), text);
      }),
      { seed: SEED },
    );
  });

  test("what is inserted comes before what gives way at the same place", () => {
    const edits = [
      { start: 1, end: 3, text: "X" },
      { start: 1, end: 1, text: "<" },
    ];
    assert.equal(applyEdits("abcd", edits), "a<Xd");
  });

  test("octets are changed as the text that they are", () => {
    const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 });
    const cuts = fc.array(fc.tuple(fc.nat(), fc.string({ unit: "grapheme" })), { maxLength: 4 });
    fc.assert(
      fc.property(text, cuts, (before, places) => {
        // Cuts lie between characters: XML's markup begins and ends there.
        const ends = [0];
        for (const each of before) ends.push((ends.at(-1) ?? 0) + each.length);
        const edits: Edit[] = places.map(([place, added]) => {
          const start = ends[place % ends.length] ?? 0;
          return { start, end: start, text: added };
        });
        const last = ends.at(-2) ?? 0;
        edits.push({ start: last, end: before.length, text: "" });
        const bytes = new TextEncoder().encode(before);
        const after = applyEdits(before, edits);
        assert.equal(Buffer.from(applyEditsToUtf8(bytes, before, edits)).toString(), after);
      }),
      { seed: SEED },
    );
  });
});
