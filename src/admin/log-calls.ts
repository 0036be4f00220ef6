/** Calls about the log: who follows it, and the level it has. */
import { create } from "@bufbuild/protobuf";
import type { LogLevel as LevelName } from "../lib/log.ts";
import {
  type GetLogLevelResponse,
  GetLogLevelResponseSchema,
  LogLevel,
  type LogLine,
  LogLineSchema,
  type SetLogLevelRequest,
  type SetLogLevelResponse,
  SetLogLevelResponseSchema,
  type WatchLogRequest,
} from "./gen/slirp_binding/admin/v1/admin_pb.js";
import type { LogTail } from "./log-tail.ts";
import type { AdminProgram } from "./program.ts";
import { invalid } from "./refusals.ts";

const LEVELS: Readonly<Record<LevelName, LogLevel>> = {
  debug: LogLevel.DEBUG,
  info: LogLevel.INFO,
  warn: LogLevel.WARN,
  error: LogLevel.ERROR,
};

/** The latest lines, then each as it is written. */
export async function* watchLog(
  tail: LogTail,
  { backlog, backlogOnly }: WatchLogRequest,
  signal: AbortSignal,
): AsyncGenerator<LogLine> {
  if (backlog < 0) throw invalid("backlog is 0 or more");
  const watcher = tail.watch(backlog);
  const onAbort = (): void => watcher.close();
  signal.addEventListener("abort", onAbort);
  try {
    while (!signal.aborted) {
      for (let line = watcher.next(); line !== undefined; line = watcher.next()) {
        yield create(LogLineSchema, line);
      }
      if (backlogOnly) return;
      await watcher.news();
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    watcher.close();
  }
}

export function getLogLevel({ log }: Pick<AdminProgram, "log">): GetLogLevelResponse {
  return create(GetLogLevelResponseSchema, { level: LEVELS[log.threshold.level] });
}

/** Holds at once, in all threads. */
export function setLogLevel(
  { log }: Pick<AdminProgram, "log">,
  { level: asked }: SetLogLevelRequest,
): SetLogLevelResponse {
  const { threshold } = log;
  const level = (Object.keys(LEVELS) as LevelName[]).find((name) => LEVELS[name] === asked);
  if (level === undefined) throw invalid("level is ERROR, WARN, INFO or DEBUG");
  const previous = threshold.level;
  threshold.level = level;
  if (level !== previous) {
    log.info({ event: "log_level_changed", log_level: level, previous }, "log level changed");
  }
  return create(SetLogLevelResponseSchema, { previous: LEVELS[previous] });
}
