/**
 * What came from a relay and waits for guests to read it: bounds, and who pays when they are met.
 *
 * Half of a bound, but no more than PAUSE_STREAM and PAUSE_TOTAL, has the relay pause where its
 * WebSocket can; what comes in nevertheless, and where it cannot, may fill the rest. A stream
 * beyond its bound is evicted, and beyond that of all the one that holds most. So is who has the
 * others wait and has read nothing for STALL_US.
 *
 * Datagrams have a quarter of the whole bound for themselves: they may be lost, so what comes
 * beyond is dropped, and a guest that does not read them has neither the relay wait nor a stream
 * evicted.
 */
import type { Host } from "../host.ts";
import type { RelayStream } from "./relay-stream.ts";

const STALL_US = 15_000_000;
const PAUSE_STREAM = 2 << 20;
const PAUSE_TOTAL = 16 << 20;

export interface RoomParts {
  readonly host: Host;
  /** Octets of one stream, and of all. */
  readonly streamMax: number;
  readonly totalMax: number;
  /** Has the relay wait, or go on; whether it waits now. */
  readonly pause: (isPaused: boolean) => boolean;
  /** Ends a stream, which gives back what it holds. */
  readonly evict: (stream: RelayStream) => void;
}

export class ReceiveRoom {
  held = 0;
  /** Octets of datagrams, which `held` does not count. */
  heldDatagrams = 0;
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
    const { host, streamMax, totalMax, evict } = this.#parts;
    if (octets < 0 || stream.held === 0) stream.touched = host.now();
    stream.held += octets;
    this.held += octets;
    toggle(this.#holders, stream, stream.held > 0);
    toggle(this.#full, stream, stream.held > Math.min(streamMax / 2, PAUSE_STREAM));
    let beyond = octets > 0 && stream.held > streamMax ? stream : undefined;
    if (this.held > totalMax) beyond ??= largest(this.#holders);
    if (beyond !== undefined) {
      this.overflowed += 1;
      evict(beyond);
    }
    this.throttle();
  }

  /** Octets of a datagram that is to be kept, or below 0 of those that are not any more. */
  holdDatagram(octets: number): boolean {
    if (octets > 0 && this.heldDatagrams + octets > this.#parts.totalMax / 4) return false;
    this.heldDatagrams += octets;
    return true;
  }

  /** Has the relay pause or go on. */
  throttle(): void {
    const isPaused = this.#parts.pause(this.#isFull());
    if (isPaused) this.#watch();
  }

  #isFull(): boolean {
    return this.#full.size > 0 || this.held > Math.min(this.#parts.totalMax / 2, PAUSE_TOTAL);
  }

  #watch(): void {
    const { host, evict } = this.#parts;
    this.#stopWatching ??= host.after(STALL_US, () => {
      this.#stopWatching = undefined;
      if (!this.#isFull()) return;
      const since = host.now() - STALL_US;
      const stalled = [...this.#holders].filter(({ touched }) => touched <= since);
      const full = stalled.filter((stream) => this.#full.has(stream));
      const most = this.#full.size === 0 ? largest(stalled) : undefined;
      for (const stream of most === undefined ? full : [most]) {
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

/** Who holds most. */
function largest(streams: Iterable<RelayStream>): RelayStream | undefined {
  let most: RelayStream | undefined;
  for (const stream of streams) if (stream.held > (most?.held ?? 0)) most = stream;
  return most;
}

function toggle(set: Set<RelayStream>, stream: RelayStream, isIn: boolean): void {
  if (isIn) set.add(stream);
  else set.delete(stream);
}
