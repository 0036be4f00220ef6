/**
 * What happened in a run, as one number: two runs with the same hash did the same things at the
 * same times. With a sink, also as lines for people.
 */
import { Hash64 } from "../../lib/hash64.ts";

export class Trace {
  readonly #hash = new Hash64();
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
    this.#hash.mix(kind);
    this.#hash.mix(value);
    this.#hash.mix(now | 0);
    this.#hash.mix(Math.floor(now / 2 ** 32));
  }

  /** Adds octets to the hash: four at a time, then what is left behind the last four. */
  octets(octets: Uint8Array): void {
    const { length } = octets;
    let word = length;
    let at = 0;
    for (; at + 4 <= length; at += 4) {
      const high = ((octets[at] ?? 0) << 24) | ((octets[at + 1] ?? 0) << 16);
      word = high | ((octets[at + 2] ?? 0) << 8) | (octets[at + 3] ?? 0);
      this.#hash.mix(word);
    }
    for (; at < length; at += 1) word = (word << 8) | (octets[at] ?? 0);
    this.#hash.mix(word);
  }

  /** Only for people; `line` is called where somebody reads. */
  tell(now: number, line: () => string): void {
    this.#sink?.(`${(now / 1e6).toFixed(6)} ${line()}`);
  }

  /** Sixteen hexadecimal digits. */
  get hash(): string {
    return this.#hash.text;
  }
}
