/** What the commands that change a running program were asked, a group of rows each. */
import { deepFreeze } from "../lib/deep-freeze.ts";
import { LOG_LEVELS, type LogLevel } from "../lib/log.ts";
import { ConfigError } from "./errors.ts";
import { readFilter } from "./inspect.ts";
import { checkConflicts, flag, integer, readGroup, rowsOf, type Values, value } from "./option.ts";
import { parsePath } from "./path.ts";
import { parsePublish } from "./publish-rule.ts";
import { integerBetween, oneOf, readMany, readOne, type Settings } from "./settings.ts";
import {
  FORM,
  JSON_OPTION,
  NETWORK_OPTION,
  parseWord,
  readTarget,
  TARGET_OPTIONS,
  type Target,
  WHAT,
} from "./target.ts";

export const PUBLISH_ACTIONS = ["add", "remove", "list"] as const;
export type PublishAction = (typeof PUBLISH_ACTIONS)[number];
const NOTHING_CAPTURED = "nothing is captured";
const U32_MAX = 0xffff_ffff;

const PUBLISH_OPTIONS = { ...NETWORK_OPTION, ...JSON_OPTION };

const CAPTURE_OPTIONS = {
  ...NETWORK_OPTION,
  /** Octets kept of each frame; 0 = all. */
  snap: integer({
    name: "snap",
    argument: "N",
    description: "octets of a frame that are kept, {bounds} (default all)",
    heading: WHAT,
    bounds: [64, 262144],
    fallback: 0,
  }),
  /** Frames after which it ends; 0 = none. */
  count: integer({
    name: "count",
    short: "c",
    argument: "N",
    description: "end after so many frames",
    heading: WHAT,
    bounds: [1, Number.MAX_SAFE_INTEGER],
    fallback: 0,
  }),
  /** 0 = without end. */
  seconds: integer({
    name: "seconds",
    argument: "N",
    description: "end after so many seconds",
    heading: WHAT,
    bounds: [1, U32_MAX],
    fallback: 0,
  }),
  /** "-" is standard output, and so is none. */
  write: value({
    name: "write",
    short: "w",
    argument: "FILE",
    description: "where it goes; - is standard output, as without it where that is no terminal",
    heading: FORM,
    parse: parsePath,
  }),
  onInstance: value({
    name: "on-instance",
    argument: "FILE",
    description: "new file on the program's side, which captures on by itself",
    heading: FORM,
    parse: parsePath,
    conflicts: { write: "a capture goes to one file" },
  }),
  list: flag({
    name: "list",
    description: "list the captures that are under way",
    heading: FORM,
    conflicts: { write: NOTHING_CAPTURED, "on-instance": NOTHING_CAPTURED },
  }),
  /** Number of a capture. */
  stop: value({
    name: "stop",
    argument: "ID",
    description: "end the capture of this number, as --list tells it",
    heading: FORM,
    parse: integerBetween(1, U32_MAX),
    conflicts: {
      write: NOTHING_CAPTURED,
      "on-instance": NOTHING_CAPTURED,
      list: "one at a time",
    },
  }),
  ...JSON_OPTION,
};

export const PUBLISH_ROWS = rowsOf(PUBLISH_OPTIONS, TARGET_OPTIONS);
export const CAPTURE_ROWS = rowsOf(CAPTURE_OPTIONS, TARGET_OPTIONS);
export const LOG_LEVEL_ROWS = rowsOf(TARGET_OPTIONS);

export interface PublishQuestion extends Values<typeof PUBLISH_OPTIONS> {
  readonly about: "publish";
  readonly target: Target;
  readonly action: PublishAction;
  /** As they were given, one at least where one is added or removed. */
  readonly rules: readonly string[];
}

export interface CaptureQuestion extends Values<typeof CAPTURE_OPTIONS> {
  readonly about: "capture";
  readonly target: Target;
  readonly filter: string;
}

export interface LogLevelQuestion {
  readonly about: "log-level";
  readonly target: Target;
  /** Undefined = it is asked for. */
  readonly level: LogLevel | undefined;
}

/** Throws `ConfigError`. */
export function readPublish(settings: Settings): PublishQuestion {
  const action = readOne(settings, "action", "list", oneOf(PUBLISH_ACTIONS));
  // What is added is read here already, so that a slip is told as that of any other option.
  const rules = readMany(settings, "rule", (text) => {
    if (action === "add") parsePublish(text);
    return parseWord(text);
  });
  if (action === "list" && rules.length > 0) throw new ConfigError("publish list takes no rules");
  if (action !== "list" && rules.length === 0) {
    throw new ConfigError(`say what to ${action}, such as publish ${action} 8080:80`);
  }
  const values = readGroup(PUBLISH_OPTIONS, settings);
  return deepFreeze({ about: "publish", target: readTarget(settings), action, rules, ...values });
}

/** Throws `ConfigError`. */
export function readCapture(settings: Settings): CaptureQuestion {
  checkConflicts(CAPTURE_ROWS, settings);
  const filter = readFilter(settings, "frames");
  const values = readGroup(CAPTURE_OPTIONS, settings);
  if (filter !== "" && (values.list || values.stop !== undefined)) {
    throw new ConfigError("leave out the filter: nothing is captured");
  }
  return deepFreeze({ about: "capture", target: readTarget(settings), filter, ...values });
}

/** Throws `ConfigError`. */
export function readLogLevel(settings: Settings): LogLevelQuestion {
  const level = readOne(settings, "level", undefined, oneOf(LOG_LEVELS));
  return deepFreeze({ about: "log-level", target: readTarget(settings), level });
}
