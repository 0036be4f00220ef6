/** Turns of the modelled guest: it sends what is due, and is woken up when the next thing is. */
import type { VirtualClock } from "./clock.ts";
import type { Guest } from "./guest/guest.ts";

const NEVER = Number.POSITIVE_INFINITY;

export class GuestTurns {
  readonly #clock: VirtualClock;
  readonly #guest: Guest;
  #wakeAt = NEVER;
  #isServing = false;

  constructor(clock: VirtualClock, guest: Guest) {
    this.#clock = clock;
    this.#guest = guest;
  }

  /** Lets the guest have a turn; not within one. */
  serve(): void {
    if (this.#isServing) return;
    this.#isServing = true;
    this.#guest.poll(this.#clock.now);
    this.#isServing = false;
    const next = this.#guest.nextDeadline();
    if (next >= this.#wakeAt || next === NEVER) return;
    const at = Math.max(next, this.#clock.now + 1);
    this.#wakeAt = at;
    this.#clock.at(at, () => {
      if (this.#wakeAt === at) this.#wakeAt = NEVER;
      this.serve();
    });
  }
}
