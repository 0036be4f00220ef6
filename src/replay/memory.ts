/**
 * Engine memory as a recording needs it: the lists of frames and operations, and what msghdrs refer
 * to. Addresses in records are absolute (host base and offset); what does not lie in the memory
 * counts as empty, as the kernel would refuse it.
 */
import * as abi from "../../wasm/abi.ts";
import type { EngineModule } from "../engine/module.ts";
import { iovecBase, iovecLength } from "../link/frames.ts";
import type { LinkMemory } from "../link/link.ts";

const NOTHING = new Uint8Array(0);
const SIZE_32 = 2 ** 32;
/** UIO_MAXIOV: more is refused by the kernel. */
const IOVECS_MAX = 1024;

/** Words of an operation. */
export const OP_WORDS = abi.OP_SIZE >> 2;

export class EngineMemory {
  readonly octets: Uint8Array<ArrayBuffer>;
  readonly words: Uint32Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
  /** Offsets of regions, by `REGION_*`. */
  readonly bases: readonly number[];
  /** As links see it. */
  link: LinkMemory;
  readonly #controlWord: number;

  constructor({ memory, regions }: EngineModule) {
    const { buffer } = memory;
    if (!(buffer instanceof ArrayBuffer)) throw new TypeError("the engine's memory is shared");
    this.octets = new Uint8Array(buffer);
    this.words = new Uint32Array(buffer);
    this.view = new DataView(buffer);
    this.bases = regions.map(({ base }) => base);
    this.#controlWord = this.base(abi.REGION_CONTROL) >> 2;
    this.link = {
      buffer,
      base: 0,
      u32: this.words,
      rxDescriptors: this.base(abi.REGION_RX_DESCRIPTORS),
      rxBuffers: this.base(abi.REGION_RX_BUFFERS),
      txRecords: this.base(abi.REGION_TX_RECORDS),
    };
  }

  base(region: number): number {
    return this.bases[region] ?? 0;
  }

  /** CONFIG as it is now. */
  get config(): Uint8Array {
    const at = this.base(abi.REGION_CONFIG);
    return this.octets.subarray(at, at + abi.CONFIG_SIZE);
  }

  /** To be called when CONFIG is written: where the memory lies in the host process. */
  locate(): void {
    const at = this.base(abi.REGION_CONFIG);
    const low = this.view.getUint32(at + abi.CONFIG_HOST_BASE_LO_OFFSET, true);
    const high = this.view.getUint32(at + abi.CONFIG_HOST_BASE_HI_OFFSET, true);
    this.link = { ...this.link, base: low + high * SIZE_32 };
  }

  get frameCount(): number {
    return this.#control(abi.CONTROL_TX_COUNT_OFFSET, abi.TX_CAPACITY_COUNT);
  }

  get operationCount(): number {
    return this.#control(abi.CONTROL_OP_COUNT_OFFSET, abi.OP_CAPACITY_COUNT);
  }

  /** Word of the first operation. */
  get operations(): number {
    return (this.words[this.#controlWord + (abi.CONTROL_OP_BASE_OFFSET >> 2)] ?? 0) >> 2;
  }

  #control(offset: number, max: number): number {
    return Math.min(this.words[this.#controlWord + (offset >> 2)] ?? 0, max);
  }

  /** The part of memory that a pointer in a record at engine offset `record` refers to. */
  referred(record: number, offset: number, length: number): Uint8Array {
    const at = this.offsetOf(record, offset, length);
    return at === 0 ? NOTHING : this.octets.subarray(at, at + length);
  }

  /** Engine offset of what such a pointer refers to; 0: not all of it lies in the memory. */
  offsetOf(record: number, offset: number, length: number): number {
    const word = (record + offset) >> 2;
    const pointer = (this.words[word] ?? 0) + (this.words[word + 1] ?? 0) * SIZE_32;
    return pointer === 0 ? 0 : this.inside(pointer - this.link.base, length);
  }

  /** The offset itself if all of that length lies in the memory, else 0. */
  inside(offset: number, length: number): number {
    return offset > 0 && offset + length <= this.octets.length ? offset : 0;
  }

  /** A word of a record at engine offset `record`. */
  field(record: number, offset: number): number {
    return this.words[(record + offset) >> 2] ?? 0;
  }

  setField(record: number, offset: number, value: number): void {
    this.words[(record + offset) >> 2] = value;
  }

  /** Number of pieces of payload memory of a msghdr. */
  pieceCount(message: number): number {
    const count = Math.min(this.field(message, abi.MSG_IOV_COUNT_OFFSET), IOVECS_MAX);
    return this.offsetOf(message, abi.MSG_IOV_OFFSET, count * abi.IOV_SIZE) === 0 ? 0 : count;
  }

  /** Engine offset of piece `i`, of those there are; 0 for one that is empty. */
  pieceAt(message: number, i: number): number {
    const iovec = this.#iovec(message, i);
    return this.inside(iovecBase(this.link, iovec) - this.link.base, iovecLength(this.link, iovec));
  }

  /** Octets of piece `i`. */
  pieceLength(message: number, i: number): number {
    return this.pieceAt(message, i) === 0 ? 0 : iovecLength(this.link, this.#iovec(message, i));
  }

  /** The pieces of payload memory of a msghdr. */
  pieces(message: number): Uint8Array[] {
    return Array.from({ length: this.pieceCount(message) }, (_, i) => {
      const at = this.pieceAt(message, i);
      return this.octets.subarray(at, at + this.pieceLength(message, i));
    });
  }

  #iovec(message: number, i: number): number {
    return this.offsetOf(message, abi.MSG_IOV_OFFSET, (i + 1) * abi.IOV_SIZE) + i * abi.IOV_SIZE;
  }
}
