/** Findings as people and programs read them. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Finding } from "../../src/doctor/finding.ts";
import { hasProblems, reportJson, reportText } from "../../src/doctor/report.ts";

const WELL: Finding = { check: "a", severity: "ok", what: "all right" };
const NOTE: Finding = { check: "b", severity: "note", what: "so it is", why: "it is usual" };
const BAD: Finding = {
  check: "c",
  severity: "warning",
  what: "it is not",
  why: "it matters",
  mend: "do this",
};

describe("doctor: report", () => {
  test("text: what, why and how, in columns, and a last line", () => {
    assert.equal(
      reportText([WELL, NOTE, BAD]),
      [
        "ok       all right",
        "note     so it is",
        "         why:  it is usual",
        "warning  it is not",
        "         why:  it matters",
        "         mend: do this",
        "errors: 0, warnings: 1\n",
      ].join("\n"),
    );
    assert.ok(reportText([WELL, NOTE]).endsWith("\nall is well\n"));
    assert.ok(reportText([{ ...BAD, severity: "error" }]).endsWith("errors: 1, warnings: 0\n"));
  });

  test("JSON: an object in a line", () => {
    const lines = reportJson([WELL, BAD]).trimEnd().split("\n");
    assert.deepEqual(
      lines.map((line) => JSON.parse(line)),
      [WELL, BAD],
    );
    assert.equal(reportJson([]), "");
  });

  test("warnings and errors are problems, notes are none", () => {
    assert.equal(hasProblems([WELL, NOTE]), false);
    assert.equal(hasProblems([WELL, BAD]), true);
    assert.equal(hasProblems([{ ...BAD, severity: "error" }]), true);
  });
});
