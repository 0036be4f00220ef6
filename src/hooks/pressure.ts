/**
 * Counters of what the hook server refuses, and a rate-limited log of it: whoever can cause an
 * event can cause a million. The first event of a kind is logged, and the next one only after
 * `QUIET_ms` without any; each line has the number of events so far.
 */
import type { LogFields, Logger } from "../lib/log.ts";

/** Time without an event of a kind after which the next one is logged again. */
const QUIET_ms = 10_000;

/** Log message of each counter. */
const MESSAGES = Object.freeze({
  connections_evicted: "too many hook connections, closed one",
  connections_refused: "too many hook connections with calls in progress, refused a new one",
  connections_timed_out: "closed idle hook connection",
  calls_evicted: "ended an incomplete hook call to make room",
  calls_refused: "too many hook calls at once, refused a new one",
  memory_refused: "hook calls hold too much memory, refused one",
  messages_refused: "hook message is too long",
  requests_timed_out: "hook request timed out",
  answers_timed_out: "hook answer was not read in time, closed its connection",
  log_lines_dropped: "too many log lines about hook calls, dropping more",
});

export type Shortage = keyof typeof MESSAGES;

/** Lines about single calls that are logged in `QUIET_ms`. */
const LINE_COUNT_MAX = 50;

export interface PressureOptions {
  readonly log: Logger;
  /** Milliseconds from any point in time. */
  readonly now: () => number;
}

export class Pressure {
  readonly #parts: PressureOptions;
  readonly #counts = new Map<Shortage, number>();
  readonly #last_ms = new Map<Shortage, number>();
  #lines = 0;
  #linesBegan_ms = Number.NEGATIVE_INFINITY;

  constructor(parts: PressureOptions) {
    this.#parts = parts;
  }

  /** Number of events of each kind. */
  get counters(): Readonly<Record<Shortage, number>> {
    const names = Object.keys(MESSAGES) as Shortage[];
    const counts = names.map((name) => [name, this.#counts.get(name) ?? 0]);
    return Object.fromEntries(counts) as Record<Shortage, number>;
  }

  /** Counts an event, and logs it after `QUIET_ms` without another. */
  note(shortage: Shortage, fields: LogFields = {}): void {
    const count = (this.#counts.get(shortage) ?? 0) + 1;
    this.#counts.set(shortage, count);
    const now_ms = this.#parts.now();
    const last_ms = this.#last_ms.get(shortage) ?? Number.NEGATIVE_INFINITY;
    this.#last_ms.set(shortage, now_ms);
    if (now_ms - last_ms >= QUIET_ms)
      this.#parts.log.warn({ ...fields, count }, MESSAGES[shortage]);
  }

  /** Whether one more line about a single call may be logged: `LINE_COUNT_MAX` in `QUIET_ms`. */
  mayLog(): boolean {
    const now_ms = this.#parts.now();
    if (now_ms - this.#linesBegan_ms >= QUIET_ms) {
      this.#linesBegan_ms = now_ms;
      this.#lines = 0;
    }
    this.#lines += 1;
    if (this.#lines <= LINE_COUNT_MAX) return true;
    this.note("log_lines_dropped");
    return false;
  }
}
