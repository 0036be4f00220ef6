/**
 * The one source of chance of a run: a seeded generator over integers only, so that every runtime
 * draws the same numbers (no logarithms, whose last bit differs between runtimes).
 *
 * sfc32 by Chris Doty-Humphrey (public domain design): 128 bits of state, fast, passes PractRand.
 */

export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** @param seed any integer; @param stream tells generators of the same seed apart */
  constructor(seed: number, stream = 0) {
    this.#a = seed | 0;
    this.#b = (Math.floor(seed / 2 ** 32) ^ 0x9e3779b9) | 0;
    this.#c = (stream ^ 0x243f6a88) | 0;
    for (let i = 0; i < 16; i += 1) this.u32();
  }

  u32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    this.#c |= 0;
    return sum >>> 0;
  }

  /** An integer from 0 to `limit` - 1. */
  below(limit: number): number {
    return Math.floor((this.u32() / 2 ** 32) * limit);
  }

  /** An integer, both ends included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  /** True in `perMillion` of a million cases. */
  chance(perMillion: number): boolean {
    return perMillion > 0 && this.below(1_000_000) < perMillion;
  }

  /** True once in `count` times. */
  oneIn(count: number): boolean {
    return this.below(count) === 0;
  }

  pick<T>(choices: readonly [T, ...T[]]): T {
    return choices[this.below(choices.length)] ?? choices[0];
  }

  /** Small numbers often, large ones seldom: evenly spread over the powers of two below `limit`. */
  skewed(limit: number): number {
    return this.below(Math.min(2 ** this.between(0, 32 - Math.clz32(Math.max(limit, 1))), limit));
  }
}
