/**
 * Tables as text. On a terminal no line is wider than it: columns that may be shortened are, and
 * where that is not enough columns are left out, in an order that is always the same. Elsewhere
 * every column is there, as wide as its cells.
 *
 * What a cell has is from elsewhere, names of interfaces and messages of another program, so
 * control characters are escaped here, once.
 */
import { escapeControls } from "../../lib/controls.ts";

const GAP = "  ";
const MARK = "…";
/** Two columns on a terminal (Unicode TR 11, as far as names may have them), or none. */
const WIDE = new RegExp(
  "^[\\u1100-\\u115f\\u2e80-\\ua4cf\\uac00-\\ud7a3\\uf900-\\ufaff\\ufe30-\\ufe6f" +
    "\\uff00-\\uff60\\uffe0-\\uffe6\\u{1f300}-\\u{1faff}\\u{20000}-\\u{3fffd}]$",
  "u",
);
const PRINTABLE = /^[\x20-\x7e]*$/;
const COMBINING = /^\p{M}$/u;

export interface Column<T> {
  readonly title: string;
  readonly cell: (row: T) => string;
  readonly isRight?: true;
  /** Width to which it may be shortened; without it, it is whole or left out. */
  readonly least?: number;
  /** Width that it has at least, for rows that come later. */
  readonly width?: number;
  /** Columns with a higher number are left out earlier; without one it stays. */
  readonly leave?: number;
}

interface Placed {
  /** Index of the column. */
  readonly index: number;
  width: number;
}

/** A table whose columns are in place. */
export interface Layout<T> {
  readonly head: string;
  /** A row, which may be one that was not there when the columns were placed. */
  readonly line: (row: T) => string;
}

/** Texts of a row, one for each column. */
type Cells = readonly string[];

/**
 * Places columns for these rows.
 *
 * @param limit width of the terminal; undefined = there is none
 */
export function layOut<T>(
  columns: readonly Column<T>[],
  rows: readonly T[],
  limit: number | undefined,
): Layout<T> {
  const { head, join } = place(columns, rows.map(cellsOf(columns)), limit);
  const cells = cellsOf(columns);
  return { head, line: (row) => join(cells(row)) };
}

/** Head and rows, a line each. */
export function tableLines<T>(
  columns: readonly Column<T>[],
  rows: readonly T[],
  limit: number | undefined,
): string[] {
  const all = rows.map(cellsOf(columns));
  const { head, join } = place(columns, all, limit);
  return [head, ...all.map(join)];
}

function cellsOf<T>(columns: readonly Column<T>[]): (row: T) => Cells {
  return (row) =>
    columns.map(({ cell }) => {
      const text = cell(row);
      return PRINTABLE.test(text) ? text : escapeControls(text);
    });
}

function place<T>(
  columns: readonly Column<T>[],
  rows: readonly Cells[],
  limit: number | undefined,
): { readonly head: string; readonly join: (cells: Cells) => string } {
  const whole = columns.map(({ title, width = 0 }, index) => {
    let widest = Math.max(title.length, width);
    for (const cells of rows) widest = Math.max(widest, columnsOf(cells[index] ?? ""));
    return widest;
  });
  const leastOf = (index: number): number => {
    const width = whole[index] ?? 0;
    return Math.min(columns[index]?.least ?? width, width);
  };
  let kept = columns.map((_column, index) => index);
  if (limit !== undefined) {
    const rank = (index: number): number => columns[index]?.leave ?? 0;
    const leaving = kept
      .filter((index) => columns[index]?.leave !== undefined)
      .sort((one, other) => rank(other) - rank(one));
    for (const index of leaving) {
      if (total(kept.map(leastOf)) <= limit) break;
      kept = kept.filter((each) => each !== index);
    }
  }
  const placed = kept.map((index) => ({ index, width: whole[index] ?? 0 }));
  if (limit !== undefined) shorten(placed, leastOf, limit);
  const join = (cells: Cells): string => cut(joined(columns, placed, cells, limit), limit);
  return { head: join(columns.map(({ title }) => title)), join };
}

function total(widths: readonly number[]): number {
  const sum = widths.reduce((so, width) => so + width, 0);
  return sum + GAP.length * Math.max(widths.length - 1, 0);
}

/** Takes from the widest of those that may be shortened until all fit, or none has any left. */
function shorten(placed: Placed[], leastOf: (index: number) => number, limit: number): void {
  for (let excess = total(placed.map(({ width }) => width)) - limit; excess > 0; excess -= 1) {
    const candidates = placed.filter(({ index, width }) => width > leastOf(index));
    if (candidates.length === 0) return;
    const widest = candidates.reduce((one, other) => (other.width > one.width ? other : one));
    widest.width -= 1;
  }
}

function joined<T>(
  columns: readonly Column<T>[],
  placed: readonly Placed[],
  cells: Cells,
  limit: number | undefined,
): string {
  let line = "";
  for (const { index, width } of placed) {
    const { isRight, least } = columns[index] ?? {};
    const whole = cells[index] ?? "";
    const isCut = limit !== undefined && least !== undefined;
    const shown = isCut ? cut(whole, Math.max(width, 1)) : whole;
    const room = " ".repeat(Math.max(width - columnsOf(shown), 0));
    line += index === placed[0]?.index ? "" : GAP;
    line += isRight === true ? room + shown : shown + room;
  }
  return line.trimEnd();
}

/** Text of at most that many columns; what is left out shows as a mark. */
export function cut(text: string, limit: number | undefined): string {
  if (limit === undefined || columnsOf(text) <= limit) return text;
  let out = "";
  let used = 0;
  for (const character of text) {
    const width = characterColumns(character);
    if (used + width > limit - 1) break;
    out += character;
    used += width;
  }
  return limit < 1 ? "" : `${out}${MARK}`;
}

/** Columns that a text takes on a terminal. */
function columnsOf(text: string): number {
  if (PRINTABLE.test(text)) return text.length;
  let columns = 0;
  for (const character of text) columns += characterColumns(character);
  return columns;
}

function characterColumns(character: string): number {
  if (COMBINING.test(character)) return 0;
  return WIDE.test(character) ? 2 : 1;
}
