/** The help of every command, and where its text is kept. */
import { parseCommandLine } from "../../src/cli/options.ts";

export const HELP_COMMANDS = [
  "attach",
  "run",
  "serve",
  "doctor",
  "ui",
  "manifests",
  "demo",
  "replay",
  "simulate",
  "instances",
  "flows",
  "top",
  "stats",
  "events",
  "drops",
  "log",
  "log-level",
  "publish",
  "capture",
  "completion",
  "man",
] as const;

/** What `COMMAND --help` prints; "" is the program itself. */
export function helpOf(command: string): string {
  const argv = command === "" ? ["--help"] : [command, "--help"];
  const parsed = parseCommandLine(argv, {}, false);
  return parsed.kind === "help" ? parsed.text : "";
}

export function helpFile(command: string): URL {
  return new URL(`../fixtures/help/${command || "program"}.txt`, import.meta.url);
}
