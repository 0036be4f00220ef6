/** Differences of texts, as they are shown. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { differenceOf } from "../../src/lab/demo/diff.ts";

const TEXT = "a\nb\nc\nd\ne\nf\ng";

describe("difference of two texts", () => {
  test("equal texts have none", () => {
    assert.deepEqual(differenceOf(TEXT, TEXT), { added: 0, removed: 0, lines: [] });
  });

  test("an insertion shows with its neighbours, the rest does not", () => {
    const difference = differenceOf(TEXT, TEXT.replace("d", "d\n\tx\n\ty"));
    assert.deepEqual(difference, {
      added: 2,
      removed: 0,
      lines: ["…", "  d", "+   x", "+   y", "  e", "…"],
    });
  });

  test("what gave way comes before what took its place", () => {
    const { lines, added, removed } = differenceOf("a\nb\nc", "a\nx\nc");
    assert.deepEqual(lines, ["  a", "- b", "+ x", "  c"]);
    assert.deepEqual([added, removed], [1, 1]);
  });

  test("changes far from each other have a gap between them", () => {
    const { lines } = differenceOf(TEXT, "x\nb\nc\nd\ne\nf");
    assert.deepEqual(lines, ["- a", "+ x", "  b", "…", "  f", "- g"]);
  });

  test("all of a text may be new", () => {
    assert.deepEqual(differenceOf("", "a\nb").lines, ["- ", "+ a", "+ b"]);
  });
});
