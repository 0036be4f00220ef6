/** The difference of two texts, as the demonstration shows it. */
import { structuredPatch } from "diff";

/** Lines around a change that are shown too. */
const CONTEXT = 1;
const GAP = "…";

/** A difference; `lines` begin with their mark, a gap is "…". */
export interface Difference {
  readonly added: number;
  readonly removed: number;
  readonly lines: readonly string[];
}

/** What has to change in `before` to make it `after`, by lines. */
export function differenceOf(before: string, after: string): Difference {
  // A last line without an end would be another line than the same one with it.
  const [old, changed] = [before, after].map((text) => `${text}\n`);
  const { hunks } = structuredPatch("", "", old ?? "", changed ?? "", "", "", { context: CONTEXT });
  const count = (mark: string): number =>
    hunks.flatMap(({ lines }) => lines).filter((line) => line.startsWith(mark)).length;
  const size = before.split("\n").length;
  const lines: string[] = [];
  let shown = 0;
  for (const { oldStart, oldLines, lines: changes } of hunks) {
    if (oldStart - 1 > shown) lines.push(GAP);
    const marked = changes.map((line) => `${line.slice(0, 1)} ${line.slice(1)}`);
    lines.push(...marked.map((line) => line.replaceAll("\t", "  ")));
    shown = oldStart - 1 + oldLines;
  }
  if (hunks.length > 0 && shown < size) lines.push(GAP);
  return { added: count("+"), removed: count("-"), lines };
}
