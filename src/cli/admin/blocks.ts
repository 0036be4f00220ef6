/**
 * A stream of pcapng as whole blocks: what is under way when a capture is interrupted is left out,
 * so that no reader finds a file that was cut short.
 *
 * Blocks begin with a type and a length, 32 bits each, in the order of octets that the section's
 * first block tells (draft-ietf-opsawg-pcapng, sections 3.1 and 4.1). What cannot be such a stream
 * is handed on as it is.
 */

const SECTION_HEADER = 0x0a0d0d0a;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const ENHANCED_PACKET = 6;
const HEAD_SIZE = 12;
const BLOCK_SIZE_MAX = 1 << 24;

export class WholeBlocks {
  /** Packets among the blocks so far. */
  packets = 0;
  #rest: Uint8Array = new Uint8Array(0);
  #isLittle = true;
  #isStream = true;

  /** Takes the next octets; returns those of the blocks that are whole now. */
  push(octets: Uint8Array): Uint8Array {
    if (!this.#isStream) return octets;
    const all = this.#rest.length === 0 ? octets : Buffer.concat([this.#rest, octets]);
    let at = 0;
    while (all.length - at >= HEAD_SIZE) {
      const view = new DataView(all.buffer, all.byteOffset + at, all.length - at);
      const type = view.getUint32(0, this.#isLittle);
      if (type === SECTION_HEADER) this.#isLittle = view.getUint32(8, true) === BYTE_ORDER_MAGIC;
      const size = view.getUint32(4, this.#isLittle);
      if (size < HEAD_SIZE || size % 4 !== 0 || size > BLOCK_SIZE_MAX) {
        this.#isStream = false;
        this.#rest = new Uint8Array(0);
        return all;
      }
      if (size > view.byteLength) break;
      if (type === ENHANCED_PACKET) this.packets += 1;
      at += size;
    }
    this.#rest = all.slice(at);
    return all.subarray(0, at);
  }
}
