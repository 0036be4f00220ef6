/**
 * What happened in a run, as one number: two runs with the same hash did the same things at the
 * same times. With a sink, also as lines for people.
 */

const PRIME_A = 0x01000193;
const PRIME_B = 0x85ebca6b;

export class Trace {
  #a = 0x811c9dc5 | 0;
  #b = 0x2545f491 | 0;
  readonly #sink: ((line: string) => void) | undefined;
  events = 0;

  constructor(sink?: (line: string) => void) {
    this.#sink = sink;
  }

  get isRead(): boolean {
    return this.#sink !== undefined;
  }

  /** Notes that something happened: `kind` and `value` are any integers. */
  note(now: number, kind: number, value: number): void {
    this.events += 1;
    this.#mix(kind);
    this.#mix(value);
    this.#mix(now | 0);
    this.#mix(Math.floor(now / 2 ** 32));
  }

  /** Adds octets to the hash: four at a time, then what is left behind the last four. */
  octets(octets: Uint8Array): void {
    const { length } = octets;
    let word = length;
    let at = 0;
    for (; at + 4 <= length; at += 4) {
      const high = ((octets[at] ?? 0) << 24) | ((octets[at + 1] ?? 0) << 16);
      word = high | ((octets[at + 2] ?? 0) << 8) | (octets[at + 3] ?? 0);
      this.#mix(word);
    }
    for (; at < length; at += 1) word = (word << 8) | (octets[at] ?? 0);
    this.#mix(word);
  }

  /** Only for people; `line` is called where somebody reads. */
  tell(now: number, line: () => string): void {
    this.#sink?.(`${(now / 1e6).toFixed(6)} ${line()}`);
  }

  #mix(word: number): void {
    this.#a = Math.imul(this.#a ^ word, PRIME_A);
    this.#a ^= this.#a >>> 15;
    this.#b = Math.imul((this.#b + word) ^ (this.#b >>> 13), PRIME_B);
  }

  /** Sixteen hexadecimal digits. */
  get hash(): string {
    const text = (half: number): string => (half >>> 0).toString(16).padStart(8, "0");
    return text(this.#a) + text(this.#b);
  }
}
