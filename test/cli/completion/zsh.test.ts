/** zsh completes: a real zsh with its completion system, on a terminal of its own (zsh/zpty). */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { zshCompletion } from "../../../src/cli/completion/zsh.ts";
import { linesOf, needs } from "./support.ts";

const folder = mkdtempSync(join(tmpdir(), "slirp-complete-"));
after(() => rmSync(folder, { recursive: true }));
writeFileSync(join(folder, "some.pcap"), "");
const start = join(folder, "start.zsh");
writeFileSync(
  start,
  `PS1= PS2=
cd '${folder}'
autoload -Uz compinit; compinit -u -D
bindkey '^I' complete-word
${zshCompletion()}
print READY_$((40 + 2))
`,
);

/**
 * Types each line and a tab, and waits until what is expected has come, in that order; the end of a
 * line is taken back before the next one. Prints the lines that were completed.
 */
function type(cases: readonly (readonly [line: string, expected: readonly string[]])[]): string[] {
  const steps = cases.map(
    ([line, expected]) => `
zpty -w -n shell '${line}'$'\\t'
zpty -r -m shell out '*${expected.map((each) => `${each}*`).join("")}'
print -r -- '${line}'
zpty -w -n shell $'\\x15'`,
  );
  const script = `zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'source ${start}'
zpty -r -m shell out '*READY_42*'
${steps.join("\n")}
zpty -d shell
`;
  return linesOf("zsh", ["-f", "-s"], script);
}

describe("zsh", { skip: needs("zsh") }, () => {
  test("completes commands, options, values and operands", () => {
    const cases: readonly (readonly [string, readonly string[]])[] = [
      ["slirp-binding fl", ["slirp-binding flows"]],
      ["slirp-binding s", ["serve", "simulate", "stats"]],
      ["slirp-binding capture --s", ["--seconds", "--snap", "--stop"]],
      ["slirp-binding attach --dns6 ", ["always", "auto", "never"]],
      ["slirp-binding attach --dns6=n", ["dns6=never"]],
      ["slirp-binding attach --pcap so", ["some.pcap"]],
      ["slirp-binding publish ", ["add", "list", "remove"]],
      ["slirp-binding flows tcp and po", ["and port"]],
      ["slirp-binding log-level de", ["debug"]],
      ["slirp-binding capture -w so", ["some.pcap"]],
      ["slirp-binding help simu", ["help simulate"]],
    ];
    assert.deepEqual(
      type(cases),
      cases.map(([line]) => line),
    );
  });
});
