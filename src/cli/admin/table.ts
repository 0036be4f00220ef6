/**
 * Tables as text. On a terminal no line is wider than it: columns that may be shortened are, and
 * where that is not enough columns are left out, in an order that is always the same. Elsewhere
 * every column is there, as wide as its cells.
 *
 * What a cell has is from elsewhere, names of interfaces and messages of another program, so
 * control characters are escaped here, once.
 */
import { escapeControls } from "../../lib/log.ts";

const GAP = "  ";
const MARK = "…";
/** Two columns on a terminal (Unicode TR 11, as far as names may have them), or none. */
const WIDE = new RegExp(
  "^[\\u1100-\\u115f\\u2e80-\\ua4cf\\uac00-\\ud7a3\\uf900-\\ufaff\\ufe30-\\ufe6f" +
    "\\uff00-\\uff60\\uffe0-\\uffe6\\u{1f300}-\\u{1faff}\\u{20000}-\\u{3fffd}]$",
  "u",
);
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

interface Placed<T> {
  readonly column: Column<T>;
  readonly width: number;
}

/** A table whose columns are in place. */
export interface Layout<T> {
  readonly head: string;
  /** A row, which may be one that was not there when the columns were placed. */
  readonly line: (row: T) => string;
}

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
  const widths = new Map(columns.map((column) => [column, widthOf(column, rows)]));
  let kept = [...columns];
  if (limit !== undefined) {
    const leaving = columns
      .filter(({ leave }) => leave !== undefined)
      .sort((one, other) => (other.leave ?? 0) - (one.leave ?? 0));
    for (const column of leaving) {
      if (total(kept, ({ least }, width) => Math.min(least ?? width, width), widths) <= limit)
        break;
      kept = kept.filter((each) => each !== column);
    }
  }
  const placed = shorten(kept, widths, limit);
  const text = (cells: (column: Column<T>) => string): string => {
    return cut(join(placed, cells, limit !== undefined), limit);
  };
  return {
    head: text(({ title }) => title),
    line: (row) => text(({ cell }) => escapeControls(cell(row))),
  };
}

/** Head and rows, a line each. */
export function tableLines<T>(
  columns: readonly Column<T>[],
  rows: readonly T[],
  limit: number | undefined,
): string[] {
  const { head, line } = layOut(columns, rows, limit);
  return [head, ...rows.map(line)];
}

function widthOf<T>({ title, cell, width = 0 }: Column<T>, rows: readonly T[]): number {
  return rows.reduce(
    (widest, row) => Math.max(widest, columnsOf(escapeControls(cell(row)))),
    Math.max(title.length, width),
  );
}

function total<T>(
  columns: readonly Column<T>[],
  width: (column: Column<T>, whole: number) => number,
  widths: ReadonlyMap<Column<T>, number>,
): number {
  const sum = columns.reduce((so, column) => so + width(column, widths.get(column) ?? 0), 0);
  return sum + GAP.length * Math.max(columns.length - 1, 0);
}

/** Takes from the widest of those that may be shortened until all fit, or none has any left. */
function shorten<T>(
  columns: readonly Column<T>[],
  widths: ReadonlyMap<Column<T>, number>,
  limit: number | undefined,
): Placed<T>[] {
  const placed = columns.map((column) => ({ column, width: widths.get(column) ?? 0 }));
  if (limit === undefined) return placed;
  let excess = total(columns, (_column, whole) => whole, widths) - limit;
  while (excess > 0) {
    const candidates = placed.filter(({ column, width }) => width > (column.least ?? width));
    if (candidates.length === 0) break;
    const widest = candidates.reduce((one, other) => (other.width > one.width ? other : one));
    widest.width -= 1;
    excess -= 1;
  }
  return placed;
}

function join<T>(
  placed: readonly Placed<T>[],
  text: (column: Column<T>) => string,
  isLimited: boolean,
): string {
  const cells = placed.map(({ column, width }) => {
    const whole = text(column);
    const isCut = isLimited && column.least !== undefined;
    const shown = isCut ? cut(whole, Math.max(width, 1)) : whole;
    const room = " ".repeat(Math.max(width - columnsOf(shown), 0));
    return column.isRight === true ? room + shown : shown + room;
  });
  return cells.join(GAP).trimEnd();
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
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let columns = 0;
  for (const character of text) columns += characterColumns(character);
  return columns;
}

function characterColumns(character: string): number {
  if (COMBINING.test(character)) return 0;
  return WIDE.test(character) ? 2 : 1;
}
