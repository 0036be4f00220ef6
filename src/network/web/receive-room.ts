/**
 * What came from a relay and waits for guests to read it: bounds, and who pays when they are met.
 *
 * Half of either bound has the relay pause, where its WebSocket can; what comes in nevertheless
 * may fill the other half. Whoever goes beyond a bound is evicted, and so is who has read nothing
 * for STALL_US while all of them are paused.
 */
import type { Host } from "../host.ts";
import type { RelayStream } from "./relay-stream.ts";

const STALL_US = 15_000_000;

export interface RoomParts {
  readonly host: Host;
  /** Octets of one stream, and of all. */
  readonly streamMax: number;
  readonly totalMax: number;
  readonly pause: (isPaused: boolean) => void;
  /** Ends a stream, which gives back what it holds. */
  readonly evict: (stream: RelayStream) => void;
}

export class ReceiveRoom {
  held = 0;
  overflowed = 0;
  stalled = 0;
  readonly #parts: RoomParts;
  readonly #holders = new Set<RelayStream>();
  readonly #full = new Set<RelayStream>();
  #stopWatching: (() => void) | undefined;

  constructor(parts: RoomParts) {
    this.#parts = parts;
  }

  hold(stream: RelayStream, octets: number): void {
    const { host, streamMax, totalMax } = this.#parts;
    stream.held += octets;
    this.held += octets;
    stream.touched = host.now();
    toggle(this.#holders, stream, stream.held > 0);
    if (octets > 0 && (stream.held > streamMax || this.held > totalMax)) {
      this.overflowed += 1;
      this.#parts.evict(stream);
    } else {
      toggle(this.#full, stream, stream.held > streamMax / 2);
      this.throttle();
    }
  }

  /** Has the relay pause or go on. */
  throttle(): void {
    const isPaused = this.#full.size > 0 || this.held > this.#parts.totalMax / 2;
    this.#parts.pause(isPaused);
    if (isPaused) this.#watch();
  }

  #watch(): void {
    const { host, evict } = this.#parts;
    this.#stopWatching ??= host.after(STALL_US, () => {
      this.#stopWatching = undefined;
      const since = host.now() - STALL_US;
      for (const stream of [...this.#holders]) {
        if (stream.touched > since) continue;
        this.stalled += 1;
        evict(stream);
      }
      this.throttle();
    });
  }

  close(): void {
    this.#stopWatching?.();
  }
}

function toggle(set: Set<RelayStream>, stream: RelayStream, isIn: boolean): void {
  if (isIn) set.add(stream);
  else set.delete(stream);
}
