/**
 * By which published port each flow has come in, by slot: tokens of `listener` and `published`.
 * What is asked of it is counted as it changes, so that asking makes no garbage.
 */

const NONE = -1;

export class PortMarks {
  /** Token of the UDP port whose socket the flow has, plus 1. */
  readonly #has: Int32Array;
  /** Token of the listener that its connection has come in by, plus 1. */
  readonly #cameBy: Int32Array;
  readonly #holders = new Map<number, number>();
  readonly #counts = new Map<number, number>();

  constructor(slots: number) {
    this.#has = new Int32Array(slots);
    this.#cameBy = new Int32Array(slots);
  }

  /** The flow has the socket of this UDP port. */
  hold(slot: number, token: number): void {
    this.#has[slot] = token + 1;
    this.#holders.set(token, slot);
  }

  /** The flow has come in by this listener. */
  accepted(slot: number, token: number): void {
    this.#cameBy[slot] = token + 1;
    this.#counts.set(token, (this.#counts.get(token) ?? 0) + 1);
  }

  /** The flow is over. Token of the UDP port whose socket it had; -1 = none. */
  clear(slot: number): number {
    const came = (this.#cameBy[slot] ?? 0) - 1;
    if (came >= 0) this.#end(slot, came);
    const token = (this.#has[slot] ?? 0) - 1;
    if (token < 0) return NONE;
    this.#has[slot] = 0;
    this.#holders.delete(token);
    return token;
  }

  #end(slot: number, token: number): void {
    this.#cameBy[slot] = 0;
    const left = (this.#counts.get(token) ?? 0) - 1;
    if (left > 0) this.#counts.set(token, left);
    else this.#counts.delete(token);
  }

  /** The flow that has the socket of this UDP port; -1 = none. */
  holderOf(token: number): number {
    return this.#holders.get(token) ?? NONE;
  }

  /** Flows of each listener that has some, by its token. */
  get acceptedBy(): ReadonlyMap<number, number> {
    return this.#counts;
  }

  /** Tokens of the UDP ports that flows have. */
  get held(): Iterable<number> {
    return this.#holders.keys();
  }
}
