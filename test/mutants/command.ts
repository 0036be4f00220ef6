/** What the commands of this folder share: their arguments, their arenas, and how they end. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { type ParseArgsConfig, parseArgs } from "node:util";
import type { Arena } from "./arena.ts";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
export const JOBS_MAX = 2;

export class UsageError extends Error {}

/** @throws {UsageError} for what is no number from 1 */
export function natural(name: string, text: string | undefined, otherwise: number): number {
  const value = text === undefined ? otherwise : Number(text);
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw new UsageError(`give --${name} a number from 1, not "${text}"`);
}

/** A seed for who gave none. */
export function seedOf(text: string | undefined): number {
  return natural("seed", text, (Date.now() % 999_999) + 1);
}

export function jobsOf(text: string | undefined): number {
  return Math.min(JOBS_MAX, natural("jobs", text, JOBS_MAX));
}

/** @throws {UsageError} for arguments that are not among the options */
export function parse<const Options extends ParseArgsConfig["options"]>(options: Options) {
  try {
    return parseArgs({ args: process.argv.slice(2), options }).values;
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause));
  }
}

/** All files below a folder of the project with that ending, as paths from the root. */
export function filesBelow(folder: string, ending: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((file) => file.endsWith(ending))
    .sort();
}

/**
 * Runs a command to its exit code, which is 2 for wrong arguments. The arenas that it adds to its
 * list are gone in the end, after a signal too.
 */
export async function runCommand(work: (arenas: Arena[]) => Promise<number>): Promise<void> {
  const arenas: Arena[] = [];
  const close = (): void => {
    for (const arena of arenas) arena.close();
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => {
      close();
      process.exit(130);
    });
  }
  try {
    process.exitCode = await work(arenas);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  } finally {
    close();
  }
}
