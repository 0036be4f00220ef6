/**
 * A bounded list of frames in one buffer, for links in memory.
 */
import type { CopyTarget } from "./frames.ts";
import type { LinkMemory } from "./link.ts";

/** Frames in order of arrival, each in one piece; bounded in number and in octets. */
export class FrameRing implements CopyTarget {
  readonly capacity: number;
  readonly bytes: Uint8Array;
  count = 0;
  readonly #starts: Uint32Array;
  readonly #lengths: Uint32Array;
  #first = 0;
  #end = 0;

  constructor(capacity: number, bytes: number) {
    this.capacity = capacity;
    this.bytes = new Uint8Array(bytes);
    this.#starts = new Uint32Array(capacity);
    this.#lengths = new Uint32Array(capacity);
  }

  /** Offset where `length` octets are free, or -1. Nothing is taken until `push`. */
  reserve(length: number): number {
    if (this.count === this.capacity) return -1;
    if (this.count === 0) return length <= this.bytes.length ? 0 : -1;
    const oldest = this.#starts[this.#first] ?? 0;
    if (this.#end <= oldest) return length <= oldest - this.#end ? this.#end : -1;
    if (length <= this.bytes.length - this.#end) return this.#end;
    // The rest of the buffer stays unused: a frame is never split.
    return length <= oldest ? 0 : -1;
  }

  copy({ buffer }: LinkMemory, from: number, length: number, at: number): void {
    this.bytes.set(new Uint8Array(buffer, from, length), at);
  }

  push(at: number, length: number): void {
    const slot = (this.#first + this.count) % this.capacity;
    this.#starts[slot] = at;
    this.#lengths[slot] = length;
    this.#end = at + length;
    this.count += 1;
  }

  /** The oldest frame, in place; only where there is one, and only until `pop`. */
  front(): Uint8Array {
    const start = this.#starts[this.#first] ?? 0;
    return this.bytes.subarray(start, start + (this.#lengths[this.#first] ?? 0));
  }

  pop(): void {
    this.#first = (this.#first + 1) % this.capacity;
    this.count -= 1;
  }
}
