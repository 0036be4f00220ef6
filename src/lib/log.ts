/**
 * The log: one line per event, on standard error; `standard-error.ts` says when it is written.
 *
 * Two forms. `json` is pino's, for collectors. `pretty` is for a person at a terminal:
 * `level message key=value …`, without time, in which nothing a guest sends can move the cursor
 * or begin a new line. pino takes longer to load than the rest of start-up may take, so it is
 * loaded only for `json`; its worker transports are not used, as a single binary cannot start
 * them.
 *
 * A log that cannot be written neither fails the program nor makes it wait: lines are lost, and
 * their number is told when lines are taken again.
 */
import { standardError } from "./standard-error.ts";

/** From the most talkative to the least. */
export const LOG_LEVELS = Object.freeze(["debug", "info", "warn", "error"] as const);
export const LOG_FORMATS = Object.freeze(["json", "pretty"] as const);

export type LogLevel = (typeof LOG_LEVELS)[number];
export type LogFormat = (typeof LOG_FORMATS)[number];

/** What an event is about: `{ port: 80, err: error }`. The key `err` is for the error behind it. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Takes events at or above its level; the others cost a comparison. */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}

/** Takes finished lines, line end included. */
export type LogSink = (line: string) => void;

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Where lines go; standard error by default. */
  readonly sink?: LogSink;
}

/**
 * How long the end of the program waits for whoever reads standard error, milliseconds. Where
 * another thread of the runtime writes, that may begin late on a busy machine.
 */
const FLUSH_STILL_ms = 400;
const FLUSH_MOST_ms = 1000;
/** Values that need no quotes to be told apart from their neighbours. */
const PLAIN_VALUE = /^[\w./:@%+,-]+$/;

/** Opens a log in the form asked for. */
export async function openLogger(options: LogOptions): Promise<Logger> {
  const logger = await makeLogger(options, options.sink ?? writeStandardError);
  if (options.sink === undefined) {
    const level = options.level === "error" ? "error" : "warn";
    standardError().onLost = (count) => logger[level]({}, `${count} log lines lost`);
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

async function makeLogger(options: LogOptions, sink: LogSink): Promise<Logger> {
  if (options.format === "pretty") return prettyLogger(options.level, sink);
  const { pino } = await import("pino");
  const settings = {
    level: options.level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string): object => ({ level: label }) },
  };
  const logger: Logger = pino(settings, { write: sink });
  return logger;
}

/** A log for terminals; needs nothing loaded, so it can tell of failures before `openLogger`. */
export function prettyLogger(level: LogLevel, sink: LogSink = writeStandardError): Logger {
  const lowest = LOG_LEVELS.indexOf(level);
  const at = (own: LogLevel): ((fields: LogFields, message: string) => void) => {
    if (LOG_LEVELS.indexOf(own) < lowest) return () => {};
    return (fields, message) => sink(`${formatPretty(own, fields, message)}\n`);
  };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** One event as one line without its end: `info   listening port=80 name="a b"`. */
function formatPretty(level: LogLevel, fields: LogFields, message: string): string {
  let line = `${level.padEnd(5)} ${escapeControls(message)}`;
  for (const [key, value] of Object.entries(fields)) {
    if (value !== undefined) line += ` ${key}=${formatValue(value)}`;
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

/** Escapes what a terminal obeys instead of showing: controls, line ends, turns of direction. */
export function escapeControls(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}
