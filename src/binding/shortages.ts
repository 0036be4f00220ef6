/**
 * Tells when something bounded is short: one line when it begins, one when it is over, whatever
 * happens in between. What is bounded, and who gives way, is in `wasm/flow/shares.ts`.
 *
 * The engine counts; this looks at the counters once a second, if the loop turns at all. A counter
 * that has grown means pressure; one that has stood still for a minute means that it is over.
 */

import { counterLabel } from "../engine/counter-names.ts";
import type { HostEngine } from "../engine/host-engine.ts";
import { type DropName, readCounter, type StatName } from "../engine/stats.ts";
import type { Logger } from "../lib/log.ts";
import { SHORTAGES } from "./shortage-messages.ts";

/** Microseconds. */
const INTERVAL = 1_000_000;
const QUIET = 60_000_000;

interface Row {
  readonly name: StatName | DropName;
  readonly message: string;
  last: number;
  /** What the counter was when the pressure began; undefined = there is none. */
  first: number | undefined;
  grownAt: number;
}

export class ShortageWatch {
  readonly #log: Logger;
  readonly #rows: readonly Row[];
  #due = 0;

  constructor(log: Logger) {
    this.#log = log;
    this.#rows = (Object.entries(SHORTAGES) as [Row["name"], string][]).map(([name, message]) => ({
      name,
      message,
      last: 0,
      first: undefined,
      grownAt: 0,
    }));
  }

  /** Nothing here is worth waking up for. */
  wait(_now: number): number | undefined {
    return undefined;
  }

  /** Looks at the counters when it is time. `now` in microseconds. */
  poll(engine: HostEngine, now: number): void {
    if (now < this.#due) return;
    this.#due = now + INTERVAL;
    for (const row of this.#rows) this.#look(row, readCounter(engine, row.name), now);
  }

  #look(row: Row, value: number, now: number): void {
    if (value > row.last) {
      if (row.first === undefined) {
        row.first = row.last;
        const counter = counterLabel(row.name);
        const fields = { event: "limit_reached", counter, count: value - row.last };
        this.#log.warn(fields, row.message);
      }
      row.last = value;
      row.grownAt = now;
    } else if (row.first !== undefined && now - row.grownAt >= QUIET) {
      this.#log.info(
        { counter: counterLabel(row.name), count: value - row.first },
        "no longer short",
      );
      row.first = undefined;
    }
  }
}
