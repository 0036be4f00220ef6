/**
 * An option, said once. A row is its name, environment variable, help, default, bounds and
 * conflicts, and reads its own text; commands, help and environment are all made from rows.
 *
 * A group is an object of rows by the name that their values have in the program: `readGroup` turns
 * it into an object of values, whose type follows from the rows (`Values`).
 *
 * Commander parses arguments and lays the help out. Variables and conflicts are ours: its `env()`
 * looks at the process' own environment only, takes an empty variable for a value, knows no lists
 * and turns a flag on by `0`, and its `conflicts()` sees no variables but those.
 *
 * A description may contain `{bounds}` and `{default}`.
 */
import { ConfigError, quote } from "./errors.ts";
import {
  integerBetween,
  invalid,
  oneOf,
  readFlag,
  readMany,
  readOne,
  type Setting,
  type Settings,
} from "./settings.ts";

/** How an option looks to whoever gives it. */
export interface OptionRow {
  /** Long name without dashes. A name that begins with `no-` is an ordinary flag. */
  readonly name: string;
  /** One letter that stands for the name behind a single dash. */
  readonly short?: string;
  /** The environment variable that stands in for it. */
  readonly variable: string;
  /** It has a variable and no argument on the command line. */
  readonly isVariableOnly?: true;
  /** What follows the name, as the help shows it; a flag has none. */
  readonly argument?: string;
  /** May be given several times; in the environment its values are separated by commas. */
  readonly repeatable?: true;
  readonly description: string;
  /** Heading it stands under in the help. */
  readonly heading: string;
  /** Options it cannot be given together with, and why it is then the one to leave out. */
  readonly conflicts?: Readonly<Record<string, string>>;
}

/** An option whose value is a T. */
export interface Option<T> extends OptionRow {
  /** Throws `ConfigError`. */
  readonly read: (settings: Settings) => T;
}

export type Group = Readonly<Record<string, Option<unknown>>>;

/** Values of a group, by the keys of its rows. */
export type Values<G extends Group> = {
  readonly [K in keyof G]: G[K] extends Option<infer T> ? T : never;
};

export type Environment = Readonly<Record<string, string | undefined>>;

/** Smallest and largest value, both included. */
export type Bounds = readonly [min: number, max: number];

type Look = Pick<OptionRow, "name" | "description" | "heading"> &
  Partial<Pick<OptionRow, "conflicts" | "short">>;

/** Reads all options of a group. Throws `ConfigError`. */
export function readGroup<G extends Group>(group: G, settings: Settings): Values<G> {
  const read = Object.entries(group).map(([key, option]) => [key, option.read(settings)]);
  // One entry for each row, of the type that the row reads.
  return Object.fromEntries(read) as Values<G>;
}

/** A flag; its value is true when it is given. */
export function flag(look: Look): Option<boolean> {
  return { ...look, variable: variableOf(look.name), read: (from) => readFlag(from, look.name) };
}

/** A flag that turns off what is on without it. */
export function negatedFlag(look: Look): Option<boolean> {
  return { ...look, variable: variableOf(look.name), read: (from) => !readFlag(from, look.name) };
}

/** An option with one value, of which the last counts; `fallback` where it is not given. */
export function value<T, F = undefined>(
  look: Look & {
    readonly argument: string;
    readonly parse: (text: string) => T;
    readonly fallback?: F;
  },
): Option<T | F> {
  const { parse, fallback, ...row } = look;
  return {
    ...row,
    description: described(row.description, fallback),
    variable: variableOf(row.name),
    // Without a fallback F is undefined, by its default.
    read: (settings) => readOne(settings, row.name, fallback as F, parse),
  };
}

/** A whole number between bounds. */
export function integer<F = undefined>(
  look: Look & { readonly argument: string; readonly bounds: Bounds; readonly fallback?: F },
): Option<number | F> {
  const { bounds, ...rest } = look;
  const description = rest.description.replace("{bounds}", bounds.join(" to "));
  return value<number, F>({ ...rest, description, parse: integerBetween(...bounds) });
}

