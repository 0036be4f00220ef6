/** What may stand where: every command and option there is, and what completes their values. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { COMMANDS } from "../../../src/cli/commands.ts";
import { vocabulary } from "../../../src/cli/completion/vocabulary.ts";

const words = vocabulary();

function option(command: string, flag: string) {
  const found = words.find(({ name }) => name === command);
  return found?.options.find(({ flags }) => flags.includes(flag));
}

test("no command and no option is missing", () => {
  assert.deepEqual(
    words.map(({ name }) => name),
    COMMANDS.map(({ name }) => name),
  );
  for (const { name, rows } of COMMANDS) {
    for (const row of rows) {
      const isThere = option(name, `--${row.name}`) !== undefined;
      assert.equal(isThere, row.isVariableOnly !== true, `${name} --${row.name}`);
    }
    assert.ok(option(name, "--help"));
  }
});

test("values are words, files, folders or anything", () => {
  assert.deepEqual(option("attach", "--dns6")?.value, ["auto", "always", "never"]);
  assert.equal(option("attach", "--pcap")?.value, "files");
  assert.equal(option("attach", "--netns")?.value, "files");
  assert.equal(option("serve", "--hooks-dir")?.value, "folders");
  assert.equal(option("attach", "--mtu")?.value, "free");
  assert.equal(option("attach", "--configure")?.value, undefined);
  assert.deepEqual(option("capture", "-w")?.flags, ["--write", "-w"]);
  assert.equal(option("attach", "--publish")?.isRepeatable, true);
});

test("operands have theirs, and run has another program's", () => {
  const publish = words.find(({ name }) => name === "publish");
  assert.deepEqual(publish?.operands[0]?.value, ["add", "remove", "list"]);
  assert.equal(publish?.operands[1]?.isRepeated, true);
  const replay = words.find(({ name }) => name === "replay");
  assert.equal(replay?.operands[0]?.value, "files");
  const run = words.find(({ name }) => name === "run");
  assert.deepEqual([run?.takesCommand, run?.operands], [true, []]);
  const man = words.find(({ name }) => name === "man");
  assert.deepEqual(
    man?.operands[0]?.value,
    COMMANDS.map(({ name }) => name),
  );
});
