/** How this very program is started again, and what it draws for an engine. */
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";

/** Octets of the seed that a network's engine starts with. */
const SEED_SIZE = 32;

/** A seed that nobody else knows. */
export function drawSeed(): readonly number[] {
  return [...randomBytes(SEED_SIZE)];
}

/** Its command line without arguments. From source the runtime needs to be told which file. */
export function ownCommand(): string[] {
  const main = new URL("../main.ts", import.meta.url);
  if (main.pathname.startsWith("/$bunfs/")) return [process.execPath];
  const run = "Deno" in globalThis ? ["run", "-A"] : [];
  return [process.execPath, ...run, fileURLToPath(main)];
}
