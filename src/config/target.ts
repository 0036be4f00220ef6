/** Which running program a command is about, and what such commands have in common. */
import { parseUnixEndpoint } from "./endpoint.ts";
import { ConfigError } from "./errors.ts";
import { type Bounds, flag, integer, type Option, type Values, value } from "./option.ts";
import { parsePath } from "./path.ts";
import { HOOKS_DIR_DEFAULT } from "./serve.ts";
import type { Settings } from "./settings.ts";

const TARGET = "Which program, where there are several:";
export const WHAT = "What is shown:";
export const FORM = "Output:";
const INTERVAL_BOUNDS: Bounds = [1, 60];

export const HOOKS_DIR_OPTION = {
  /** Folder of hook sockets, in which `serve` has its socket. */
  hooksDir: value({
    name: "hooks-dir",
    argument: "DIR",
    description: "folder of hook sockets, where serve has its socket (default {default})",
    heading: TARGET,
    parse: parsePath,
    fallback: HOOKS_DIR_DEFAULT,
  }),
};

export const TARGET_OPTIONS = {
  /** Name or process id. */
  instance: value({
    name: "instance",
    argument: "NAME|PID",
    description: "the one of this name or process, as instances lists them",
    heading: TARGET,
    parse: parseWord,
  }),
  /** Path of its socket. */
  admin: value({
    name: "admin",
    argument: "unix:PATH",
    description: "the one whose admin socket this is",
    heading: TARGET,
    parse: parseSocket,
  }),
  ...HOOKS_DIR_OPTION,
};

/** The program that is asked. */
export type Target = Values<typeof TARGET_OPTIONS>;

export const NETWORK_OPTION = {
  /** Name of a network's interface; empty = all, or the only one. */
  network: value({
    name: "interface",
    argument: "NAME",
    description: "guest network of this interface, where the program has several",
    heading: WHAT,
    parse: parseWord,
    fallback: "",
  }) satisfies Option<string>,
};

export const JSON_OPTION = {
  json: flag({ name: "json", description: "one JSON object in a line", heading: FORM }),
};

export const INTERVAL_OPTION = {
  intervalSeconds: integer({
    name: "interval",
    argument: "SECONDS",
    description: "time between two looks, {bounds} (default {default})",
    heading: FORM,
    bounds: INTERVAL_BOUNDS,
    fallback: 1,
  }),
};

/** Goes on until it is interrupted. */
export function watchOption(description: string): { readonly watch: Option<boolean> } {
  return { watch: flag({ name: "watch", description, heading: FORM }) };
}

/** Reads them. A socket named on the command line or for all is not overruled by the folder. */
export function readTarget(settings: Settings): Target {
  const given = settings.get("instance");
  // Where the environment names a socket, as in a container, an argument still chooses.
  const others = new Map([...settings].filter(([name]) => name !== "admin"));
  const isChosen = given?.origin.startsWith("--") === true;
  const isNamed = settings.get("admin")?.origin.startsWith("--") === true;
  if (isChosen && isNamed) throw new ConfigError('leave out "--admin" or "--instance"');
  const values = isChosen ? others : settings;
  return {
    instance: isNamed ? undefined : TARGET_OPTIONS.instance.read(values),
    admin: TARGET_OPTIONS.admin.read(values),
    hooksDir: TARGET_OPTIONS.hooksDir.read(values),
  };
}

export function parseWord(text: string): string {
  if (text === "" || text.length > 256) throw new ConfigError("wanted a name");
  return text;
}

function parseSocket(text: string): string {
  if (text === "off") throw new ConfigError("the program was told to have no admin socket");
  return parseUnixEndpoint(text).path;
}
