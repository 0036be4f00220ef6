/** The log on standard error: how much of it, in which form. */
import { LOG_FORMATS, LOG_LEVELS, type LogFormat, type LogLevel } from "../lib/log.ts";
import { RUN } from "./headings.ts";
import { choice, readGroup } from "./option.ts";
import type { Settings } from "./settings.ts";

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
}

export const LOG_OPTIONS = {
  level: choice({
    name: "log-level",
    choices: LOG_LEVELS,
    description: "least level that is logged (default {default})",
    heading: RUN,
    fallback: "info" as const,
  }),
  format: choice({
    name: "log-format",
    choices: LOG_FORMATS,
    description: "form of the log on standard error (default pretty on a terminal, else json)",
    heading: RUN,
  }),
};

/** Reads them. @param isTerminal the log goes to a terminal. Throws `ConfigError`. */
export function readLogOptions(settings: Settings, isTerminal: boolean): LogOptions {
  const { level, format } = readGroup(LOG_OPTIONS, settings);
  return { level, format: format ?? (isTerminal ? "pretty" : "json") };
}
