/**
 * docs/operating.md: each row of its table is played by a test, names who has told of it, and every
 * command line and option of the page is one that there is. That a row tells the truth is what
 * test/e2e/operating-*.test.ts check.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { COMMANDS } from "../../src/cli/commands.ts";
import { parseCommandLine } from "../../src/cli/options.ts";
import { ROOT } from "../support/e2e/program.ts";
import { pictured } from "../support/operating/screenshot.ts";
import { operatingPage, operatingRows } from "../support/operating/table.ts";

const ROWS_MIN = 20;
const FOLDER = join(ROOT, "test/e2e");
/** Texts of the tests that play the page. */
const SOURCES = readdirSync(FOLDER)
  .filter((file) => /^operating-.*\.test\.ts$/.test(file))
  .map((file) => readFileSync(join(FOLDER, file), "utf8"));
const PROGRAM = /(?:^|\s)(?:dist\/)?slirp-binding /;

/** Words of a command line for a shell; quotes are the only thing of a shell's that is known. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|"([^"]*)"|([^\s'"]+)/g)].map(
    ([, single, double, plain]) => single ?? double ?? plain ?? "",
  );
}

/** What is wrong with a command line of the program; undefined = nothing. */
function problemOf(line: string): string | undefined {
  const [words = ""] = line.replace(/^.*?slirp-binding /, "").split(/ [|&>#] ?/);
  const command = parseCommandLine(wordsOf(words), {}, false);
  return command.kind === "error" ? `${line}: ${command.message}` : undefined;
}

/** Lines of the page's blocks of commands. */
function blockLines(): string[] {
  const blocks = [...operatingPage().matchAll(/^ *```sh\n(.*?)^ *```/gms)];
  return blocks.flatMap(([, text = ""]) => text.split("\n"));
}

describe("docs/operating.md", () => {
  const rows = operatingRows();

  test("its rows are numbered, enough, and whole", () => {
    assert.ok(rows.length >= ROWS_MIN);
    assert.deepEqual(
      rows.map(({ id }) => Number(id)),
      rows.map((_, index) => index + 1),
    );
    for (const { id, symptom, shows, cure, report } of rows) {
      assert.ok(symptom !== "" && cure !== "" && shows.length > 0, id);
      assert.match(report, /^[\w./-]+#\d+(?:, [\w./-]+#\d+)*$/, id);
    }
  });

  test("each row is played by one test", () => {
    const played = SOURCES.flatMap((text) => [...text.matchAll(/\btest\(\s*["'`](\d\d) /g)]).map(
      ([, id]) => id,
    );
    assert.deepEqual(
      played.sort(),
      rows.map(({ id }) => id),
    );
  });

  test("each picture of a terminal is compared with what is so", () => {
    const commands = pictured();
    assert.ok(commands.length > 0);
    const compared = SOURCES.flatMap((text) => [...text.matchAll(/looksAs\(\s*"([^"]+)"/g)]);
    assert.deepEqual(commands.sort(), compared.map(([, command]) => command).sort());
  });

  test("each command line is one that the program understands", () => {
    const commands = rows.map(({ command }) => command);
    const foreign = commands.filter((line) => !/^(?:slirp-binding|curl) /.test(line));
    assert.deepEqual(foreign, []);
    const lines = [...commands, ...pictured(), ...blockLines()].filter((line) =>
      PROGRAM.test(line),
    );
    assert.ok(lines.length > 0);
    assert.deepEqual(
      lines.flatMap((line) => problemOf(line) ?? []),
      [],
    );
  });

  test("each option that mends something is one that there is", () => {
    const names = new Set(COMMANDS.flatMap(({ rows: options }) => options.map(({ name }) => name)));
    const used = rows.flatMap(({ id, cures }) =>
      cures.flatMap((code) =>
        [...code.matchAll(/^--([\w-]+)/g)].map(([, name = ""]) => [id, name]),
      ),
    );
    // What container runtimes take is theirs.
    const known = (name: string | undefined): boolean => names.has(name ?? "") || name === "device";
    assert.deepEqual(
      used.filter(([, name]) => !known(name)),
      [],
    );
  });
});
