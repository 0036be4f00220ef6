/**
 * The difference of two texts, as short as `diff -U`: changed lines with a little of what is around
 * them, nothing of the rest.
 */

/** Lines around a change that are shown too. */
const CONTEXT = 1;

/** One line of a comparison. */
interface Line {
  readonly mark: " " | "-" | "+";
  readonly text: string;
}

/** A difference; `lines` begin with their mark, a gap is "…". */
export interface Difference {
  readonly added: number;
  readonly removed: number;
  readonly lines: readonly string[];
}

/** What has to change in `before` to make it `after`, by lines. */
export function differenceOf(before: string, after: string): Difference {
  const lines = compare(before.split("\n"), after.split("\n"));
  const count = (mark: Line["mark"]): number => lines.filter((line) => line.mark === mark).length;
  return { added: count("+"), removed: count("-"), lines: shorten(lines) };
}

/** Lines of both, in order, by the longest sequence that they have in common. */
function compare(before: readonly string[], after: readonly string[]): Line[] {
  const lengths = commonLengths(before, after);
  const lines: Line[] = [];
  let i = 0;
  let j = 0;
  while (i < before.length || j < after.length) {
    const left = before[i];
    const right = after[j];
    if (left !== undefined && left === right) {
      lines.push({ mark: " ", text: left });
      i += 1;
      j += 1;
      continue;
    }
    const withoutLeft = lengths[i + 1]?.[j] ?? -1;
    const withoutRight = lengths[i]?.[j + 1] ?? -1;
    if (right === undefined || (left !== undefined && withoutLeft >= withoutRight)) {
      lines.push({ mark: "-", text: left ?? "" });
      i += 1;
    } else {
      lines.push({ mark: "+", text: right });
      j += 1;
    }
  }
  return lines;
}

/** `[i][j]`: how many lines the rests from i and j on have in common. */
function commonLengths(before: readonly string[], after: readonly string[]): number[][] {
  const lengths = Array.from({ length: before.length + 1 }, () =>
    new Array<number>(after.length + 1).fill(0),
  );
  for (let i = before.length - 1; i >= 0; i -= 1) {
    for (let j = after.length - 1; j >= 0; j -= 1) {
      const skipped = Math.max(lengths[i + 1]?.[j] ?? 0, lengths[i]?.[j + 1] ?? 0);
      const length = before[i] === after[j] ? (lengths[i + 1]?.[j + 1] ?? 0) + 1 : skipped;
      const row = lengths[i];
      if (row !== undefined) row[j] = length;
    }
  }
  return lengths;
}

function shorten(lines: readonly Line[]): string[] {
  const near = (index: number): boolean =>
    lines.slice(Math.max(0, index - CONTEXT), index + CONTEXT + 1).some(({ mark }) => mark !== " ");
  const shown: string[] = [];
  lines.forEach(({ mark, text }, index) => {
    if (near(index)) shown.push(`${mark} ${text.replaceAll("\t", "  ")}`);
    else if (shown.at(-1) !== "…") shown.push("…");
  });
  const isNothing = shown.every((line) => line === "…");
  return isNothing ? [] : shown;
}
