/**
 * The log: one line per event, on standard error; `standard-error.ts` says when it is written.
 *
 * Two forms. `json` is for collectors, with the fields that KubeVirt's own programs have, so that
 * the sidecar's lines are read like virt-launcher's beside them: `component`, `level`, `msg`, `pos`
 * (here the thread, as a bundled program has no lines to point at) and `timestamp`, then what the
 * event is about. `pretty` is for a person at a terminal: `level message key=value …`, without
 * time and kind of event, in which nothing a guest sends can move the cursor or begin a new line.
 * pino takes longer to load than the rest of start-up may take, so it is loaded only for `json`;
 * its worker transports are not used, as a single binary cannot start them.
 *
 * The level may be set while the program runs: it is a number in memory that all threads share
 * (`LogThreshold`), and whoever logs compares with it.
 *
 * A log that cannot be written neither fails the program nor makes it wait: lines are lost, and
 * their number is told when lines are taken again.
 *
 * Source: client-go/log of KubeVirt: names of fields, "warning", six digits of the second.
 */
import { escapeControls } from "./controls.ts";
import { standardError } from "./standard-error.ts";

/** From the most talkative to the least. */
export const LOG_LEVELS = Object.freeze(["debug", "info", "warn", "error"] as const);
export const LOG_FORMATS = Object.freeze(["json", "pretty"] as const);

export type LogLevel = (typeof LOG_LEVELS)[number];
export type LogFormat = (typeof LOG_FORMATS)[number];

/**
 * What an event is about: `{ port: 80, err: error }`. The key `err` is for the error behind it, the
 * key `event` for what kind of event of the network's life it is, for programs that wait for it.
 */
export type LogFields = Readonly<Record<string, unknown>>;

/** Takes events at or above its level; the others cost a comparison. */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}

/** A log that can be asked what it takes, before anybody works for a line that nobody gets. */
export interface LevelledLogger extends Logger {
  readonly threshold: LogThreshold;
}

/** Takes finished lines, line end included. */
export type LogSink = (line: string) => void;

export interface LogOptions {
  /** A `LogThreshold` where it is to be set later. */
  readonly level: LogLevel | LogThreshold;
  readonly format: LogFormat;
  /** Microseconds since 1970. */
  readonly now: () => number;
  /** The thread, as lines of the form `json` name it; "main" unless told otherwise. */
  readonly pos?: string;
  /** Where lines go; standard error by default. */
  readonly sink?: LogSink;
}

/** The least level that logs take, for all threads that have its memory. */
export class LogThreshold {
  readonly memory: SharedArrayBuffer;
  readonly #cell: Int32Array;

