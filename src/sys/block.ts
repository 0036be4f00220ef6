/**
 * A fixed piece of memory whose address the kernel may be given.
 *
 * Contract: the memory never moves and lives as long as the object; whoever hands `address` to a
 * call that returns later (epoll data, a mapping) keeps the object.
 */

/** The one thing a block needs from a runtime. */
export interface Addressing {
  address(buffer: ArrayBufferLike | Uint8Array): number;
}

const SIZE_64 = 2 ** 32;
const encoder = new TextEncoder();

export class Block {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly address: number;

  /** @param size octets, more than zero */
  constructor(native: Addressing, size: number) {
    // An ArrayBuffer of its own: small typed arrays may live inside the engine's movable heap.
    const buffer = new ArrayBuffer(size);
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.address = native.address(buffer);
  }

  /** A zero-terminated UTF-8 string, as paths are passed. */
  static text(native: Addressing, text: string): Block {
    const octets = encoder.encode(text);
    const block = new Block(native, octets.length + 1);
    block.bytes.set(octets);
    return block;
  }

  getI32(offset: number): number {
    return this.view.getInt32(offset, true);
  }

  setI32(offset: number, value: number): void {
    this.view.setInt32(offset, value, true);
  }

  /** A pointer or another 64-bit number below 2^53. */
  getU64(offset: number): number {
    const low = this.view.getUint32(offset, true);
    return low + this.view.getUint32(offset + 4, true) * SIZE_64;
  }

  setU64(offset: number, value: number): void {
    this.view.setUint32(offset, value % SIZE_64, true);
    this.view.setUint32(offset + 4, Math.floor(value / SIZE_64), true);
  }
}
