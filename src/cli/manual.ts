/** `completion` and `man`: what is made from the table of commands and options, printed. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ManualOptions, Shell } from "../config/manual.ts";
import { COMMANDS } from "./commands.ts";
import { bashCompletion } from "./completion/bash.ts";
import { fishCompletion } from "./completion/fish.ts";
import { zshCompletion } from "./completion/zsh.ts";
import { manPage, manPages } from "./man.ts";

/** The script of that shell. */
export function completion(shell: Shell): string {
  if (shell === "bash") return bashCompletion();
  return shell === "zsh" ? zshCompletion() : fishCompletion();
}

/** Prints a page, or writes them all; returns the exit code. */
export function manual({ command, into }: ManualOptions): number {
  if (into === undefined) {
    process.stdout.write(manPage(COMMANDS.find(({ name }) => name === command)).text);
    return 0;
  }
  mkdirSync(into, { recursive: true });
  for (const { file, text } of manPages()) writeFileSync(join(into, file), text);
  return 0;
}
