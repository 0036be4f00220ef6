/**
 * The latest events of a program, for whoever asks what happened. Kept from the start, as nobody
 * knows beforehand that he will ask: KEPT_MOST events of some 200 octets.
 */
import type { NetworkEvent } from "../binding/events.ts";

const KEPT_MOST = 1024;

/** An event as it is kept. */
export interface KeptEvent extends NetworkEvent {
  /** Counts up from 1. */
  readonly id: number;
  /** Microseconds since 1970. */
  readonly time: number;
  /** Name of the interface; empty: of the whole program. */
  readonly network: string;
}

export class EventLog {
  readonly #now: () => number;
  #kept: KeptEvent[] = [];
  #latest = 0;
  readonly #listeners = new Set<() => void>();

  /** @param now microseconds since 1970 */
  constructor(now: () => number) {
    this.#now = now;
  }

  add(network: string, event: NetworkEvent): void {
    this.#latest += 1;
    this.#kept.push({ ...event, id: this.#latest, time: this.#now(), network });
    if (this.#kept.length > KEPT_MOST) this.#kept.shift();
    for (const listener of this.#listeners) listener();
  }

  /** Those after an id, oldest first. */
  after(id: number): readonly KeptEvent[] {
    return this.#kept.filter((event) => event.id > id);
  }

  /** Calls back after each event, until the answer is called. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
