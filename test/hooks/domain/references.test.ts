/** References that XML allows without a DTD, and those it does not. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { decode, isReference } from "../../../src/hooks/domain/references.ts";

const GOOD: readonly (readonly [string, string])[] = [
  ["&amp;", "&"],
  ["&lt;", "<"],
  ["&gt;", ">"],
  ["&quot;", '"'],
  ["&apos;", "'"],
  ["&#65;", "A"],
  ["&#0000000065;", "A"],
  ["&#x41;", "A"],
  ["&#x1F600;", "\u{1f600}"],
  ["&#x10fFfF;", "\u{10ffff}"],
  ["&#9;", "\t"],
];

const BAD: readonly string[] = [
  ..."& &; &amp &AMP; &amp ; &nbsp; &quotx; &constructor; &#; &#x; &#X41; &#a; &#6 5; &#-1;".split(
    " ",
  ),
  ..."&#0; &#8; &#xb; &#xD800; &#xdfff; &#xfffe; &#xffff; &#x110000; &#99999999999; &#65".split(
    " ",
  ),
];

describe("references", () => {
  for (const [text, value] of GOOD) {
    test(`${text} is ${JSON.stringify(value)}`, () => {
      assert.ok(isReference(`x${text}y`, 1));
      assert.equal(decode(`x${text}y`), `x${value}y`);
    });
  }

  for (const text of BAD) {
    test(`${text} is none`, () => assert.ok(!isReference(text, 0)));
  }

  test("white space is a blank, but not where a reference says it", () => {
    assert.equal(decode("a\tb\r\nc\nd&#10;"), "a b c d\n");
  });
});
