/**
 * Changes that leave a program which does the same, argued one by one in `equivalent.json`; they
 * are not counted.
 */
import { readFileSync } from "node:fs";

export interface Equivalent {
  readonly file: string;
  /** The lines that change, each without indentation, as a survivor is reported. */
  readonly from: string;
  readonly to: string;
  /** Why nothing outside can tell one from the other. */
  readonly why: string;
}

const FIELDS = ["file", "from", "to", "why"] as const;

/** @throws {Error} where an entry lacks a field */
export function readEquivalent(text: string): Equivalent[] {
  const entries: unknown = JSON.parse(text);
  if (!Array.isArray(entries)) throw new Error("a list of equivalent mutants is wanted");
  return entries.map((entry: Record<string, unknown>, index) => {
    const [file, from, to, why] = FIELDS.map((name) => {
      const value = entry[name];
      if (typeof value !== "string") throw new Error(`entry ${index + 1} has no "${name}"`);
      return value;
    });
    return { file: file ?? "", from: from ?? "", to: to ?? "", why: why ?? "" };
  });
}

export const EQUIVALENT: readonly Equivalent[] = readEquivalent(
  readFileSync(new URL("equivalent.json", import.meta.url), "utf8"),
);
