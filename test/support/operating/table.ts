/**
 * The table of docs/operating.md, read: a row is a symptom, the command that shows its cause, what
 * that command prints, and what mends it. Tests play each row with the very words of the page, so
 * that a page that promises too much is a test that fails.
 *
 * Contract: in the column "it shows" each piece of code is text that is printed; `…` stands for
 * anything within a line, `#` for a number from 1 on, a space for any number of them. In the column
 * "look" there is one piece of code, a command line.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../e2e/program.ts";

export interface Row {
  readonly id: string;
  readonly symptom: string;
  /** Command line. */
  readonly command: string;
  /** Texts that are printed. */
  readonly shows: readonly string[];
  /** What mends it, in words, and the pieces of code in it. */
  readonly cure: string;
  readonly cures: readonly string[];
  /** Where users have told of it. */
  readonly report: string;
}

const PAGE = join(ROOT, "docs/operating.md");
const COLUMNS = 6;

/** Text of the page. */
export function operatingPage(): string {
  return readFileSync(PAGE, "utf8");
}

/** Rows in the order of the page. Throws on a row of another form. */
export function operatingRows(): Row[] {
  return operatingPage()
    .split("\n")
    .filter((line) => /^\| \d\d \|/.test(line))
    .map((line) => {
      const cells = line.slice(1, -1).split(/(?<!\\)\|/);
      const [id = "", symptom = "", look = "", shows = "", cure = "", report = ""] = cells.map(
        (cell) => cell.trim().replaceAll("\\|", "|"),
      );
      if (cells.length !== COLUMNS) throw new Error(`row ${id} has ${cells.length} columns`);
      const [command, ...more] = codeIn(look);
      if (command === undefined || more.length > 0)
        throw new Error(`row ${id} is to name one command: ${look}`);
      const cures = codeIn(cure);
      return { id, symptom, command, shows: codeIn(shows), cure, cures, report };
    });
}

/** The row of this number. */
export function operatingRow(id: string): Row {
  const row = operatingRows().find((each) => each.id === id);
  if (row === undefined) throw new Error(`docs/operating.md has no row ${id}`);
  return row;
}

/** Texts of the row that `output` lacks. */
export function missingIn(row: Row, output: string): string[] {
  return row.shows.filter((text) => !patternOf(text).test(output));
}

function codeIn(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, code = ""]) => code);
}

function patternOf(text: string): RegExp {
  const escaped = text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(
    escaped.replaceAll(/ +/g, "\\s+").replaceAll("…", ".*").replaceAll("#", "[1-9]\\d*"),
  );
}
