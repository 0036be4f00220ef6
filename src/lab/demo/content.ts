/**
 * What is downloaded and uploaded: octets that look like noise, made where they are needed, so that
 * one that is lost, doubled or out of place shows in the SHA-256.
 */
import { createHash } from "node:crypto";

const PART_SIZE = 65_536;

/** Makes the stream of a seed, part by part, each at most `PART_SIZE` octets. */
export class Content {
  readonly size: number;
  #state: number;
  #made = 0;

  constructor(seed: number, size: number) {
    this.size = size;
    // xorshift has no use for zero
    this.#state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  }

  /** Octets that are still to come. */
  get left(): number {
    return this.size - this.#made;
  }

  /** The next octets; undefined at the end. */
  next(): Uint8Array | undefined {
    if (this.left === 0) return undefined;
    const words = new Uint32Array(PART_SIZE / 4);
    let state = this.#state;
    for (let i = 0; i < words.length; i += 1) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      words[i] = state;
    }
    this.#state = state;
    const part = new Uint8Array(words.buffer, 0, Math.min(PART_SIZE, this.left));
    this.#made += part.length;
    return part;
  }
}

/** SHA-256 of a whole stream, in hexadecimal. */
export function contentSum(seed: number, size: number): string {
  const hash = createHash("sha256");
  const content = new Content(seed, size);
  for (let part = content.next(); part !== undefined; part = content.next()) hash.update(part);
  return hash.digest("hex");
}
