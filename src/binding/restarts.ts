/**
 * How often something that fails is started again, and after which pause.
 *
 * The first failure after a time in which it was of use costs `first_ms`. Those that follow without
 * any such time cost `min_ms`, then twice as much each time, up to `max_ms`; after `most` of them
 * in a row it is given up.
 */

export interface RestartBounds {
  readonly first_ms: number;
  readonly min_ms: number;
  readonly max_ms: number;
  /** Failures in a row without any use; absent: no number of them is the end. */
  readonly most?: number;
}

export class Restarts {
  readonly #bounds: RestartBounds;
  #count = 0;
  #inVain = 0;

  constructor(bounds: RestartBounds) {
    this.#bounds = bounds;
  }

  /** Failures so far. */
  get count(): number {
    return this.#count;
  }

  /** Of those, the last ones in a row, without any use between them. */
  get inVain(): number {
    return this.#inVain;
  }

  /**
   * It has failed.
   * @param wasOfUse since the last failure
   * @returns milliseconds until it is to be started again; undefined: it is given up
   */
  failed(wasOfUse: boolean): number | undefined {
    const { first_ms, min_ms, max_ms, most = Number.POSITIVE_INFINITY } = this.#bounds;
    if (wasOfUse) this.#inVain = 0;
    this.#count += 1;
    this.#inVain += 1;
    if (this.#inVain > most) return undefined;
    if (this.#inVain === 1) return first_ms;
    return Math.min(min_ms * 2 ** (this.#inVain - 2), max_ms);
  }
}
