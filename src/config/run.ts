/**
 * What `run` was asked to do: a command, and the network it gets, which is that of an `attach`.
 * Whoever holds a `RunOptions` need not check anything in it again.
 */
import { ATTACH_ROWS, type AttachOptions, readAttachOptions } from "./attach.ts";
import { ConfigError } from "./errors.ts";
import { flag, type OptionRow, rowsOf } from "./option.ts";
import type { Setting, Settings } from "./settings.ts";

/** Options of `run`, frozen. */
export interface RunOptions {
  /** Program and arguments, one word at least. */
  readonly command: readonly string[];
  /** Be root inside, of a user namespace. */
  readonly mapRoot: boolean;
  /** What `attach` makes of the settings and a namespace, whose place the real one will take. */
  readonly attach: AttachOptions;
  /** The same as arguments of `attach` for a tap that is configured, without that namespace. */
  readonly attachArguments: readonly string[];
}

const TAP_DEFAULT = "tap0";
/** The command has standard error for itself. */
const LOG_LEVEL_DEFAULT = "error";
const INSIDE = "Inside:";

/** Options that `attach` has not. */
const OWN_OPTIONS = {
  mapRoot: flag({
    name: "map-root",
    description:
      "be root inside, as with unshare -r: interfaces, routes and firewall may be changed " +
      "(default: who you are)",
    heading: INSIDE,
  }),
};

/** What is about a namespace, a machine or a caller that `run` has not. */
const NOT_FOR_RUN = new Set([
  "listen",
  "connect",
  "vhost-user",
  "vhost-user-connect",
  "netns",
  "configure",
  "peer-uid",
  "ready-fd",
  "exit-fd",
]);
const OF_TAP = new Set(["tap", "no-vnet"]);

/** All its options, in the order of the help. */
export const RUN_ROWS: readonly OptionRow[] = [
  ...rowsOf(OWN_OPTIONS),
  ...ATTACH_ROWS.filter(({ name }) => !NOT_FOR_RUN.has(name)).map((row) =>
    OF_TAP.has(row.name) ? { ...row, heading: INSIDE } : row,
  ),
];

/** Options of the network without a value. */
const FLAGS: ReadonlySet<string> = new Set(
  ATTACH_ROWS.filter(({ argument }) => argument === undefined).map(({ name }) => name),
);

/** What is known besides the settings. */
export interface RunContext {
  /** What is started where no command was given. */
  readonly shell: string;
  readonly isTerminal: boolean;
}

/** Reads the settings of `run`. Throws `ConfigError`. @param command as given */
export function readRunOptions(
  settings: Settings,
  command: readonly string[],
  { shell, isTerminal }: RunContext,
): RunOptions {
  if (command.some((word) => word.includes("\0"))) throw new ConfigError("wanted a command");
  if (command[0] === "") throw new ConfigError("wanted a command, not an empty word");
  const origin = "run";
  const whole = new Map<string, Setting>([
    ["tap", { values: [TAP_DEFAULT], origin }],
    ["log-level", { values: [LOG_LEVEL_DEFAULT], origin }],
    ["log-format", { values: [isTerminal ? "pretty" : "json"], origin }],
    ...[...settings].filter(([name]) => name !== OWN_OPTIONS.mapRoot.name),
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
    mapRoot: OWN_OPTIONS.mapRoot.read(settings),
    attach,
    attachArguments: argumentsOf(whole),
  });
}

/** Values may begin with a dash, so they are never words of their own. */
function argumentsOf(settings: Settings): string[] {
  return [...settings].flatMap(([name, { values }]) => {
    if (!FLAGS.has(name)) return values.map((value) => `--${name}=${value}`);
    return values[0] === "true" ? [`--${name}`] : [];
  });
}
