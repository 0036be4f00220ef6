/**
 * Octets addressed by sequence number, of which those from an oldest one on are kept.
 *
 * The ring begins with nothing and grows with what is put into it, up to its capacity: a connection
 * that carries little takes little, however large its buffer may be.
 */
import { seqDiff } from "./octets.ts";

const SIZE_MIN = 2048;

/** The power of two that holds so many. */
function powerOfTwo(count: number): number {
  return 2 ** (32 - Math.clz32(Math.max(count, 1) - 1));
}

export class OctetRing {
  #octets = new Uint8Array(0);
  readonly #capacity: number;

  /** @param size octets that must fit at the same time */
  constructor(size: number) {
    this.#capacity = powerOfTwo(Math.max(size, 16));
  }

  /** Stores `count` octets of `source` from `sequence` on; those before `oldest` may go. */
  put(oldest: number, sequence: number, source: Uint8Array, at: number, count: number): void {
    if (count === 0) return;
    const span = seqDiff((sequence + count) >>> 0, oldest);
    if (span > this.#octets.length) this.#grow(oldest, span);
    const { length } = this.#octets;
    const start = sequence & (length - 1);
    const first = Math.min(count, length - start);
    this.#octets.set(source.subarray(at, at + first), start);
    if (first < count) this.#octets.set(source.subarray(at + first, at + count), 0);
  }

  /** Copies `count` octets from `sequence` on to `target`. */
  copy(sequence: number, count: number, target: Uint8Array, at: number): void {
    if (count === 0) return;
    const { length } = this.#octets;
    const start = sequence & (length - 1);
    const first = Math.min(count, length - start);
    target.set(this.#octets.subarray(start, start + first), at);
    if (first < count) target.set(this.#octets.subarray(0, count - first), at + first);
  }

  #grow(oldest: number, span: number): void {
    const size = Math.max(Math.min(powerOfTwo(span), this.#capacity), SIZE_MIN);
    const larger = new Uint8Array(size);
    const before = this.#octets.length;
    const split = before - (oldest & (before - 1));
    const move = (sequence: number, count: number): void => {
      const from = sequence & (before - 1);
      const to = sequence & (size - 1);
      // Both lengths are powers of two: what does not wrap in the smaller one does not in this.
      larger.set(this.#octets.subarray(from, from + count), to);
    };
    if (before > 0) {
      move(oldest, split);
      move((oldest + split) >>> 0, before - split);
    }
    this.#octets = larger;
  }
}
