/**
 * What happened in a run, as one number: two runs with the same hash did the same things at the
 * same times. With a sink, also as lines for people.
 */
import { Hash64 } from "../lib/hash64.ts";

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

  /** Adds octets to the hash. */
  octets(octets: Uint8Array): void {
    let word = octets.length;
    for (let i = 0; i < octets.length; i += 1) {
      word = (word << 8) | (octets[i] ?? 0);
      if ((i & 3) === 3) this.#hash.mix(word);
    }
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
