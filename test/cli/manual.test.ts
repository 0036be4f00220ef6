/** `completion` and `man`: what they print, and the folder that they fill. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { manPages } from "../../src/cli/man.ts";
import { completion, manual } from "../../src/cli/manual.ts";
import { SHELLS } from "../../src/config/manual.ts";

test("each shell has a script of its own", () => {
  const scripts = SHELLS.map(completion);
  assert.equal(new Set(scripts).size, SHELLS.length);
  for (const [i, shell] of SHELLS.entries()) {
    assert.match(scripts[i] ?? "", new RegExp(`^#.*(?:\n#.*)* for ${shell}`, "m"));
  }
});

test("all pages are written into a folder that is made", () => {
  const folder = mkdtempSync(join(tmpdir(), "slirp-man-"));
  try {
    const into = join(folder, "share", "man1");
    assert.equal(manual({ command: undefined, into }), 0);
    const pages = manPages();
    assert.deepEqual(readdirSync(into).sort(), pages.map(({ file }) => file).sort());
    for (const { file, text } of pages) assert.equal(readFileSync(join(into, file), "utf8"), text);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
