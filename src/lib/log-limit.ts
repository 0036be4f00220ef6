/**
 * A log whose length nobody outside decides: of each kind of event the first few lines, then one
 * line with the number of those left out.
 *
 * Theory of operation
 *   A kind is a level and a message; what differs from event to event is in the fields. Each kind
 *   has a window that begins with its first line: BURST lines are written in it as they come, what
 *   follows is counted. When the window is over, the count is told in one line of the same level,
 *   and the next event begins another window. So a kind writes at most BURST + 1 lines in
 *   WINDOW_us, whatever a guest or a stranger does.
 *
 *     bounds     KINDS_MAX kinds; further ones (messages that differ each time) share one
 *     told by    the next event of any kind once the window is over, `poll`, or `close`; a loop
 *                without events calls `poll` when `wait` says so
 *
 *   Use: a log that lines can reach which a guest, a peer or a stranger causes is wrapped once,
 *   where it is opened. Whoever logs sees a `Logger` as before: keep messages constant, and put
 *   what varies into fields.
 */
import type { LevelledLogger, LogFields, LogLevel, LogThreshold } from "./log.ts";

/** Lines of one kind in a window. */
const BURST = 10;
/** Microseconds. */
const WINDOW_us = 60_000_000;
const KINDS_MAX = 64;
const OTHERS = "events of other kinds";
const SUMMARY = "lines left out";

export interface LogLimit {
  /** Microseconds from any point in time, never backwards. */
  readonly clock: () => number;
  /** Lines of one kind in a window; 10 unless told otherwise. */
  readonly burst?: number;
  /** Length of the window, microseconds; a minute unless told otherwise. */
  readonly window_us?: number;
}

/** Takes events like any logger; has to be asked from time to time where events may stay away. */
export interface LimitedLogger extends LevelledLogger {
  /** The log itself, for lines that only the operator causes. */
  readonly unlimited: LevelledLogger;
  /** Tells what was left out in windows that are over. */
  poll(now: number): void;
  /** Microseconds until `poll` has something to tell; undefined: nothing is left out. */
  wait(now: number): number | undefined;
  /** Tells all that was left out so far. */
  close(): void;
}

interface Kind {
  readonly level: LogLevel;
  readonly message: string;
  began: number;
  lines: number;
  leftOut: number;
}

/** Puts the limit before a log. */
export function limitLogger(log: LevelledLogger, limit: LogLimit): LimitedLogger {
  return new Limited(log, limit);
}

class Limited implements LimitedLogger {
  readonly unlimited: LevelledLogger;
  readonly #log: LevelledLogger;
  readonly #clock: () => number;
  readonly #burst: number;
  readonly #window: number;
  readonly #kinds = new Map<string, Kind>();
  /** When the first window with something left out is over. */
  #due = Number.POSITIVE_INFINITY;

  constructor(log: LevelledLogger, { clock, burst = BURST, window_us = WINDOW_us }: LogLimit) {
    this.unlimited = log;
    this.#log = log;
    this.#clock = clock;
    this.#burst = burst;
    this.#window = window_us;
  }

  get threshold(): LogThreshold {
    return this.#log.threshold;
  }

  debug(fields: LogFields, message: string): void {
    this.#event("debug", fields, message);
  }

  info(fields: LogFields, message: string): void {
    this.#event("info", fields, message);
  }

  warn(fields: LogFields, message: string): void {
    this.#event("warn", fields, message);
  }

  error(fields: LogFields, message: string): void {
    this.#event("error", fields, message);
  }

  poll(now: number): void {
    if (now < this.#due) return;
    this.#tell((kind) => kind.began + this.#window <= now);
  }

  wait(now: number): number | undefined {
    return Number.isFinite(this.#due) ? Math.max(0, this.#due - now) : undefined;
  }

  close(): void {
    this.#tell(() => true);
  }

  #event(level: LogLevel, fields: LogFields, message: string): void {
    // An event may be kept by whoever stands behind, whatever the level.
    if (!this.#log.threshold.admits(level) && fields["event"] === undefined) return;
    const now = this.#clock();
    this.poll(now);
    const kind = this.#kindOf(level, message);
    if (now >= kind.began + this.#window) {
      kind.began = now;
      kind.lines = 0;
    }
    if (kind.lines < this.#burst) {
      kind.lines += 1;
      this.#log[level](fields, message);
      return;
    }
    kind.leftOut += 1;
    this.#due = Math.min(this.#due, kind.began + this.#window);
  }

  #kindOf(level: LogLevel, message: string): Kind {
    const known = this.#kinds.get(level + message);
    if (known !== undefined) return known;
    if (this.#kinds.size < KINDS_MAX) return this.#add(level, message);
    return this.#kinds.get(level + OTHERS) ?? this.#add(level, OTHERS);
  }

  #add(level: LogLevel, message: string): Kind {
    const kind = { level, message, began: Number.NEGATIVE_INFINITY, lines: 0, leftOut: 0 };
    this.#kinds.set(level + message, kind);
    return kind;
  }

  #tell(isOver: (kind: Kind) => boolean): void {
    this.#due = Number.POSITIVE_INFINITY;
    for (const kind of this.#kinds.values()) {
      if (kind.leftOut === 0) continue;
      if (!isOver(kind)) {
        this.#due = Math.min(this.#due, kind.began + this.#window);
        continue;
      }
      const { level, message, leftOut: lines } = kind;
      kind.leftOut = 0;
      this.#log[level]({ of: message, lines }, SUMMARY);
    }
  }
}
