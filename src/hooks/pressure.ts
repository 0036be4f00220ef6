/**
 * Counters of what the hooks refuse, and a log that says so once: whoever can make an event happen
 * can make it happen a million times. The first event of a pressure is logged, and then none until
 * there has been a quiet time; each line says how many events there have been.
 */
import type { LogFields, Logger } from "../lib/log.ts";

/** Time without an event after which the next one is news again. */
export const QUIET_ms = 10_000;

/** What can be short, by the name of its counter, with the line that says so. */
const MESSAGES = Object.freeze({
  connections_given_way: "too many hook connections, the longest idle gives way",
  connections_refused: "too many hook connections with calls in progress, a new one is refused",
  connections_idle: "idle hook connection ended",
  calls_given_way: "hook call that does not go on gives way to others",
  calls_refused: "too many hook calls at once, a new one is refused",
  octets_refused: "hook calls take too much memory at once, one is refused",
  messages_refused: "hook message is too long",
  requests_late: "hook call is not complete in time, it is ended",
  answers_late: "answer to a hook call is not taken in time, its connection is ended",
  lines_left_out: "too many lines about hook calls, more are left out",
});

export type Shortage = keyof typeof MESSAGES;

/** Lines about calls that are written in `QUIET_ms`. */
const LINE_COUNT_MAX = 50;

export interface PressureParts {
  readonly log: Logger;
  /** Milliseconds from any point in time. */
  readonly now: () => number;
}

export class Pressure {
  readonly #parts: PressureParts;
  readonly #counts = new Map<Shortage, number>();
  readonly #last_ms = new Map<Shortage, number>();
  #lines = 0;
  #linesBegan_ms = Number.NEGATIVE_INFINITY;

  constructor(parts: PressureParts) {
    this.#parts = parts;
  }

  /** How often each has happened; those that never did are 0. */
  get counters(): Readonly<Record<Shortage, number>> {
    const names = Object.keys(MESSAGES) as Shortage[];
    const counts = names.map((name) => [name, this.#counts.get(name) ?? 0]);
    return Object.fromEntries(counts) as Record<Shortage, number>;
  }

  /** Counts one, and logs it if it is news. */
  note(shortage: Shortage, fields: LogFields = {}): void {
    const count = (this.#counts.get(shortage) ?? 0) + 1;
    this.#counts.set(shortage, count);
    const now_ms = this.#parts.now();
    const last_ms = this.#last_ms.get(shortage) ?? Number.NEGATIVE_INFINITY;
    this.#last_ms.set(shortage, now_ms);
    if (now_ms - last_ms >= QUIET_ms)
      this.#parts.log.warn({ ...fields, count }, MESSAGES[shortage]);
  }

  /** Whether there may be one more line about a single call. */
  mayLog(): boolean {
    const now_ms = this.#parts.now();
    if (now_ms - this.#linesBegan_ms >= QUIET_ms) {
      this.#linesBegan_ms = now_ms;
      this.#lines = 0;
    }
    this.#lines += 1;
    if (this.#lines <= LINE_COUNT_MAX) return true;
    this.note("lines_left_out");
    return false;
  }
}
