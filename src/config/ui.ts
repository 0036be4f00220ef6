/** Where the live page is served, and of which program. */
import { deepFreeze } from "../lib/deep-freeze.ts";
import { readGroup, rowsOf, type Values, value } from "./option.ts";
import type { Settings } from "./settings.ts";
import { readTarget, TARGET_OPTIONS, type Target } from "./target.ts";
import { parseTcpAddress } from "./tcp-address.ts";

const UI_OPTIONS = {
  /** Undefined = loopback, any free port. */
  listen: value({
    name: "listen",
    argument: "ADDR:PORT",
    description:
      "where the page is served; beyond loopback others can read all of it on the way, the token " +
      "included (default 127.0.0.1, any free port)",
    heading: "The page:",
    parse: parseTcpAddress,
  }),
};

export const UI_ROWS = rowsOf(UI_OPTIONS, TARGET_OPTIONS);

export interface UiOptions extends Values<typeof UI_OPTIONS> {
  readonly target: Target;
}

/** Reads the settings of `ui`. Throws `ConfigError`. */
export function readUiOptions(settings: Settings): UiOptions {
  return deepFreeze({ ...readGroup(UI_OPTIONS, settings), target: readTarget(settings) });
}
