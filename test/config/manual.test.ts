/** Which page, and which shell. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { readManual, readShell } from "../../src/config/manual.ts";
import { settingsOf } from "./support.ts";

test("a page is that of a command, of the program, or all are written", () => {
  const names = ["flows", "man"];
  assert.deepEqual(readManual(settingsOf({}), names), { command: undefined, into: undefined });
  assert.equal(readManual(settingsOf({ command: "flows" }), names).command, "flows");
  assert.equal(readManual(settingsOf({ into: "/x" }), names).into, "/x");
  assert.throws(() => readManual(settingsOf({ command: "x" }), names), /wanted one of "flows"/);
  const both = settingsOf({ command: "man", into: "/x" });
  assert.throws(() => readManual(both, names), /leave out "--into"/);
});

test("a shell is one of three", () => {
  assert.equal(readShell(settingsOf({ shell: "zsh" })), "zsh");
  assert.throws(() => readShell(settingsOf({ shell: "csh" })), /wanted one of "bash", "zsh"/);
  assert.throws(() => readShell(settingsOf({})), /choose a shell: "bash", "zsh", "fish"/);
});
