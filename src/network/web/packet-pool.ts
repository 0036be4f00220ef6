/**
 * Buffers of large packets, which are used again. A fresh one of 64 KiB is as much memory that the
 * system has to map and clear first, which takes longer than to fill it.
 */
import { HEADER_SIZE } from "./wisp-packets.ts";

/** A packet with a segment of the guest's, as nearly all large ones are; others are rare. */
const BUFFER_SIZE = HEADER_SIZE + 64 * 1024;
/** What is smaller is taken from the heap, which has it at hand. */
const SMALL = 8 * 1024;
/** Buffers that are kept for later: 1 MiB. */
const KEPT_MAX = 16;

export class PacketPool {
  readonly #free: ArrayBuffer[] = [];

  /** Room for a packet of so many octets; what is in it is not cleared. */
  take(size: number): Uint8Array<ArrayBuffer> {
    if (size < SMALL || size > BUFFER_SIZE) return new Uint8Array(size);
    return new Uint8Array(this.#free.pop() ?? new ArrayBuffer(BUFFER_SIZE), 0, size);
  }

  /** Takes back what nobody reads any more; what did not come from here is left alone. */
  give({ buffer }: Uint8Array<ArrayBuffer>): void {
    if (buffer.byteLength === BUFFER_SIZE && this.#free.length < KEPT_MAX) this.#free.push(buffer);
  }
}
