/** A guest's virtio driver for one split ring, which lies in a `GuestRam`. */
import type { VringAddress } from "../../../src/link/vhost-user/messages.ts";
import type { GuestRam } from "./guest-ram.ts";

export const RING_SIZE = 8;
/** Places of the parts from the ring's first octet on; the last one is for an indirect table. */
const [DESCRIPTORS, AVAILABLE, USED, TABLE] = [0, 0x400, 0x800, 0xc00];
/** Octets of a ring with all its parts. */
export const RING_SPAN = 0x1000;

const [NEXT, WRITE, INDIRECT] = [1, 2, 4];

/** A buffer, by its place in the memory. */
export interface Buffer {
  readonly at: number;
  readonly size: number;
}

export class Driver {
  readonly ram: GuestRam;
  readonly size: number;
  readonly #base: number;
  readonly #isWritable: boolean;
  #nextDescriptor = 0;
  #available = 0;
  #seen = 0;

  /** @param base place of the ring in the memory */
  constructor(ram: GuestRam, base: number, isWritable: boolean, size = RING_SIZE) {
    this.ram = ram;
    this.#base = base;
    this.#isWritable = isWritable;
    this.size = size;
  }

  /** As the front end tells of it. */
  places(index: number, log = -1): VringAddress {
    const user = (part: number): number => this.ram.user(this.#base + part);
    return {
      index,
      isLogged: log >= 0,
      descriptors: user(DESCRIPTORS),
      available: user(AVAILABLE),
      used: user(USED),
      log: Math.max(log, 0),
    };
  }

  /** Guest address of the used ring. */
  get usedAddress(): number {
    return this.ram.guest(this.#base + USED);
  }

  /** Makes a chain of buffers available; its head. */
  add(buffers: readonly Buffer[]): number {
    const head = this.#nextDescriptor;
    buffers.forEach((buffer, i) => {
      const at = (head + i) % this.size;
      const isLast = i === buffers.length - 1;
      this.descriptor(at, {
        address: this.ram.guest(buffer.at),
        length: buffer.size,
        flags: (isLast ? 0 : NEXT) | (this.#isWritable ? WRITE : 0),
        next: (at + 1) % this.size,
      });
    });
    this.#nextDescriptor = (head + buffers.length) % this.size;
    this.offer(head);
    return head;
  }

  /** The same by an indirect table. */
  addIndirect(buffers: readonly Buffer[]): number {
    const head = this.#nextDescriptor;
    buffers.forEach((buffer, i) => {
      const isLast = i === buffers.length - 1;
      this.#write(TABLE + i * 16, {
        address: this.ram.guest(buffer.at),
        length: buffer.size,
        flags: (isLast ? 0 : NEXT) | (this.#isWritable ? WRITE : 0),
        next: i + 1,
      });
    });
    this.descriptor(head, {
      address: this.ram.guest(this.#base + TABLE),
      length: buffers.length * 16,
      flags: INDIRECT,
      next: 0,
    });
    this.#nextDescriptor = (head + 1) % this.size;
    this.offer(head);
    return head;
  }

  /** Writes a descriptor of the ring. */
  descriptor(i: number, fields: Descriptor): void {
    this.#write(DESCRIPTORS + i * 16, fields);
  }

  /** Writes a descriptor of the indirect table. */
  tableEntry(i: number, fields: Descriptor): void {
    this.#write(TABLE + i * 16, fields);
  }

  get tableAddress(): number {
    return this.ram.guest(this.#base + TABLE);
  }

  /** Makes the chain at `head` available. */
  offer(head: number): void {
    this.#set(AVAILABLE + 4 + 2 * (this.#available % this.size), head);
    this.#available = (this.#available + 1) & 0xffff;
    this.#set(AVAILABLE + 2, this.#available);
  }

  /** What has been given back since the last look: head and octets. */
  used(): [head: number, length: number][] {
    const found: [number, number][] = [];
    while (this.#seen !== this.usedIndex) {
      const at = this.#base + USED + 4 + 8 * (this.#seen % this.size);
      const { view } = this.ram;
      found.push([view.getUint32(at, true), view.getUint32(at + 4, true)]);
      this.#seen = (this.#seen + 1) & 0xffff;
    }
    return found;
  }

  get usedIndex(): number {
    return this.#get(USED + 2);
  }

  /** Begins at another place of the round of indexes, as both rings say it. */
  startAt(index: number): void {
    this.#available = index;
    this.#seen = index;
    this.#set(AVAILABLE + 2, index);
    this.#set(USED + 2, index);
  }

  set availableIndex(index: number) {
    this.#set(AVAILABLE + 2, index);
  }

  /** VRING_AVAIL_F_NO_INTERRUPT and its like. */
  set availableFlags(flags: number) {
    this.#set(AVAILABLE, flags);
  }

  get usedFlags(): number {
    return this.#get(USED);
  }

  set usedEvent(index: number) {
    this.#set(AVAILABLE + 4 + 2 * this.size, index);
  }

  get availableEvent(): number {
    return this.#get(USED + 4 + 8 * this.size);
  }

  #write(part: number, { address, length, flags, next }: Descriptor): void {
    const { view } = this.ram;
    const at = this.#base + part;
    view.setBigUint64(at, BigInt(address), true);
    view.setUint32(at + 8, length, true);
    view.setUint16(at + 12, flags, true);
    view.setUint16(at + 14, next, true);
  }

  #set(part: number, value: number): void {
    this.ram.view.setUint16(this.#base + part, value, true);
  }

  #get(part: number): number {
    return this.ram.view.getUint16(this.#base + part, true);
  }
}

export interface Descriptor {
  readonly address: number;
  readonly length: number;
  readonly flags: number;
  readonly next: number;
}
