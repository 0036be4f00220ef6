/**
 * The three parts of a split ring as they lie in guest memory, field by field.
 *
 *     descriptors   {address u64, length u32, flags u16, next u16} for each
 *     available     flags u16, index u16, head u16 for each, used event u16     the driver writes
 *     used          flags u16, index u16, {head u32, length u32} for each,
 *                   available event u16                                         we write
 *
 * Every field is one atomic access of its own size, for two reasons. The driver runs meanwhile, and
 * may change a field between two readings: what is judged has to be what is then used, so each
 * field is read once into a number. And the order of accesses is what rings are made of: `Atomics`
 * are sequentially consistent, on memory that is not shared in JavaScript's sense too, so all that
 * came before an access is done before it, and all that comes later after. `ring.ts` says where
 * that is needed; `test/link/vhost-user/ring-memory.test.ts` sees that it is so.
 *
 * Ranges that can shrink are read and written by system calls, which are fences as well: the kernel
 * takes and gives back a lock in each.
 *
 * Source: virtio 1.2 §2.7.
 */

import { IOV_SIZE } from "../../../wasm/abi.ts";
import { Block } from "../../sys/block.ts";
import type { Machine } from "./machine.ts";
import type { Place } from "./regions.ts";

export const DESCRIPTOR_SIZE = 16;
const USED_ELEMENT_SIZE = 8;
/** In the block of a ring that is copied: behind two struct iovec. */
const VALUE_OFFSET = 2 * IOV_SIZE;
/** Flags and index, before the entries. */
const RING_HEADER_SIZE = 4;
const EVENT_SIZE = 2;

/** Octets of each part of a ring of `size` entries. */
export function ringSizes(size: number, hasEventIndex: boolean) {
  const event = hasEventIndex ? EVENT_SIZE : 0;
  return {
    descriptors: size * DESCRIPTOR_SIZE,
    available: RING_HEADER_SIZE + 2 * size + event,
    used: RING_HEADER_SIZE + USED_ELEMENT_SIZE * size + event,
  };
}

/** Where the parts are. */
export interface RingPlaces {
  readonly descriptors: Place;
  readonly available: Place;
  readonly used: Place;
}

/** Word `word` of 32 bits of descriptor `i`: its address in two halves, length, flags and next. */
export interface RingMemory {
  /** An access found no memory; what was read meanwhile means nothing. */
  readonly hasFailed: boolean;
  descriptor(i: number, word: number): number;
  availableFlags(): number;
  availableIndex(): number;
  head(slot: number): number;
  usedEvent(): number;
  usedIndex(): number;
  setUsedFlags(flags: number): void;
  setUsedIndex(index: number): void;
  setUsed(slot: number, head: number, length: number): void;
  setAvailableEvent(index: number): void;
}

/** Whether the parts are where fields of their sizes may be. */
export function isAligned({ descriptors, available, used }: RingPlaces): boolean {
  return descriptors.address % 16 === 0 && available.address % 2 === 0 && used.address % 4 === 0;
}

/** @param places aligned, each of the sizes of `ringSizes` */
export function openRingMemory(
  sys: Machine,
  places: RingPlaces,
  size: number,
  hasEventIndex: boolean,
): RingMemory {
  const { descriptors, available, used } = places;
  const isDirect = !descriptors.canShrink && !available.canShrink && !used.canShrink;
  return isDirect
    ? new DirectRing(sys, places, size, hasEventIndex)
    : new CopiedRing(sys, places, size);
}

/** In memory that cannot shrink. */
class DirectRing implements RingMemory {
  readonly hasFailed = false;
  readonly #descriptors: Uint32Array;
  readonly #available: Uint16Array;
  readonly #used: Uint16Array;
  readonly #elements: Uint32Array;
  readonly #usedEvent: number;
  readonly #availableEvent: number;

  constructor(sys: Machine, places: RingPlaces, size: number, hasEventIndex: boolean) {
    const sizes = ringSizes(size, hasEventIndex);
    const { descriptors, available, used } = places;
    this.#descriptors = new Uint32Array(sys.view(descriptors.address, sizes.descriptors));
    this.#available = new Uint16Array(sys.view(available.address, sizes.available));
    const buffer = sys.view(used.address, sizes.used);
    this.#used = new Uint16Array(buffer);
    this.#elements = new Uint32Array(buffer, 0, 1 + 2 * size);
    this.#usedEvent = 2 + size;
    this.#availableEvent = 2 + 4 * size;
  }

