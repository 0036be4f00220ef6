/**
 * Pictures of a terminal in docs/operating.md: blocks of text that begin with a `$` and a command.
 * What a test sees is compared with them, so that they stay real.
 *
 * Contract: numbers may be others, columns as wide as they like; `…` stands for anything within a
 * line, and alone in one for any number of lines.
 */
import assert from "node:assert/strict";
import { operatingPage } from "./table.ts";

const BLOCK = /^```text\n\$ (.*)\n((?:.*\n)*?)^```$/gm;

/** Commands of all pictures. */
export function pictured(): string[] {
  return [...operatingPage().matchAll(BLOCK)].map(([, command = ""]) => command);
}

/** Checks that a command's output looks as the page has it. */
export function looksAs(command: string, output: string): void {
  const blocks = [...operatingPage().matchAll(BLOCK)].filter(([, shown]) => shown === command);
  assert.equal(blocks.length, 1, `docs/operating.md has a picture of "${command}"`);
  const lines = (blocks[0]?.[2] ?? "").trimEnd().split("\n");
  const pattern = lines.map((line) => (line.trim() === "…" ? "(?:.*\n)*?" : patternOf(line)));
  assert.match(output, new RegExp(`^${pattern.join("")}$`), command);
}

function patternOf(line: string): string {
  const words = line.trim().split(/ +/).map(wordPattern);
  return ` *${words.join("")} *\n`;
}

/** A quantity may be another one, in another unit, and left out where it is nothing. */
function wordPattern(word: string, at: number): string {
  const gap = at === 0 ? "" : " +";
  if (/^[\d.]+(?:[um]?s|[mhdKMG])?$/.test(word)) return `(?:${gap}[\\d.]+[a-zA-Z]*)?`;
  const plain = word.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return gap + plain.replaceAll(/\d+/g, "\\d+").replaceAll("…", ".*");
}
