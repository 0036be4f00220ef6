/**
 * The level-triggered sources of a loop, by kind and token: who watches what, and how to leave one
 * alone for a while.
 *
 * A source that cannot be served must not be watched, or the loop does nothing but hear of it.
 * Leaving one alone takes its descriptor off the event source altogether, as errors and hang-ups
 * are told of whatever is watched (epoll_ctl(2)).
 */

/** Where descriptors are registered: the kernel's epoll in production. */
export interface Watching {
  add(fd: number, events: number, dataLo: number, dataHi: number): number;
  modify(fd: number, events: number, dataLo: number, dataHi: number): number;
  remove(fd: number): number;
}

/** What the loop needs of its sources. */
export interface SourceSwitch {
  /** Leaves the source alone. */
  pause(token: number, kind: number): void;
  /** Watches it again; false = not possible now. One that is gone is no trouble. */
  resume(token: number, kind: number): boolean;
}

interface Source {
  readonly fd: number;
  events: number;
  isPaused: boolean;
}

const SIZE_32 = 2 ** 32;

/** A number for a source. */
export function sourceKey(token: number, kind: number): number {
  return kind * SIZE_32 + (token >>> 0);
}

export class Sources implements SourceSwitch {
  readonly #watching: Watching;
  readonly #sources = new Map<number, Source>();

  constructor(watching: Watching) {
    this.#watching = watching;
  }

  /** Watches a descriptor. Zero, or the negative errno. */
  add(fd: number, events: number, token: number, kind: number): number {
    const result = this.#watching.add(fd, events, token, kind);
    if (result >= 0) this.#sources.set(sourceKey(token, kind), { fd, events, isPaused: false });
    return result;
  }

  /** Changes what it is watched for, now or when it is watched again. */
  modify(fd: number, events: number, token: number, kind: number): number {
    const source = this.#sources.get(sourceKey(token, kind));
    if (source !== undefined) source.events = events;
    return source?.isPaused === true ? 0 : this.#watching.modify(fd, events, token, kind);
  }

  /** The descriptor is about to be closed. */
  forget(token: number, kind: number): void {
    this.#sources.delete(sourceKey(token, kind));
  }

  /** Watches the descriptor, which stays open, no more. */
  remove(_fd: number, token: number, kind: number): void {
    this.pause(token, kind);
    this.forget(token, kind);
  }

  pause(token: number, kind: number): void {
    const source = this.#sources.get(sourceKey(token, kind));
    if (source === undefined || source.isPaused) return;
    source.isPaused = true;
    this.#watching.remove(source.fd);
  }

  resume(token: number, kind: number): boolean {
    const source = this.#sources.get(sourceKey(token, kind));
    if (source?.isPaused !== true) return true;
    if (this.#watching.add(source.fd, source.events, token, kind) < 0) return false;
    source.isPaused = false;
    return true;
  }
}
