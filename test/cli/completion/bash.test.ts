/** bash completes: a real bash sources the script, whose function is asked as readline does. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { COMMANDS } from "../../../src/cli/commands.ts";
import { bashCompletion } from "../../../src/cli/completion/bash.ts";
import { linesOf, needs } from "./support.ts";

const folder = mkdtempSync(join(tmpdir(), "slirp-complete-"));
after(() => rmSync(folder, { recursive: true }));
writeFileSync(join(folder, "a b.pcap"), "");

/** What is offered for the last of these words, as readline breaks them. */
function complete(...words: readonly string[]): string[] {
  const list = ["slirp-binding", ...words].map((word) => `'${word}'`).join(" ");
  const script = `${bashCompletion()}
compopt() { :; } # there is no readline that could be told
cd '${folder}'
COMP_WORDS=(${list})
COMP_CWORD=${words.length}
_slirp_binding
printf '%s\\n' "\${COMPREPLY[@]}"
`;
  return linesOf("bash", ["--norc", "--noprofile", "-s"], script);
}

describe("bash", { skip: needs("bash") }, () => {
  test("completes commands and their options", () => {
    assert.deepEqual(complete("fl"), ["flows"]);
    for (const { name } of COMMANDS) assert.ok(complete("").includes(name), name);
    assert.deepEqual(complete("help", "att"), ["attach"]);
    assert.deepEqual(complete("capture", "--s"), ["--snap", "--seconds", "--stop"]);
    assert.deepEqual(complete("capture", "-w").sort(), ["-w"]);
    assert.deepEqual(complete("nothing", "--"), []);
  });

  test("completes values, also behind an =", () => {
    assert.deepEqual(complete("attach", "--dns6", "a"), ["auto", "always"]);
    assert.deepEqual(complete("attach", "--dns6", "="), ["auto", "always", "never"]);
    assert.deepEqual(complete("attach", "--dns6", "=", "n"), ["never"]);
    assert.deepEqual(complete("attach", "--pcap", "a"), ["a b.pcap"]);
    assert.deepEqual(complete("attach", "--mtu", ""), []);
  });

  test("completes operands by their place", () => {
    assert.deepEqual(complete("publish", "a"), ["add"]);
    assert.deepEqual(complete("publish", "--interface", "x", "a"), ["add"]);
    assert.deepEqual(complete("publish", "--interface", "=", "x", "a"), ["add"]);
    assert.deepEqual(complete("publish", "add", "a"), []);
    assert.deepEqual(complete("flows", "tcp", "and", "po"), ["port"]);
    assert.deepEqual(complete("log-level", "d"), ["debug"]);
    assert.deepEqual(complete("completion", ""), ["bash", "zsh", "fish"]);
    assert.deepEqual(complete("replay", ""), ["a b.pcap"]);
    assert.ok(complete("run", "ca").includes("cat"));
    assert.deepEqual(complete("run", "cat", "a"), ["a b.pcap"]);
  });
});
