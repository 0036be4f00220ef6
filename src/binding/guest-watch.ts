/**
 * Tells the engine that the machine has left the link, between two of its calls: the link finds out
 * in the middle of a turn.
 */
import type { HostEngine } from "../engine/host-engine.ts";
import type { Watch } from "./housekeeping.ts";

export class GuestWatch implements Watch {
  #hasLeft = false;

  /** The link's peer has gone. */
  left(): void {
    this.#hasLeft = true;
  }

  wait(): number | undefined {
    return this.#hasLeft ? 0 : undefined;
  }

  poll(engine: HostEngine, now: number): void {
    if (!this.#hasLeft) return;
    this.#hasLeft = false;
    engine.guestGone(now);
  }
}
