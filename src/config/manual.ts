/** Which page of the manual, and the completion of which shell. */
import { ConfigError, quote } from "./errors.ts";
import { readGroup, rowsOf, type Values, value } from "./option.ts";
import { parsePath } from "./path.ts";
import { oneOf, readOne, type Settings } from "./settings.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

const MANUAL_OPTIONS = {
  /** Folder that all pages are written into; undefined = one is printed. */
  into: value({
    name: "into",
    argument: "DIR",
    description: "write every page there is into this folder, which is made",
    heading: "Output:",
    parse: parsePath,
  }),
};

export const MANUAL_ROWS = rowsOf(MANUAL_OPTIONS);

export interface ManualOptions extends Values<typeof MANUAL_OPTIONS> {
  /** Undefined = the program itself. */
  readonly command: string | undefined;
}

/** Throws `ConfigError`. */
export function readShell(settings: Settings): Shell {
  const shell = readOne(settings, "shell", undefined, oneOf(SHELLS));
  if (shell === undefined) throw new ConfigError(`choose a shell: ${SHELLS.map(quote).join(", ")}`);
  return shell;
}

/** Throws `ConfigError`. @param commands names of those that have a page */
export function readManual(settings: Settings, commands: readonly string[]): ManualOptions {
  const command = readOne(settings, "command", undefined, oneOf(commands));
  const { into } = readGroup(MANUAL_OPTIONS, settings);
  if (command !== undefined && into !== undefined) {
    throw new ConfigError('leave out "--into": one page is printed');
  }
  return { command, into };
}
