/** By which published port each flow has come in, by slot: tokens of `listener` and `published`. */

const NONE = -1;

export class PortMarks {
  /** Token of the UDP port whose socket the flow has, plus 1. */
  readonly #has: Int32Array;
  /** Token of the listener that its connection has come in by, plus 1. */
  readonly #cameBy: Int32Array;

  constructor(slots: number) {
    this.#has = new Int32Array(slots);
    this.#cameBy = new Int32Array(slots);
  }

  /** The flow has the socket of this UDP port. */
  hold(slot: number, token: number): void {
    this.#has[slot] = token + 1;
  }

  /** The flow has come in by this listener. */
  accepted(slot: number, token: number): void {
    this.#cameBy[slot] = token + 1;
  }

  /** The flow is over. Token of the UDP port whose socket it had; -1 = none. */
  clear(slot: number): number {
    const token = (this.#has[slot] ?? 0) - 1;
    this.#has[slot] = 0;
    this.#cameBy[slot] = 0;
    return token;
  }

  /** The flow that has the socket of this UDP port; -1 = none. */
  holderOf(token: number): number {
    return token < 0 ? NONE : this.#has.indexOf(token + 1);
  }

  /** Flows of each listener that has some, by its token. */
  acceptedBy(): ReadonlyMap<number, number> {
    const counts = new Map<number, number>();
    for (const mark of this.#cameBy) {
      if (mark > 0) counts.set(mark - 1, (counts.get(mark - 1) ?? 0) + 1);
    }
    return counts;
  }

  /** Tokens of the UDP ports that flows have. */
  held(): readonly number[] {
    return [...this.#has].filter((mark) => mark > 0).map((mark) => mark - 1);
  }
}
