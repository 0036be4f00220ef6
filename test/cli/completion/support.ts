/** Shells that are asked what they would complete. */
import { spawnSync } from "node:child_process";
import { which } from "../../support/e2e/shell.ts";

/** False, or why a shell's tests are skipped. */
export function needs(shell: string): string | false {
  return which(shell) === undefined && `needs ${shell} (Debian package ${shell})`;
}

/** Runs a script of the shell in an empty environment; returns the lines it prints. */
export function linesOf(shell: string, args: readonly string[], script: string): string[] {
  const env = { PATH: process.env["PATH"] ?? "", HOME: "/nonexistent", TERM: "dumb" };
  const options = { encoding: "utf8", input: script, timeout: 20_000, env } as const;
  const { stdout, stderr, status } = spawnSync(shell, args, options);
  if (status !== 0) throw new Error(`${shell}: ${status}: ${stderr}`);
  if (stderr !== "") throw new Error(`${shell}: ${stderr}`);
  return stdout.split("\n").filter((line) => line !== "");
}
