/**
 * Virtual time: a clock that only moves when told to, and what is to happen when. Times are whole
 * microseconds; what is due at the same time happens in the order in which it was asked for.
 */
import { TimeHeap } from "./time-heap.ts";

/** Runs start here: above 0, which the engine reads as "no deadline". */
export const START = 1_000_000;

export class VirtualClock {
  #now = START;
  readonly #events = new TimeHeap<() => void>();
  /** Events that have happened. */
  happened = 0;

  get now(): number {
    return this.#now;
  }

  /** Time of the next event; Infinity where there is none. */
  get next(): number {
    return this.#events.next;
  }

  /** Lets `action` happen at a time, now at the earliest. */
  at(time: number, action: () => void): void {
    this.#events.push(Math.max(Math.ceil(time), this.#now), action);
  }

  /** Lets `action` happen after a delay in microseconds. */
  after(delay: number, action: () => void): void {
    this.at(this.#now + delay, action);
  }

  /** Moves on to `time`; nothing that should have happened before may be left. */
  advance(time: number): void {
    if (time > this.#now) this.#now = Math.ceil(time);
  }

  /** Lets the next event happen if it is due by `time`, moving on to it. */
  runNext(time: number): boolean {
    if (this.#events.next > time) return false;
    this.advance(this.#events.next);
    const action = this.#events.pop();
    if (action === undefined) return false;
    this.happened += 1;
    action();
    return true;
  }
}
