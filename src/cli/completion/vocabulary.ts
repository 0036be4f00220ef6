/**
 * What may stand where on the command line, as the scripts of the shells need it. It is made from
 * `COMMANDS` and the rows of options, so that no script knows a word of its own.
 */
import type { CommandEntry } from "../command.ts";
import { COMMANDS } from "../commands.ts";

export const PROGRAM = "slirp-binding";
/** Options that every command has. */
const HELP: OptionWord = {
  flags: ["--help", "-h"],
  argument: undefined,
  value: undefined,
  isRepeatable: false,
  description: "print the help",
};
/** A list of words, as the help writes it: `auto|always|never`. */
const WORDS = /^[a-z][a-z0-9-]*(?:\|[a-z][a-z0-9-]*)+$/;

/** What completes a value: one of these words, names of files or folders, or nothing. */
export type ValueKind = readonly string[] | "files" | "folders" | "free";

export interface OptionWord {
  /** With their dashes, the long one first. */
  readonly flags: readonly string[];
  /** As the help shows it; undefined for a flag. */
  readonly argument: string | undefined;
  readonly value: ValueKind | undefined;
  readonly isRepeatable: boolean;
  readonly description: string;
}

export interface OperandWord {
  readonly name: string;
  readonly value: ValueKind;
  readonly isRepeated: boolean;
}

export interface CommandWord {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly OptionWord[];
  readonly operands: readonly OperandWord[];
  /** Another program's command line follows. */
  readonly takesCommand: boolean;
}

/** Every command of the program, in the order of its help. */
export function vocabulary(): readonly CommandWord[] {
  return COMMANDS.map((entry) => ({
    name: entry.name,
    summary: entry.summary,
    options: [...optionsOf(entry), HELP],
    operands: (entry.operands ?? []).map(({ name, isRepeated, words }) => ({
      name,
      value: words ?? valueKind(name.toUpperCase()),
      isRepeated: isRepeated === true,
    })),
    takesCommand: entry.takesCommand === true,
  }));
}

function optionsOf({ rows }: CommandEntry): OptionWord[] {
  return rows
    .filter(({ isVariableOnly }) => isVariableOnly !== true)
    .map(({ name, short, argument, repeatable, description }) => ({
      flags: [`--${name}`, ...(short === undefined ? [] : [`-${short}`])],
      argument,
      value: argument === undefined ? undefined : valueKind(argument),
      isRepeatable: repeatable === true,
      description,
    }));
}

function valueKind(argument: string): ValueKind {
  if (WORDS.test(argument)) return argument.split("|");
  const names = argument.split("|");
  if (names.some((name) => /^(?:FILE|PATH|SCENARIO)$/.test(name))) return "files";
  return names.includes("DIR") ? "folders" : "free";
}
