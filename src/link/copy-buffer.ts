/**
 * A buffer that parts of engine memory are copied into, without an object for each: a window on
 * memory (`subarray`) costs some hundred octets that only a collection gives back, which for small
 * frames is more than the frame. Where there are system calls, `memcpy` of the C library copies.
 */
import type { LinkMemory } from "./link.ts";

/** The two things of `Libc` that this takes. */
export interface NativeCopy {
  address(buffer: ArrayBufferLike | Uint8Array): number;
  memcpy(to: number, from: number, octets: number): number;
}

/** Where the memory lies; `base` is its address in this process for a `NativeCopy`. */
type Source = Pick<LinkMemory, "buffer" | "base">;

export class CopyBuffer {
  readonly octets: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
  readonly #native: NativeCopy | undefined;
  readonly #address: number;

  constructor(size: number, native?: NativeCopy) {
    this.octets = new Uint8Array(new ArrayBuffer(size));
    this.view = new DataView(this.octets.buffer);
    this.#native = native;
    this.#address = native?.address(this.octets.buffer) ?? 0;
  }

  /**
   * Copies `length` octets from offset `from` of engine memory to `at`.
   * @throws RangeError where they do not lie in the memory or in the buffer
   */
  copy({ buffer, base }: Source, from: number, length: number, at: number): void {
    if (length <= 0) return;
    if (this.#native === undefined) {
      this.octets.set(new Uint8Array(buffer, from, length), at);
      return;
    }
    const isInside = from >= 0 && from + length <= buffer.byteLength;
    if (!isInside || at < 0 || at + length > this.octets.length) {
      throw new RangeError(`cannot copy ${length} octets from ${from} to ${at}`);
    }
    this.#native.memcpy(this.#address + at, base + from, length);
  }

  /**
   * Copies the first `length` octets of what is lent of frame `i` to `at`: nothing where there are
   * no system calls.
   * @throws RangeError where they do not lie in the buffer
   */
  borrow({ loans }: Pick<LinkMemory, "loans">, i: number, length: number, at: number): void {
    if (at < 0 || length < 0 || at + length > this.octets.length) {
      throw new RangeError(`cannot copy ${length} octets to ${at}`);
    }
    if (this.#native !== undefined) loans?.read(i, this.#address + at, length);
  }
}
