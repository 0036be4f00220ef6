/** How this very program is started again. */
import { fileURLToPath } from "node:url";

/** Its command line without arguments. From source the runtime needs to be told which file. */
export function ownCommand(): string[] {
  const main = new URL("../main.ts", import.meta.url);
  if (main.pathname.startsWith("/$bunfs/")) return [process.execPath];
  const run = "Deno" in globalThis ? ["run", "-A"] : [];
  return [process.execPath, ...run, fileURLToPath(main)];
}