  descriptor(i: number, word: number): number {
    return Atomics.load(this.#descriptors, i * 4 + word);
  }

  availableFlags(): number {
    return Atomics.load(this.#available, 0);
  }

  availableIndex(): number {
    return Atomics.load(this.#available, 1);
  }

  head(slot: number): number {
    return Atomics.load(this.#available, 2 + slot);
  }

  usedEvent(): number {
    return Atomics.load(this.#available, this.#usedEvent);
  }

  usedIndex(): number {
    return Atomics.load(this.#used, 1);
  }

  setUsedFlags(flags: number): void {
    Atomics.store(this.#used, 0, flags);
  }

  setUsedIndex(index: number): void {
    Atomics.store(this.#used, 1, index);
  }

  setUsed(slot: number, head: number, length: number): void {
    // Ordered by the index, which is written later and atomically.
    this.#elements[1 + 2 * slot] = head;
    this.#elements[2 + 2 * slot] = length;
  }

  setAvailableEvent(index: number): void {
    Atomics.store(this.#used, this.#availableEvent, index);
  }
}

/** In memory that can shrink: every access is a system call that may fail. */
class CopiedRing implements RingMemory {
  hasFailed = false;
  readonly #sys: Machine;
  readonly #pid: number;
  readonly #places: RingPlaces;
  readonly #size: number;
  /** Two struct iovec, then what is copied. */
  readonly #block: Block;

  constructor(sys: Machine, places: RingPlaces, size: number) {
    this.#sys = sys;
    this.#pid = sys.getpid();
    this.#places = places;
    this.#size = size;
    this.#block = new Block(sys, VALUE_OFFSET + USED_ELEMENT_SIZE);
    this.#block.setU64(0, this.#block.address + VALUE_OFFSET);
  }

  descriptor(i: number, word: number): number {
    const at = this.#places.descriptors.address + i * DESCRIPTOR_SIZE + word * 4;
    return this.#read(at, 4) ? this.#block.view.getUint32(VALUE_OFFSET, true) : 0;
  }

  availableFlags(): number {
    return this.#read16(this.#places.available.address);
  }

  availableIndex(): number {
    return this.#read16(this.#places.available.address + 2);
  }

  head(slot: number): number {
    return this.#read16(this.#places.available.address + RING_HEADER_SIZE + 2 * slot);
  }

  usedEvent(): number {
    return this.#read16(this.#places.available.address + RING_HEADER_SIZE + 2 * this.#size);
  }

  usedIndex(): number {
    return this.#read16(this.#places.used.address + 2);
  }

  setUsedFlags(flags: number): void {
    this.#write16(this.#places.used.address, flags);
  }

  setUsedIndex(index: number): void {
    this.#write16(this.#places.used.address + 2, index);
  }

  setUsed(slot: number, head: number, length: number): void {
    this.#block.view.setUint32(VALUE_OFFSET, head, true);
    this.#block.view.setUint32(VALUE_OFFSET + 4, length, true);
    const at = this.#places.used.address + RING_HEADER_SIZE + slot * USED_ELEMENT_SIZE;
    this.#write(at, USED_ELEMENT_SIZE);
  }

  setAvailableEvent(index: number): void {
    const elements = this.#size * USED_ELEMENT_SIZE;
    this.#write16(this.#places.used.address + RING_HEADER_SIZE + elements, index);
  }

  #read16(at: number): number {
    return this.#read(at, 2) ? this.#block.view.getUint16(VALUE_OFFSET, true) : 0;
  }

  #write16(at: number, value: number): void {
    this.#block.view.setUint16(VALUE_OFFSET, value, true);
    this.#write(at, 2);
  }

  #read(at: number, length: number): boolean {
    const [ours, theirs] = this.#aim(at, length);
    const n = this.#sys.process_vm_readv(this.#pid, ours, 1, theirs, 1);
    if (n !== length) this.hasFailed = true;
    return n === length;
  }

  #write(at: number, length: number): void {
    const [ours, theirs] = this.#aim(at, length);
    const n = this.#sys.process_vm_writev(this.#pid, ours, 1, theirs, 1);
    if (n !== length) this.hasFailed = true;
  }

  #aim(at: number, length: number): readonly [ours: number, theirs: number] {
    const block = this.#block;
    block.setU64(8, length);
    block.setU64(IOV_SIZE, at);
    block.setU64(IOV_SIZE + 8, length);
    return [block.address, block.address + IOV_SIZE];
  }
}
