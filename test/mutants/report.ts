/** What a run prints: each verdict as it falls, the survivors as changes, and a table by folder. */
import type { Nearness } from "./choose-tests.ts";
import type { Verdict } from "./judge.ts";
import type { Change } from "./sample.ts";

/** Where and what, in one line. */
export function place({ file, line, kind }: Change): string {
  return `${file}:${line}: ${kind}`;
}

/** The lines that change, as a diff has them. */
export function change({ from, to }: Change): string {
  const mark = (text: string, sign: string): string => text.replaceAll(/^/gm, `    ${sign} `);
  return `${mark(from, "-")}\n${mark(to, "+")}`;
}

function count(verdicts: readonly Verdict[], by: Verdict["by"]): number {
  return verdicts.filter((verdict) => verdict.by === by).length;
}

/** Share of the mutants that were seen, in per cent; 100 where there are none. */
export function score(verdicts: readonly Verdict[]): number {
  if (verdicts.length === 0) return 100;
  return (100 * (verdicts.length - count(verdicts, "nobody"))) / verdicts.length;
}

export function byFolder(verdicts: readonly Verdict[]): Map<string, Verdict[]> {
  const folders = new Map<string, Verdict[]>();
  for (const verdict of verdicts) {
    const { folder } = verdict.mutant;
    folders.set(folder, [...(folders.get(folder) ?? []), verdict]);
  }
  return folders;
}

function row(cells: readonly (string | number)[]): string {
  const [first = "", ...others] = cells.map(String);
  return first.padEnd(10) + others.map((cell) => cell.padStart(10)).join("");
}

const TITLES: Readonly<Record<Verdict["by"], string>> = {
  mirror: "by mirror",
  folder: "by folder",
  others: "by others",
  simulator: "simulated",
  late: "by time",
  nobody: "survive",
};

/**
 * A line for each folder: how many were seen by what, and the score.
 * @param near the judges there are
 */
export function table(
  verdicts: readonly Verdict[],
  near: readonly Nearness[] = ["mirror", "folder"],
): string {
  const columns: readonly Verdict["by"][] = [...near, "late", "nobody"];
  const folders = [...byFolder(verdicts)];
  const line = (name: string, of: readonly Verdict[]): string => {
    return row([name, of.length, ...columns.map((by) => count(of, by)), percent(of)]);
  };
  return [
    row(["folder", "mutants", ...columns.map((by) => TITLES[by]), "score"]),
    ...folders.map(([name, of]) => line(name, of)),
    ...(folders.length > 1 ? [line("all", verdicts)] : []),
  ].join("\n");
}

function percent(verdicts: readonly Verdict[]): string {
  return `${score(verdicts).toFixed(1)} %`;
}

/** All survivors, as changes. */
export function survivors(verdicts: readonly Verdict[]): string {
  return verdicts
    .filter(({ by }) => by === "nobody")
    .map(({ mutant }) => `${place(mutant)} survives\n${change(mutant)}\n`)
    .join("\n");
}
