/**
 * Tokens of sources that come and go. An event that was told of before its source went carries a
 * token that is nobody's: they count up, and begin anew only after TOKEN_COUNT of them.
 */

/** So many fit beside a flag into 32 bits. */
const TOKEN_COUNT = 2 ** 30;

export class TokenCount {
  #next: number;

  /** @param first the first one; other than 0 in tests */
  constructor(first = 0) {
    this.#next = first;
  }

  /** The next one that nobody has. */
  next(isUsed: (token: number) => boolean): number {
    while (isUsed(this.#next)) this.#next = (this.#next + 1) % TOKEN_COUNT;
    const token = this.#next;
    this.#next = (token + 1) % TOKEN_COUNT;
    return token;
  }
}