/** One of a few words. */
export function choice<const T extends string, F = undefined>(
  look: Look & {
    readonly choices: readonly T[];
    /** The choices themselves if nothing else is said. */
    readonly argument?: string;
    readonly fallback?: F;
  },
): Option<T | F> {
  const { choices, argument = choices.join("|"), ...rest } = look;
  return value<T, F>({ ...rest, argument, parse: oneOf(choices) });
}

/** An option that may be given several times. Its values are in the order given. */
export function list<T>(
  look: Look & { readonly argument: string; readonly parse: (text: string) => T },
): Option<readonly T[]> {
  const { parse, ...row } = look;
  return {
    ...row,
    repeatable: true,
    variable: variableOf(row.name),
    read: (settings) => readMany(settings, row.name, parse),
  };
}

/** A setting that has a variable, of any name, and no argument. */
export function variableOnly<T, F = undefined>(
  variable: string,
  parse: (text: string) => T,
  fallback?: F,
): Option<T | F> {
  const option = value<T, F>({
    name: variable,
    argument: "VALUE",
    description: "",
    heading: "",
    parse,
    ...(fallback === undefined ? {} : { fallback }),
  });
  return { ...option, variable, isVariableOnly: true };
}

/** Rows of groups, in their order. */
export function rowsOf(...groups: readonly Group[]): readonly OptionRow[] {
  return groups.flatMap((group) => Object.values(group));
}

function variableOf(name: string): string {
  return `SLIRP_${name.toUpperCase().replaceAll("-", "_")}`;
}

function described(description: string, fallback: unknown): string {
  return description.replace("{default}", String(fallback));
}

/** "1", "0" and their like. Throws `ConfigError`. */
export function parseSwitch(text: string): boolean {
  if (/^(1|true|yes|on)$/i.test(text)) return true;
  if (/^(0|false|no|off)$/i.test(text)) return false;
  throw new ConfigError('wanted "1" or "0"');
}

/** What the environment says of an option; an empty variable counts as absent. */
export function readVariable(row: OptionRow, env: Environment): Setting | undefined {
  const origin = row.variable;
  const text = env[origin];
  if (text === undefined || text === "") return undefined;
  if (row.argument === undefined) return { values: [readSwitch(origin, text)], origin };
  if (row.repeatable !== true) return { values: [text], origin };
  const values = text.split(",").map((part) => part.trim());
  return { values: values.filter((part) => part !== ""), origin };
}

function readSwitch(origin: string, text: string): string {
  try {
    return String(parseSwitch(text));
  } catch (error) {
    if (error instanceof ConfigError) throw invalid(origin, text, error.message);
    throw error;
  }
}

/** What the environment says of all these options. Throws `ConfigError`. */
export function readVariables(rows: readonly OptionRow[], env: Environment): Map<string, Setting> {
  const settings = new Map<string, Setting>();
  for (const row of rows) {
    const setting = readVariable(row, env);
    if (setting !== undefined) settings.set(row.name, setting);
  }
  return settings;
}

/** Throws `ConfigError` where two options were given that cannot go together. */
export function checkConflicts(rows: readonly OptionRow[], settings: Settings): void {
  for (const { name, conflicts = {} } of rows) {
    const setting = settings.get(name);
    if (setting === undefined || !isGiven(settings, name)) continue;
    for (const [other, reason] of Object.entries(conflicts)) {
      if (!isGiven(settings, other)) continue;
      throw new ConfigError(`leave out ${quote(setting.origin)}: ${reason}`);
    }
  }
}

/** Whether an option was given; a flag that is off was not. */
export function isGiven(settings: Settings, name: string): boolean {
  const setting = settings.get(name);
  return setting !== undefined && setting.values.at(-1) !== "false";
}
