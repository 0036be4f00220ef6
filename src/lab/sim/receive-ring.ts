/**
 * The receive ring of a guest's network card: frames wait there until the guest's driver looks, and
 * those that find no room are lost, as a burst does on rtl8139 with its 8 KiB.
 *
 * Each frame takes a header of 4 octets and is rounded up to 4 (RTL8139 programming guide §4.1).
 */
import type { VirtualClock } from "./clock.ts";

export interface RingPlan {
  /** Octets of the ring. */
  readonly size: number;
  /** Microseconds from the first frame that waits until the driver looks, and takes all. */
  readonly delay: number;
}

const HEADER = 4;

export class ReceiveRing<T> {
  readonly #clock: VirtualClock;
  readonly #plan: RingPlan;
  readonly #take: (frame: Uint8Array, extra: T) => void;
  #waiting: { readonly frame: Uint8Array; readonly extra: T }[] = [];
  #used = 0;
  /** Frames that found no room. */
  lost = 0;

  constructor(clock: VirtualClock, plan: RingPlan, take: (frame: Uint8Array, extra: T) => void) {
    this.#clock = clock;
    this.#plan = plan;
    this.#take = take;
  }

  put(frame: Uint8Array, extra: T): void {
    const size = (frame.length + HEADER + 3) & ~3;
    if (this.#used + size > this.#plan.size) {
      this.lost += 1;
      return;
    }
    if (this.#waiting.length === 0) {
      this.#clock.at(this.#clock.now + this.#plan.delay, () => this.#look());
    }
    this.#waiting.push({ frame, extra });
    this.#used += size;
  }

  #look(): void {
    const frames = this.#waiting;
    this.#waiting = [];
    this.#used = 0;
    for (const { frame, extra } of frames) this.#take(frame, extra);
  }
}
