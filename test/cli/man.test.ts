/**
 * Manual pages. Goal: mandoc has nothing to warn of, man shows them, and they say all that the help
 * says, in ASCII.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { COMMANDS } from "../../src/cli/commands.ts";
import { manPage, manPages } from "../../src/cli/man.ts";
import { which } from "../support/e2e/shell.ts";

const ENTRIES = [undefined, ...COMMANDS];

/** A page as text, in which hyphens and the ends of lines do not part words. */
function shown(text: string): string {
  const args = ["-Tascii", "-Owidth=400"];
  const { stdout, stderr } = spawnSync("mandoc", args, { input: text, encoding: "utf8" });
  assert.equal(stderr, "");
  return stdout.replace(/.\u0008/g, "").replace(/\s+/g, " ");
}

describe("manual pages", () => {
  test("there is one for the program and one for each command", () => {
    assert.deepEqual(
      manPages().map(({ file }) => file),
      ["slirp-binding.1", ...COMMANDS.map(({ name }) => `slirp-binding-${name}.1`)],
    );
  });

  test("are of the version that this is", () => {
    const { version } = JSON.parse(
      readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
    );
    const [title = ""] = manPage().text.split("\n");
    const message = "with the version, src/cli/man.ts gets its date";
    assert.ok(title.includes(`"slirp-binding ${version}"`), message);
  });

  for (const entry of ENTRIES) {
    const { file, text } = manPage(entry);
    test(`${file} is ASCII, and mandoc has nothing to warn of`, {
      skip: which("mandoc") === undefined && "needs mandoc (Debian package mandoc)",
    }, () => {
      assert.match(text, /^[\n\x20-\x7e]+$/);
      const lint = ["-Tlint", "-Wwarning"];
      const { stdout, status } = spawnSync("mandoc", lint, { input: text, encoding: "utf8" });
      assert.deepEqual([stdout, status], ["", 0]);
    });
    test(`${file} has every option, and what it is for`, {
      skip: which("mandoc") === undefined && "needs mandoc (Debian package mandoc)",
    }, () => {
      const page = shown(text);
      for (const { name, variable, isVariableOnly, description } of entry?.rows ?? []) {
        if (isVariableOnly === true) continue;
        assert.ok(page.includes(`--${name}`), name);
        assert.ok(page.includes(`(${variable})`), variable);
        const words = description.replaceAll("…", "...").slice(1);
        assert.ok(page.includes(words), `${name}: ${description}`);
      }
      for (const { name } of entry === undefined ? COMMANDS : []) {
        assert.ok(page.includes(`slirp-binding-${name}(1)`), name);
      }
    });
  }

  test("man shows them", {
    skip: which("man") === undefined && "needs man (Debian package man-db)",
  }, () => {
    const env = { ...process.env, MANROFFSEQ: "", MANWIDTH: "80", LC_ALL: "C.UTF-8" };
    const { text } = manPage(COMMANDS.find(({ name }) => name === "flows"));
    const options = { input: text, encoding: "utf8", env } as const;
    const { stdout, stderr, status } = spawnSync("man", ["--warnings", "-l", "-"], options);
    assert.deepEqual([stderr, status], ["", 0]);
    assert.match(stdout, /slirp-binding flows \[FILTER\.\.\.\] \[OPTIONS\]/);
    assert.match(stdout, /^EXAMPLES\n {7}slirp-binding flows\n/m);
  });
});
