/** Where the live page is served, and of which program. */
import { deepFreeze } from "../lib/deep-freeze.ts";
import { parseUnixEndpoint } from "./endpoint.ts";
import { readGroup, rowsOf, type Values, value } from "./option.ts";
import type { Settings } from "./settings.ts";
import { parseTcpAddress } from "./tcp-address.ts";

const PAGE = "The page:";
const PROGRAM = "Which program:";

const UI_OPTIONS = {
  listen: value({
    name: "listen",
    argument: "ADDR:PORT",
    description:
      "where the page is served; beyond loopback others can read all of it on the way, the token " +
      "included (default 127.0.0.1, any free port)",
    heading: PAGE,
    parse: parseTcpAddress,
    fallback: undefined,
  }),
  instance: value({
    name: "instance",
    argument: "NAME",
    description: "program to look at, such as attach-4711 (default: the only one there is)",
    heading: PROGRAM,
    parse: (text) => text,
  }),
  admin: value({
    name: "admin",
    argument: "unix:PATH",
    description: "its admin socket, where it is not in the runtime folder",
    heading: PROGRAM,
    parse: parseUnixEndpoint,
  }),
};

export const UI_ROWS = rowsOf(UI_OPTIONS);

export type UiOptions = Values<typeof UI_OPTIONS>;

/** Reads the settings of `ui`. Throws `ConfigError`. */
export function readUiOptions(settings: Settings): UiOptions {
  return deepFreeze(readGroup(UI_OPTIONS, settings));
}
