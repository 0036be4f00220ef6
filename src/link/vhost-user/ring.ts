/**
 * A split virtqueue, from the device's side: takes chains of buffers that the driver has made
 * available, gives them back used, and says when the driver is to be called.
 *
 * Fences. The driver runs at the same time on another processor. Four orders have to hold; each
 * field is accessed atomically (`ring-memory.ts`), so they are the order of the lines here:
 *
 *     take      available index, then the heads and descriptors it makes valid
 *     publish   what was written to the buffers, then their used elements, then the used index
 *     publish   the used index, then the driver's wish to be called: else both could look before
 *               the other has written, and the call is lost
 *     listen    our wish to be kicked, then the available index once more: the same the other way
 *
 * Nothing of the driver's is believed. A chain has as many descriptors as the ring at most, so a
 * loop ends; the same holds for an indirect table, of up to PARTS_MAX descriptors, which is copied
 * before it is read. A ring that
 * breaks the rules is broken for good: `problem` says how, nothing is taken from it any more, and
 * only the front end can begin anew with it.
 *
 * Source: virtio 1.2 §2.7.
 */
import { Block } from "../../sys/block.ts";
import type { Machine } from "./machine.ts";
import type { GuestMemory } from "./regions.ts";
import { DESCRIPTOR_SIZE, type RingMemory } from "./ring-memory.ts";

/** Parts of one chain, or of all chains of a frame; a driver needs some forty. */
export const PARTS_MAX = 1024;
const INDEX_MASK = 0xffff;

const FLAG_NEXT = 1;
const FLAG_WRITE = 2;
const FLAG_INDIRECT = 4;
/** The driver wants no call; we want no kick. */
const NO_CALL = 1;
const NO_KICK = 1;

/** Buffers of one frame, as the guest's addresses. */
export class Parts {
  count = 0;
  octets = 0;
  readonly addresses = new Float64Array(PARTS_MAX);
  readonly lengths = new Uint32Array(PARTS_MAX);

  clear(): void {
    this.count = 0;
    this.octets = 0;
  }

  /** False where there is no room for another one. */
  add(address: number, length: number): boolean {
    if (this.count === PARTS_MAX) return false;
    this.addresses[this.count] = address;
    this.lengths[this.count] = length;
    this.count += 1;
    this.octets += length;
    return true;
  }
}

export interface RingOptions {
  /** Entries, a power of two up to 32768. */
  readonly size: number;
  /** Next entry of the available ring. */
  readonly base: number;
  /** Buffers are there for us to write to, or else to read. */
  readonly isWritable: boolean;
  readonly hasEventIndex: boolean;
  readonly hasIndirect: boolean;
  /** Guest address of the used ring, where writing to it goes into the log; -1 = it does not. */
  readonly log: number;
}

export class Ring {
  /** What the driver did wrong; empty: nothing yet. */
  problem = "";
  readonly size: number;
  readonly #memory: RingMemory;
  readonly #guest: GuestMemory;
  readonly #options: RingOptions;
  readonly #mask: number;
  /** A copy of an indirect table. */
  readonly #table: Block;
  #next: number;
  /** Chains that were taken and not given back: the last ones before `next`. */
  #held = 0;
  /** Available index as last read: what is before it need not be read again. */
  #available: number;
  #used: number;
  /** Used index when the driver was last called, or could have been. */
  #called: number;
  #mayHaveMissed = true;
  #isListening = true;

  constructor(sys: Machine, guest: GuestMemory, memory: RingMemory, options: RingOptions) {
    this.size = options.size;
    this.#memory = memory;
    this.#guest = guest;
    this.#options = options;
    this.#mask = options.size - 1;
    this.#table = new Block(sys, PARTS_MAX * DESCRIPTOR_SIZE);
    this.#next = options.base & INDEX_MASK;
    this.#available = this.#next;
    this.#used = memory.usedIndex();
    this.#called = this.#used;
    this.listen();
  }

  /** Next entry of the available ring, for whoever takes over. */
  get next(): number {
    return this.#next;
  }

