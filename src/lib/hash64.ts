/**
 * A fast hash of 64 bits over words of 32, to tell things apart; no protection against somebody who
 * wants two of them equal.
 *
 * Two lanes that each turn every word into another state one to one: two inputs of which one word
 * differs never end in the same `low` state, whatever follows.
 */

const PRIME_A = 0x01000193;
const PRIME_B = 0x85ebca6b;
const START_A = 0x811c9dc5 | 0;
const START_B = 0x2545f491 | 0;

export class Hash64 {
  /** The state, as two signed integers. */
  low = START_A;
  high = START_B;

  reset(): void {
    this.low = START_A;
    this.high = START_B;
  }

  /** Adds one word. */
  mix(word: number): void {
    const low = Math.imul(this.low ^ word, PRIME_A);
    this.low = low ^ (low >>> 15);
    this.high = Math.imul((this.high + word) ^ (this.high >>> 13), PRIME_B);
  }

  /** Adds the words [from, to). */
  mixWords(words: Int32Array, from: number, to: number): void {
    let { low, high } = this;
    for (let i = from; i < to; i += 1) {
      const word = words[i] ?? 0;
      low = Math.imul(low ^ word, PRIME_A);
      low ^= low >>> 15;
      high = Math.imul((high + word) ^ (high >>> 13), PRIME_B);
    }
    this.low = low;
    this.high = high;
  }

  /** Sixteen hexadecimal digits. */
  get text(): string {
    const digits = (half: number): string => (half >>> 0).toString(16).padStart(8, "0");
    return digits(this.low) + digits(this.high);
  }
}

/** Hash of octets and their number. */
export function hashOctets(octets: Uint8Array): string {
  const hash = new Hash64();
  const whole = new Uint8Array(Math.ceil(octets.length / 4) * 4);
  whole.set(octets);
  hash.mixWords(new Int32Array(whole.buffer), 0, whole.length >> 2);
  hash.mix(octets.length);
  return hash.text;
}
