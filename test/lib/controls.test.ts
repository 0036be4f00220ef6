/** What a terminal obeys is shown instead. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { escapeControls } from "../../src/lib/controls.ts";

test("escapeControls leaves ordinary text of any script alone", () => {
  assert.equal(escapeControls("Grüße, 世界 🙂"), "Grüße, 世界 🙂");
  assert.equal(escapeControls("\u{e0001}\t"), "\\u{e0001}\\u{9}");
});
