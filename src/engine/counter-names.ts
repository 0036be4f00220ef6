/**
 * Names of counters for whoever reads them: in the log, as monitoring has them. A thing that is
 * counted is `tcp_retransmits`; frames and packets that went no further are one counter with a
 * reason each, `drop{reason="tcp_checksum"}`.
 */
import { DROP_NAMES, type DropName, type StatName } from "./stats.ts";

/** Values of the label `reason`, by DROP_*. */
export const DROP_LABELS: readonly string[] = DROP_NAMES.map((name) =>
  snakeCase(name.slice("drop".length)),
);

/** How a counter of the engine is called outside. */
export function counterLabel(name: StatName | DropName): string {
  const drop = /^drop([A-Z]\w*)$/.exec(name)?.[1];
  return drop === undefined ? snakeCase(name) : `drop{reason="${snakeCase(drop)}"}`;
}

/** "dhcp6Replies" is "dhcp6_replies". */
export function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter, at) => `${at > 0 ? "_" : ""}${letter.toLowerCase()}`);
}
