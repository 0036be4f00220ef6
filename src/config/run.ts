/**
 * What `run` was asked to do: a command, and the network it gets, which is that of an `attach`.
 * Whoever holds a `RunOptions` need not check anything in it again.
 */
import { type AttachOptions, readAttachOptions } from "./config.ts";
import { ConfigError } from "./errors.ts";
import type { RightsOptions } from "./rights.ts";
import { readFlag, type Setting, type Settings } from "./settings.ts";

/** Options of `run`, frozen. */
export interface RunOptions {
  /** Program and arguments, one word at least. */
  readonly command: readonly string[];
  /** Be root inside, of a user namespace. */
  readonly mapRoot: boolean;
  /** What `attach` makes of the settings and a namespace, whose place the real one will take. */
  readonly attach: AttachOptions & RightsOptions;
  /** The same as arguments of `attach` for a tap that is configured, without that namespace. */
  readonly attachArguments: readonly string[];
}

const TAP_DEFAULT = "tap0";
/** The command has standard error for itself. */
const LOG_LEVEL_DEFAULT = "error";
/** Options that `attach` has not. */
const OWN = new Set(["map-root"]);

/** What is known besides the settings. */
export interface RunSurroundings {
  /** What is started where no command was given. */
  readonly shell: string;
  readonly isTerminal: boolean;
  /** Options without a value. */
  readonly flags: ReadonlySet<string>;
}

/** Reads the settings of `run`. Throws `ConfigError`. @param command as given */
export function readRunOptions(
  settings: Settings,
  command: readonly string[],
  { shell, isTerminal, flags }: RunSurroundings,
): RunOptions {
  if (command.some((word) => word.includes("\0"))) throw new ConfigError("wanted a command");
  if (command[0] === "") throw new ConfigError("wanted a command, not an empty word");
  const origin = "run";
  const whole = new Map<string, Setting>([
    ["tap", { values: [TAP_DEFAULT], origin }],
    ["log-level", { values: [LOG_LEVEL_DEFAULT], origin }],
    ["log-format", { values: [isTerminal ? "pretty" : "json"], origin }],
    ...[...settings].filter(([name]) => !OWN.has(name)),
  ]);
  const attach = readAttachOptions(
    new Map([
      ...whole,
      ["netns", { values: ["1"], origin }],
      ["configure", { values: ["true"], origin }],
    ]),
    isTerminal,
  );
  return Object.freeze({
    command: command.length === 0 ? [shell] : command,
    mapRoot: readFlag(settings, "map-root"),
    attach,
    attachArguments: argumentsOf(whole, flags),
  });
}

/** Values may begin with a dash, so they are never words of their own. */
function argumentsOf(settings: Settings, flags: ReadonlySet<string>): string[] {
  return [...settings].flatMap(([name, { values }]) => {
    if (!flags.has(name)) return values.map((value) => `--${name}=${value}`);
    return values[0] === "true" ? [`--${name}`] : [];
  });
}
