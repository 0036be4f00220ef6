/**
 * Help, word for word: a change shows as a change of `test/fixtures/help`, which
 * `test/config/update-help.ts` makes anew.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { COMMANDS } from "../../src/cli/commands.ts";
import { HELP_COMMANDS, helpFile, helpOf } from "./help-texts.ts";

for (const command of ["", ...HELP_COMMANDS]) {
  test(`slirp-binding ${command} --help`, () => {
    assert.equal(helpOf(command), readFileSync(helpFile(command), "utf8"));
  });
}

test("every command has its help among them", () => {
  assert.deepEqual(
    COMMANDS.map(({ name }) => name),
    [...HELP_COMMANDS],
  );
  const kept = readdirSync(new URL(".", helpFile(""))).sort();
  assert.deepEqual(kept, ["program", ...HELP_COMMANDS].map((name) => `${name}.txt`).sort());
});
