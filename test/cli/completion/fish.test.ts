/** fish completes: a real fish is asked what it would offer (`complete -C`). */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { COMMANDS } from "../../../src/cli/commands.ts";
import { fishCompletion } from "../../../src/cli/completion/fish.ts";
import { linesOf, needs } from "./support.ts";

const folder = mkdtempSync(join(tmpdir(), "slirp-complete-"));
after(() => rmSync(folder, { recursive: true }));
writeFileSync(join(folder, "some.pcap"), "");
const script = join(folder, "slirp-binding.fish");
writeFileSync(script, fishCompletion());

function ask(questions: string): string[] {
  return linesOf("fish", ["--no-config", "-c", `source ${script}\n${questions}`], "");
}

/** Words that are offered for each line, without their descriptions. */
function complete(lines: readonly string[]): string[][] {
  const asked = lines.map((line) => `complete -C '${line}'; echo END`).join("\n");
  const answer = ask(`cd ${folder}\n${asked}`);
  const words = answer.map((line) => line.split("\t")[0] ?? "");
  return words
    .join("\n")
    .split("END")
    .slice(0, -1)
    .map((part) => part.trim().split("\n"));
}

describe("fish", { skip: needs("fish") }, () => {
  test("completes commands, options, values and operands", () => {
    const cases: readonly (readonly [string, readonly string[]])[] = [
      ["slirp-binding fl", ["flows"]],
      ["slirp-binding help att", ["attach"]],
      ["slirp-binding capture --s", ["--seconds", "--snap", "--stop"]],
      ["slirp-binding attach --dns6 ", ["always", "auto", "never"]],
      ["slirp-binding attach --dns6=n", ["--dns6=never"]],
      ["slirp-binding attach --pcap some", ["some.pcap"]],
      ["slirp-binding attach ", [""]],
      ["slirp-binding publish ", ["add", "list", "remove"]],
      ["slirp-binding publish --interface x re", ["remove"]],
      ["slirp-binding publish add re", [""]],
      ["slirp-binding flows tcp and po", ["port"]],
      ["slirp-binding log-level de", ["debug"]],
      ["slirp-binding replay some", ["some.pcap"]],
    ];
    const offered = complete(cases.map(([line]) => line));
    assert.deepEqual(
      offered.map((words) => [...words].sort()),
      cases.map(([, words]) => [...words]),
    );
  });

  test("offers every command, with what it is for", () => {
    const lines = ask("complete -C 'slirp-binding '");
    for (const { name, summary } of COMMANDS)
      assert.ok(lines.includes(`${name}\t${summary}`), name);
  });
});
