/**
 * What happens in the life of a program and its guest networks, for whoever asks what happened.
 *
 * An event is a line of the log: the one that tells a person of it, with the field `event` for what
 * kind it is. So there is one place for each, and what limits the log limits events.
 */
import type { LevelledLogger, LogFields, LogLevel } from "../lib/log.ts";

const EVENT_KINDS = [
  "network_started",
  "network_failed",
  "network_restarted",
  "network_ended",
  "engine_replaced",
  "guest_attached",
  "guest_gone",
  "lease_given",
  "port_published",
  "port_removed",
  "port_left_out",
  "limit_reached",
  "resolvers_changed",
  "capture_started",
  "capture_stopped",
  "log_level_changed",
  "check_failed",
] as const;

export type EventKind = (typeof EVENT_KINDS)[number];

/** Plain values, to be sent to another thread. */
export interface NetworkEvent {
  readonly kind: EventKind;
  /** The line's message. */
  readonly message: string;
  /** Its other fields. */
  readonly details: Readonly<Record<string, string>>;
}

const KINDS: ReadonlySet<unknown> = new Set(EVENT_KINDS);

/** A log whose lines with the field `event` are handed on as well, whatever the log's level is. */
export function withEvents(
  log: LevelledLogger,
  onEvent: (event: NetworkEvent) => void,
): LevelledLogger {
  const at = (level: LogLevel) => (fields: LogFields, message: string) => {
    const { event: kind } = fields;
    if (isEventKind(kind)) onEvent({ kind, message, details: detailsOf(fields) });
    log[level](fields, message);
  };
  const { threshold } = log;
  return { threshold, debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

function isEventKind(value: unknown): value is EventKind {
  return KINDS.has(value);
}

function detailsOf(fields: LogFields): Record<string, string> {
  return Object.fromEntries(
    Object.entries(fields)
      .filter(([name]) => name !== "event")
      .map(([name, value]) => [name, value instanceof Error ? value.message : String(value)]),
  );
}
