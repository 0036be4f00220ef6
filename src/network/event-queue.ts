/**
 * Events from memory: what epoll is to a network of host sockets, for one whose news come by calls.
 *
 * News of one source that has not been heard yet are one event with the bits of all of them, so the
 * queue is as long as there are sources. It never waits: whoever turns the loop does.
 */
import type { EventSource } from "../loop/loop.ts";
import { type SourceSwitch, sourceKey } from "../loop/sources.ts";

interface Event {
  readonly token: number;
  readonly kind: number;
  bits: number;
}

export class EventQueue implements EventSource, SourceSwitch {
  readonly #waiting = new Map<number, Event>();
  /** Events of sources that rest. */
  readonly #held = new Map<number, Event>();
  readonly #paused = new Set<number>();
  #taken: Event[] = [];
  readonly #onNews: () => void;

  /** @param onNews something is there to be heard */
  constructor(onNews: () => void) {
    this.#onNews = onNews;
  }

  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  /** A source has news. */
  add(token: number, kind: number, bits: number): void {
    const key = sourceKey(token, kind);
    const list = this.#paused.has(key) ? this.#held : this.#waiting;
    const known = list.get(key);
    if (known === undefined) list.set(key, { token, kind, bits });
    else known.bits |= bits;
    if (list === this.#waiting) this.#onNews();
  }

  /** What is not heard yet of a source never will be. */
  forget(token: number, kind: number): void {
    const key = sourceKey(token, kind);
    this.#waiting.delete(key);
    this.#held.delete(key);
    this.#paused.delete(key);
  }

  wait(max: number): number {
    this.#taken = [];
    for (const [key, event] of this.#waiting) {
      if (this.#taken.length === max) break;
      this.#waiting.delete(key);
      this.#taken.push(event);
    }
    return this.#taken.length;
  }

  eventBits(i: number): number {
    return this.#taken[i]?.bits ?? 0;
  }

  dataLo(i: number): number {
    return this.#taken[i]?.token ?? 0;
  }

  dataHi(i: number): number {
    return this.#taken[i]?.kind ?? 0;
  }

  pause(token: number, kind: number): void {
    this.#paused.add(sourceKey(token, kind));
  }

  resume(token: number, kind: number): boolean {
    const key = sourceKey(token, kind);
    this.#paused.delete(key);
    const event = this.#held.get(key);
    if (event !== undefined) {
      this.#held.delete(key);
      this.add(event.token, event.kind, event.bits);
    }
    return true;
  }
}
