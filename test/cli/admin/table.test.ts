/**
 * Tables. Goal: on a terminal no line is wider than it, whatever the cells and the width; columns
 * go in one order; elsewhere everything is there; nothing in a cell reaches the terminal as such.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type Column, cut, layOut, tableLines } from "../../../src/cli/admin/table.ts";

interface Row {
  readonly name: string;
  readonly size: string;
  readonly note: string;
}

const COLUMNS: readonly Column<Row>[] = [
  { title: "NAME", cell: ({ name }) => name, least: 4 },
  { title: "SIZE", cell: ({ size }) => size, isRight: true, leave: 1 },
  { title: "NOTE", cell: ({ note }) => note, leave: 2 },
];
const ROWS: readonly Row[] = [
  { name: "alpha", size: "1", note: "first of all" },
  { name: "be", size: "20000", note: "" },
];

describe("tables", () => {
  test("without a terminal every column is as wide as its cells", () => {
    assert.deepEqual(tableLines(COLUMNS, ROWS, undefined), [
      "NAME    SIZE  NOTE",
      "alpha      1  first of all",
      "be     20000",
    ]);
  });

  test("what does not fit is shortened, then left out, the highest number first", () => {
    const widths = [26, 25, 24, 14, 13, 12, 11, 10, 5, 4, 1].map((width) =>
      tableLines(COLUMNS, ROWS, width).slice(0, 2),
    );
    assert.deepEqual(widths, [
      ["NAME    SIZE  NOTE", "alpha      1  first of all"],
      ["NAME   SIZE  NOTE", "alp…      1  first of all"],
      ["NAME    SIZE", "alpha      1"],
      ["NAME    SIZE", "alpha      1"],
      ["NAME    SIZE", "alpha      1"],
      ["NAME    SIZE", "alpha      1"],
      ["NAME   SIZE", "alp…      1"],
      ["NAME", "alpha"],
      ["NAME", "alpha"],
      ["NAME", "alp…"],
      ["…", "…"],
    ]);
  });

  test("no line is wider than the terminal", () => {
    const cell = fc.oneof(fc.string({ unit: "grapheme" }), fc.string(), fc.constant("網路介面"));
    const row = fc.record({ name: cell, size: cell, note: cell });
    fc.assert(
      fc.property(fc.array(row), fc.integer({ min: 1, max: 80 }), (rows, width) => {
        for (const line of tableLines(COLUMNS, rows, width)) {
          const wide = [...line.normalize("NFC")].filter((each) => /[\u4e00-\u9fff]/.test(each));
          const marks = [...line].filter((each) => /\p{M}/u.test(each));
          assert.ok([...line].length + wide.length - marks.length <= width, line);
        }
      }),
    );
  });

  test("what a terminal obeys is shown in its place", () => {
    const row = { name: "a\u001b[2J\nb", size: "\u009b1m", note: "\u202e" };
    const lines = tableLines(COLUMNS, [row], undefined);
    assert.equal(lines[1], "a\\u{1b}[2J\\u{a}b  \\u{9b}1m  \\u{202e}");
  });

  test("rows that come later have the columns of the first ones", () => {
    const { head, line } = layOut(COLUMNS, ROWS, undefined);
    assert.equal(head, "NAME    SIZE  NOTE");
    assert.equal(line({ name: "c", size: "3", note: "x" }), "c          3  x");
    assert.equal(line({ name: "longer", size: "3", note: "x" }), "longer      3  x");
  });

  test("a text is cut by columns, not by characters", () => {
    assert.equal(cut("網路介面", 5), "網路…");
    assert.equal(cut("abc", 3), "abc");
    assert.equal(cut("abcd", 3), "ab…");
    assert.equal(cut("abcd", undefined), "abcd");
    assert.equal(cut("abcd", 0), "");
  });
});
