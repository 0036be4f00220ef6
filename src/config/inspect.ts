/**
 * What the commands that look into a running program were asked, a group of rows each.
 *
 * A filter is looked at here, so that a slip is told as that of any other option, and handed on as
 * it was given.
 */
import { deepFreeze } from "../lib/deep-freeze.ts";
import { parseFilter } from "./filter.ts";
import { choice, flag, integer, list, readGroup, rowsOf, type Values } from "./option.ts";
import { readMany, readOne, type Settings } from "./settings.ts";
import {
  FORM,
  HOOKS_DIR_OPTION,
  INTERVAL_OPTION,
  JSON_OPTION,
  NETWORK_OPTION,
  parseWord,
  readTarget,
  TARGET_OPTIONS,
  type Target,
  WHAT,
  watchOption,
} from "./target.ts";

/** What flows are sorted by, the largest first. */
export const FLOW_SORTS = ["bytes", "age", "idle", "rtt", "retransmits"] as const;
export type FlowSort = (typeof FLOW_SORTS)[number];

/** Lines of the log that a program keeps. */
const LINES_MAX = 256;

const SORT_OPTION = {
  sort: choice<FlowSort>({
    name: "sort",
    choices: FLOW_SORTS,
    description: "order, the largest first (default: that of the program)",
    heading: FORM,
  }),
};

const INSTANCES_OPTIONS = { ...JSON_OPTION, ...HOOKS_DIR_OPTION };

const FLOWS_OPTIONS = {
  ...NETWORK_OPTION,
  /** In capitals and with hyphens, as in RFC 9293. */
  state: list({
    name: "state",
    argument: "STATE",
    description: "TCP connections in this state alone, such as established; may be repeated",
    heading: WHAT,
    parse: (text) => parseWord(text).toUpperCase().replaceAll("_", "-"),
  }),
  ...SORT_OPTION,
  ...watchOption("go on: flows that begin, change and end"),
  ...INTERVAL_OPTION,
  ...JSON_OPTION,
};

const STATS_OPTIONS = {
  ...NETWORK_OPTION,
  all: flag({ name: "all", description: "what is zero, too", heading: WHAT }),
  ...watchOption("go on: what has changed, and how fast"),
  ...INTERVAL_OPTION,
  ...JSON_OPTION,
};

const EVENTS_OPTIONS = {
  ...NETWORK_OPTION,
  ...watchOption("go on: each as it happens"),
  ...JSON_OPTION,
};

const DROPS_OPTIONS = { ...NETWORK_OPTION, ...JSON_OPTION };

const LOG_OPTIONS = {
  lines: integer({
    name: "lines",
    short: "n",
    argument: "N",
    description: "how many of the latest lines, {bounds} (default {default})",
    heading: WHAT,
    bounds: [0, LINES_MAX],
    fallback: LINES_MAX,
  }),
  follow: flag({
    name: "follow",
    short: "f",
    description: "go on: each line as it is written",
    heading: FORM,
  }),
};

const TOP_OPTIONS = { ...NETWORK_OPTION, ...SORT_OPTION, ...INTERVAL_OPTION };

export const INSTANCES_ROWS = rowsOf(INSTANCES_OPTIONS);
export const FLOWS_ROWS = rowsOf(FLOWS_OPTIONS, TARGET_OPTIONS);
export const STATS_ROWS = rowsOf(STATS_OPTIONS, TARGET_OPTIONS);
export const EVENTS_ROWS = rowsOf(EVENTS_OPTIONS, TARGET_OPTIONS);
export const DROPS_ROWS = rowsOf(DROPS_OPTIONS, TARGET_OPTIONS);
export const LOG_ROWS = rowsOf(LOG_OPTIONS, TARGET_OPTIONS);
export const TOP_ROWS = rowsOf(TOP_OPTIONS, TARGET_OPTIONS);

export type InstancesQuestion = { readonly about: "instances" } & Values<typeof INSTANCES_OPTIONS>;

interface OfTarget<Name extends string> {
  readonly about: Name;
  readonly target: Target;
}
interface Filtered {
  /** Empty = everything. */
  readonly filter: string;
}

export type FlowsQuestion = OfTarget<"flows"> & Filtered & Values<typeof FLOWS_OPTIONS>;
export type TopQuestion = OfTarget<"top"> & Filtered & Values<typeof TOP_OPTIONS>;
export type StatsQuestion = OfTarget<"stats"> &
  Values<typeof STATS_OPTIONS> & {
    /** Series whose text has one of these in it; none = all. */
    readonly patterns: readonly string[];
  };
export type EventsQuestion = OfTarget<"events"> & Values<typeof EVENTS_OPTIONS>;
export type DropsQuestion = OfTarget<"drops"> & Values<typeof DROPS_OPTIONS>;
export type LogQuestion = OfTarget<"log"> & Values<typeof LOG_OPTIONS>;

// Readers of what each command was asked. They throw `ConfigError`.

export function readInstances(settings: Settings): InstancesQuestion {
  return deepFreeze({ about: "instances", ...readGroup(INSTANCES_OPTIONS, settings) });
}

export function readFlows(settings: Settings): FlowsQuestion {
  return deepFreeze({
    about: "flows",
    target: readTarget(settings),
    filter: readFilter(settings, "flows"),
    ...readGroup(FLOWS_OPTIONS, settings),
  });
}

export function readTop(settings: Settings): TopQuestion {
  return deepFreeze({
    about: "top",
    target: readTarget(settings),
    filter: readFilter(settings, "flows"),
    ...readGroup(TOP_OPTIONS, settings),
  });
}

export function readStats(settings: Settings): StatsQuestion {
  return deepFreeze({
    about: "stats",
    target: readTarget(settings),
    patterns: readMany(settings, "pattern", parseWord),
    ...readGroup(STATS_OPTIONS, settings),
  });
}

export function readEvents(settings: Settings): EventsQuestion {
  return deepFreeze({
    about: "events",
    target: readTarget(settings),
    ...readGroup(EVENTS_OPTIONS, settings),
  });
}

export function readDrops(settings: Settings): DropsQuestion {
  return deepFreeze({
    about: "drops",
    target: readTarget(settings),
    ...readGroup(DROPS_OPTIONS, settings),
  });
}

export function readLog(settings: Settings): LogQuestion {
  return deepFreeze({
    about: "log",
    target: readTarget(settings),
    ...readGroup(LOG_OPTIONS, settings),
  });
}

/** The words of a filter, which the shell has taken apart. Throws `ConfigError`. */
export function readFilter(settings: Settings, subject: "frames" | "flows"): string {
  const setting = settings.get("filter");
  if (setting === undefined) return "";
  const words = { values: [setting.values.join(" ").trim()], origin: setting.origin };
  return readOne(new Map([["filter", words]]), "filter", "", (text) => {
    parseFilter(text, subject);
    return text;
  });
}
