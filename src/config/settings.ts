/**
 * What somebody asked for, as text, before it is read: one `Setting` per option, whichever of
 * command line and environment it came from, plus the small readers that every option shares.
 *
 * Contract: the readers throw `ConfigError` and name the place the text came from, so that a wrong
 * `SLIRP_MTU` is not blamed on `--mtu`.
 */
import { ConfigError, quote } from "./errors.ts";

/** Text given for one option. A flag that is on has the single value "true". */
export interface Setting {
  readonly values: readonly string[];
  /** Where the text came from, ready for a message: `--mtu` or `SLIRP_MTU`. */
  readonly origin: string;
}

/** Settings by option name without dashes (`mtu`, `no-vnet`); an absent one was not given. */
export type Settings = ReadonlyMap<string, Setting>;

/** The error for one value: `parse --mtu "9": wanted an integer from 576 to 65520`. */
export function invalid(origin: string, text: string, problem: string): ConfigError {
  return new ConfigError(`parse ${origin} ${quote(text)}: ${problem}`);
}

/** Whether a flag is on. */
export function readFlag(settings: Settings, name: string): boolean {
  return settings.get(name)?.values[0] === "true";
}

/**
 * Reads an option that is given at most once (the last one counts) with `parse`, which throws the
 * problem as text of a `ConfigError`; `fallback` when it was not given.
 */
export function readOne<T, F>(
  settings: Settings,
  name: string,
  fallback: F,
  parse: (text: string) => T,
): T | F {
  const setting = settings.get(name);
  const text = setting?.values.at(-1);
  if (setting === undefined || text === undefined) return fallback;
  return parseNamed(setting.origin, text, parse);
}

/** Reads an option that may be given several times, in the order given. */
export function readMany<T>(settings: Settings, name: string, parse: (text: string) => T): T[] {
  const setting = settings.get(name);
  if (setting === undefined) return [];
  return setting.values.map((text) => parseNamed(setting.origin, text, parse));
}

function parseNamed<T>(origin: string, text: string, parse: (text: string) => T): T {
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof ConfigError) throw invalid(origin, text, error.message);
    throw error;
  }
}

/** A parser of decimal integers from `min` to `max`, both included. */
export function integerBetween(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^[0-9]{1,15}$/.test(text) || value < min || value > max) {
      throw new ConfigError(`wanted an integer from ${min} to ${max}`);
    }
    return value;
  };
}

/** A parser of one of a few words. */
export function oneOf<const T extends string>(words: readonly T[]): (text: string) => T {
  return (text) => {
    const word = words.find((candidate) => candidate === text);
    if (word === undefined) throw new ConfigError(`wanted one of ${words.map(quote).join(", ")}`);
    return word;
  };
}
