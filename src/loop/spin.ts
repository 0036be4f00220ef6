/**
 * Whether to look again for a moment before sleeping.
 *
 * A request and its answer come tens of microseconds apart, and putting the thread to sleep and
 * waking it costs about as much. So where events have lately come within SPIN microseconds of the
 * last turn, the loop looks again that long before it sleeps. Where they have not - a bulk transfer
 * whose next frames take longer, a guest that is silent - it sleeps at once: every look in vain
 * lowers the score, and only a success raises it. A silent guest costs nothing.
 */

/** Microseconds to look for. */
export const SPIN = 50;
const SCORE_MAX = 16;
/** Below this score the loop sleeps at once. */
const SCORE_NEEDED = 8;
const GAIN = 1;
const LOSS = 4;

export class Spin {
  #score = 0;

  /** Microseconds to look for events before sleeping; 0 = sleep at once. */
  get budget(): number {
    return this.#score >= SCORE_NEEDED ? SPIN : 0;
  }

  /** The loop had to wait, and the next event came after so many microseconds. */
  waited(microseconds: number): void {
    if (microseconds <= SPIN) this.#score = Math.min(SCORE_MAX, this.#score + GAIN);
    else this.#score = Math.max(0, this.#score - LOSS);
  }
}