  /** @param memory of another one; the new one is the same then */
  constructor(memory = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)) {
    this.memory = memory;
    this.#cell = new Int32Array(memory);
  }

  static at(level: LogLevel): LogThreshold {
    const threshold = new LogThreshold();
    threshold.level = level;
    return threshold;
  }

  get level(): LogLevel {
    return LOG_LEVELS[this.#cell[0] ?? 0] ?? "info";
  }

  set level(level: LogLevel) {
    this.#cell[0] = LOG_LEVELS.indexOf(level);
  }

  admits(level: LogLevel): boolean {
    return LOG_LEVELS.indexOf(level) >= (this.#cell[0] ?? 0);
  }
}

/** What stands first in every line of the form `json`. */
const COMPONENT = "slirp-binding";
const US_PER_MS = 1000;
/**
 * How long the end of the program waits for whoever reads standard error, milliseconds. Where
 * another thread of the runtime writes, that may begin late on a busy machine.
 */
const FLUSH_STILL_ms = 400;
const FLUSH_MOST_ms = 1000;
/** Values that need no quotes to be told apart from their neighbours. */
const PLAIN_VALUE = /^[\w./:@%+,-]+$/;

/** Opens a log in the form asked for. */
export async function openLogger(options: LogOptions): Promise<LevelledLogger> {
  const { level, sink = writeStandardError } = options;
  const threshold = typeof level === "string" ? LogThreshold.at(level) : level;
  const write = options.format === "pretty" ? prettyWriter(sink) : await jsonWriter(options, sink);
  const logger = new ThresholdLogger(threshold, write);
  if (options.sink === undefined) {
    standardError().onLost = (count) => {
      logger[threshold.admits("warn") ? "warn" : "error"]({}, `${count} log lines lost`);
    };
  }
  return logger;
}

/** Waits until standard error has all lines, if somebody reads them. Before the process ends. */
export async function flushLog(): Promise<void> {
  await standardError().flush(FLUSH_STILL_ms, FLUSH_MOST_ms);
}

function writeStandardError(line: string): void {
  standardError().write(line);
}

/** Writes one event. */
type LineWriter = (level: LogLevel, fields: LogFields, message: string) => void;

class ThresholdLogger implements LevelledLogger {
  readonly threshold: LogThreshold;
  readonly #write: LineWriter;

  constructor(threshold: LogThreshold, write: LineWriter) {
    this.threshold = threshold;
    this.#write = write;
  }

  debug(fields: LogFields, message: string): void {
    if (this.threshold.admits("debug")) this.#write("debug", fields, message);
  }

  info(fields: LogFields, message: string): void {
    if (this.threshold.admits("info")) this.#write("info", fields, message);
  }

  warn(fields: LogFields, message: string): void {
    if (this.threshold.admits("warn")) this.#write("warn", fields, message);
  }

  error(fields: LogFields, message: string): void {
    if (this.threshold.admits("error")) this.#write("error", fields, message);
  }
}

async function jsonWriter({ pos = "main", now }: LogOptions, sink: LogSink): Promise<LineWriter> {
  const { pino } = await import("pino");
  const settings = {
    level: LOG_LEVELS[0],
    base: { component: COMPONENT, pos },
    timestamp: () => `,"timestamp":"${timestampOf(now())}"`,
    formatters: { level: (label: string): object => ({ level: kubevirtLevel(label) }) },
  };
  const logger = pino(settings, { write: sink });
  return (level, fields, message) => logger[level](fields, message);
}

/** KubeVirt spells it out; it has no level below info. */
function kubevirtLevel(label: string): string {
  return label === "warn" ? "warning" : label;
}

/** RFC 3339 with microseconds, as KubeVirt has it. @param now_us since 1970 */
function timestampOf(now_us: number): string {
  const whole_us = Math.floor(now_us);
  const text = new Date(Math.floor(whole_us / US_PER_MS)).toISOString();
  return `${text.slice(0, -1)}${String(whole_us % US_PER_MS).padStart(3, "0")}Z`;
}

/** A log for terminals; needs nothing loaded, so it can tell of failures before `openLogger`. */
export function prettyLogger(
  level: LogLevel | LogThreshold,
  sink: LogSink = writeStandardError,
): LevelledLogger {
  const threshold = typeof level === "string" ? LogThreshold.at(level) : level;
  return new ThresholdLogger(threshold, prettyWriter(sink));
}

function prettyWriter(sink: LogSink): LineWriter {
  return (level, fields, message) => sink(`${formatPretty(level, fields, message)}\n`);
}

/** One event as one line without its end: `info   listening port=80 name="a b"`. */
function formatPretty(level: LogLevel, fields: LogFields, message: string): string {
  let line = `${level.padEnd(5)} ${escapeControls(message)}`;
  for (const [key, value] of Object.entries(fields)) {
    if (value !== undefined && key !== "event") line += ` ${key}=${formatValue(value)}`;
  }
  return line;
}

function formatValue(value: unknown): string {
  const text = typeof value === "string" ? value : describe(value);
  return PLAIN_VALUE.test(text) ? text : escapeControls(JSON.stringify(text));
}

function describe(value: unknown): string {
  if (value instanceof Error) return value.message;
  if (typeof value !== "object" || value === null) return String(value);
  try {
    const bigintAsText = (_key: string, part: unknown): unknown =>
      typeof part === "bigint" ? part.toString() : part;
    return JSON.stringify(value, bigintAsText) ?? String(value);
  } catch {
    return "[unprintable]"; // it refers to itself, or a getter throws
  }
}