  /** Chains that can be taken. */
  get count(): number {
    if (this.#available === this.#next) this.#look();
    return (this.#available - this.#next) & INDEX_MASK;
  }

  /**
   * Takes the next chain: its buffers are added to `parts`.
   * @returns its head; -1 where there is none, or the ring is broken
   */
  take(parts: Parts): number {
    if (this.problem !== "" || this.count === 0) return -1;
    const head = this.#memory.head(this.#next & this.#mask);
    if (!this.#gather(head, parts) || this.#hasFailed()) return -1;
    this.#next = (this.#next + 1) & INDEX_MASK;
    this.#held += 1;
    return head;
  }

  /** Makes the last `count` chains available again, none of which has been given back. */
  untake(count: number): void {
    this.#next = (this.#next - count) & INDEX_MASK;
    this.#held -= count;
  }

  /**
   * Whoever took chains is there no longer. Buffers to write to are available again; those that
   * were to be read are given back unread, for what is in them may be what has ended their reader.
   * @returns how many were given back
   */
  release(): number {
    const count = this.#held;
    if (this.#options.isWritable) {
      this.untake(count);
      return 0;
    }
    for (let left = count; left > 0; left -= 1) {
      this.push(this.#memory.head((this.#next - left) & this.#mask), 0);
    }
    return count;
  }

  /** Gives a chain back, in the order they were taken. The driver sees it after `publish`. */
  push(head: number, written: number): void {
    const slot = this.#used & this.#mask;
    this.#memory.setUsed(slot, head, written);
    this.#mark(4 + slot * 8, 8);
    this.#used = (this.#used + 1) & INDEX_MASK;
    this.#held -= 1;
  }

  /** Somebody else has found what the driver did wrong. */
  fail(problem: string): void {
    this.#break(problem);
  }

  /** Shows the driver what was given back. True: it is to be called. */
  publish(): boolean {
    this.#memory.setUsedIndex(this.#used);
    this.#mark(2, 2);
    const before = this.#called;
    const count = (this.#used - before) & INDEX_MASK;
    if (this.#hasFailed() || (count === 0 && !this.#mayHaveMissed)) return false;
    if (!this.#options.hasEventIndex) {
      this.#called = this.#used;
      return (this.#memory.availableFlags() & NO_CALL) === 0;
    }
    // It wants to hear when the entry `event` has been used: is it among the new ones?
    const event = this.#memory.usedEvent();
    const isDue = ((this.#used - event - 1) & INDEX_MASK) < count;
    const mustCall = this.#mayHaveMissed || isDue;
    this.#mayHaveMissed = false;
    this.#called = this.#used;
    return mustCall;
  }

  /**
   * Asks for a kick when the driver makes more available than was seen, and looks once more.
   * @returns whether there is more already
   */
  listen(): boolean {
    const seen = this.#available;
    this.#isListening = true;
    if (this.#options.hasEventIndex) {
      this.#memory.setAvailableEvent(seen);
      this.#mark(4 + this.size * 8, 2);
    } else this.#setFlags(0);
    this.#look();
    return this.problem === "" && this.#available !== seen;
  }

  /** Kicks are not needed while we look ourselves; with event indexes they end by themselves. */
  ignore(): void {
    if (!this.#isListening) return;
    this.#isListening = false;
    if (!this.#options.hasEventIndex) this.#setFlags(NO_KICK);
  }

  #setFlags(flags: number): void {
    this.#memory.setUsedFlags(flags);
    this.#mark(0, 2);
  }

  #look(): void {
    const index = this.#memory.availableIndex();
    if (this.#hasFailed()) return;
    const count = (index - this.#next) & INDEX_MASK;
    if (count > this.size) this.#break(`${count} entries available in a ring of ${this.size}`);
    else this.#available = index;
  }

  /** Walks a chain of the ring, and of the one indirect table it may end in. */
  #gather(head: number, parts: Parts): boolean {
    let at = head;
    for (let i = 0; i < this.size; i += 1) {
      if (at >= this.size) return this.#break(`descriptor ${at} in a ring of ${this.size}`);
      const address = addressOf(this.#memory.descriptor(at, 0), this.#memory.descriptor(at, 1));
      const length = this.#memory.descriptor(at, 2);
      const word = this.#memory.descriptor(at, 3);
      const flags = word & 0xffff;
      if ((flags & FLAG_INDIRECT) !== 0) return this.#indirect(address, length, flags, parts);
      if (!this.#add(address, length, flags, parts)) return false;
      if ((flags & FLAG_NEXT) === 0) return true;
      at = word >>> 16;
    }
    return this.#break(`a chain of more than ${this.size} descriptors`);
  }

  #indirect(address: number, length: number, flags: number, parts: Parts): boolean {
    const count = length / DESCRIPTOR_SIZE;
    if (!this.#options.hasIndirect || (flags & FLAG_NEXT) !== 0) {
      return this.#break("an indirect table that is not allowed there");
    }
    if (!Number.isInteger(count) || count === 0 || length > this.#table.bytes.length) {
      return this.#break(`an indirect table of ${length} octets`);
    }
    if (!this.#guest.read(address, length, this.#table.address)) {
      return this.#break("an indirect table outside guest memory");
    }
    const { view } = this.#table;
    let at = 0;
    for (let i = 0; i < count; i += 1) {
      if (at >= count) return this.#break(`descriptor ${at} in an indirect table of ${count}`);
      const place = at * DESCRIPTOR_SIZE;
      const own = view.getUint16(place + 12, true);
      if ((own & FLAG_INDIRECT) !== 0) return this.#break("an indirect table in another one");
      const low = view.getUint32(place, true);
      const part = addressOf(low, view.getUint32(place + 4, true));
      if (!this.#add(part, view.getUint32(place + 8, true), own, parts)) return false;
      if ((own & FLAG_NEXT) === 0) return true;
      at = view.getUint16(place + 14, true);
    }
    return this.#break(`a chain of more than ${count} descriptors in an indirect table`);
  }

  #add(address: number, length: number, flags: number, parts: Parts): boolean {
    if (((flags & FLAG_WRITE) !== 0) !== this.#options.isWritable) {
      return this.#break(this.#options.isWritable ? "a buffer to read" : "a buffer to write");
    }
    if (length === 0 || parts.add(address, length)) return true;
    return this.#break(`a frame of more than ${PARTS_MAX} buffers`);
  }

  #mark(offset: number, length: number): void {
    const { log } = this.#options;
    if (log >= 0) this.#guest.mark(log + offset, length);
  }

  #hasFailed(): boolean {
    if (this.#memory.hasFailed) this.#break("its memory is gone");
    return this.problem !== "";
  }

  /** The first problem is the one that is told. */
  #break(problem: string): false {
    if (this.problem === "") this.problem = problem;
    this.#available = this.#next;
    return false;
  }
}

function addressOf(low: number, high: number): number {
  return low + high * 2 ** 32;
}
