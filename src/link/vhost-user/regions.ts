/**
 * Guest memory as the back end has it: regions that the front end has sent, each mapped here.
 *
 * Three kinds of addresses meet: the guest's (in descriptors), the front end's (of rings, in
 * messages) and this process'. Nothing is touched before its whole range has been found in a
 * region; a range may reach from one region into the next one.
 *
 * A region that can shrink is copied by system calls only (`sys/foreign-memory.ts`).
 */

import { IOV_SIZE } from "../../../wasm/abi.ts";
import { Block } from "../../sys/block.ts";
import { EEXIST, EINVAL, ENOENT, ENOSPC } from "../../sys/errno.ts";
import { ForeignMemory } from "../../sys/foreign-memory.ts";
import type { LinkLoans } from "../link.ts";
import type { DirtyLog } from "./dirty-log.ts";
import type { Machine } from "./machine.ts";
import type { RegionLayout } from "./messages.ts";

/** Regions at once, by table or one by one: memory that is plugged in takes one each time. */
export const REGION_COUNT_MAX = 64;

interface Region extends RegionLayout {
  readonly end: number;
  readonly memory: ForeignMemory;
}

/** A range of the front end's addresses, here. */
export interface Place {
  readonly address: number;
  readonly canShrink: boolean;
}

export class GuestMemory {
  readonly #sys: Machine;
  readonly #pid: number;
  /** Two struct iovec: ours, and the one in guest memory. */
  readonly #iovecs: Block;
  #regions: Region[] = [];
  /** Where the last range was. */
  #last: Region | undefined;
  #log: DirtyLog | undefined;
  #isLogging = false;

  constructor(sys: Machine) {
    this.#sys = sys;
    this.#pid = sys.getpid();
    this.#iovecs = new Block(sys, 2 * IOV_SIZE);
  }

  get count(): number {
    return this.#regions.length;
  }

  /** Whether some of it has to be copied by system calls. */
  get canShrink(): boolean {
    return this.#regions.some(({ memory }) => memory.canShrink);
  }

  /** Maps a region; the descriptor stays the caller's. Zero, or the negative errno. */
  add(layout: RegionLayout, fd: number): number {
    const { guestAddress, userAddress, size, offset } = layout;
    const ends = [guestAddress + size, userAddress + size, offset + size];
    if (size <= 0 || !ends.every(Number.isSafeInteger)) return -EINVAL;
    if (this.#regions.length >= REGION_COUNT_MAX) return -ENOSPC;
    if (this.#regions.some((other) => overlaps(layout, other))) return -EEXIST;
    const memory = ForeignMemory.map(this.#sys, fd, offset, size);
    if (typeof memory === "number") return memory;
    this.#regions.push({ ...layout, end: guestAddress + size, memory });
    return 0;
  }

  /** Unmaps the region of that place and size. Zero, or -ENOENT. */
  remove({ guestAddress, userAddress, size }: RegionLayout): number {
    const found = this.#regions.find(
      (each) =>
        each.guestAddress === guestAddress &&
        each.userAddress === userAddress &&
        each.size === size,
    );
    if (found === undefined) return -ENOENT;
    this.#regions = this.#regions.filter((each) => each !== found);
    this.#last = undefined;
    found.memory.close();
    return 0;
  }

  /** Unmaps all regions. */
  clear(): void {
    for (const { memory } of this.#regions) memory.close();
    this.#regions = [];
    this.#last = undefined;
  }

  /** Idempotent. */
  close(): void {
    this.clear();
    this.setLog(undefined);
  }

  /** Takes the log of written pages in place of the one before. */
  setLog(log: DirtyLog | undefined): void {
    this.#log?.close();
    this.#log = log;
  }

  /** Whether what is written goes into the log. */
  setLogging(on: boolean): void {
    this.#isLogging = on;
  }

  /** Where the front end's range lies here, as a whole in one region. */
  place(userAddress: number, size: number): Place | undefined {
    for (const region of this.#regions) {
      const offset = userAddress - region.userAddress;
      if (offset >= 0 && offset + size <= region.size) {
        return {
          address: region.memory.address + offset,
          canShrink: region.memory.canShrink,
        };
      }
    }
    return undefined;
  }

  /** Copies from guest memory; false where a part of the range is not there. */
  read(guestAddress: number, length: number, to: number): boolean {
    return this.#copy(guestAddress, length, to, false);
  }

  /** Copies to guest memory and notes in the log that it was written; false as above. */
  write(guestAddress: number, length: number, from: number): boolean {
    if (!this.#copy(guestAddress, length, from, true)) return false;
    if (this.#isLogging) this.#log?.mark(guestAddress, length);
    return true;
  }

  /**
   * Says where a range is in this process, for frame `i`.
   * @returns false where that is not possible: part of it is not there or can shrink, or there is
   *   no room to note it
   */
  lend(guestAddress: number, length: number, loans: LinkLoans, i: number): boolean {
    let at = guestAddress;
    const end = guestAddress + length;
    while (at < end) {
      const region = this.#find(at);
      if (region === undefined || region.memory.canShrink) return false;
      const part = Math.min(end, region.end) - at;
      if (!loans.add(i, region.memory.address + (at - region.guestAddress), part)) return false;
      at += part;
    }
    return true;
  }

  /** Notes that something else has written there. */
  mark(guestAddress: number, length: number): void {
    if (this.#isLogging) this.#log?.mark(guestAddress, length);
  }

  #copy(guestAddress: number, length: number, own: number, isWrite: boolean): boolean {
    let at = guestAddress;
    let mine = own;
    let left = length;
    while (left > 0) {
      const region = this.#find(at);
      if (region === undefined) return false;
      const part = Math.min(left, region.end - at);
      const there = region.memory.address + (at - region.guestAddress);
      if (!this.#move(region, there, mine, part, isWrite)) return false;
      at += part;
      mine += part;
      left -= part;
    }
    return true;
  }

  #move(region: Region, there: number, mine: number, length: number, isWrite: boolean): boolean {
    const sys = this.#sys;
    if (!region.memory.canShrink) {
      if (isWrite) sys.memcpy(there, mine, length);
      else sys.memcpy(mine, there, length);
      return true;
    }
    const iovecs = this.#iovecs;
    iovecs.setU64(0, mine);
    iovecs.setU64(8, length);
    iovecs.setU64(16, there);
    iovecs.setU64(24, length);
    const [ours, theirs] = [iovecs.address, iovecs.address + IOV_SIZE];
    const copy = isWrite ? sys.process_vm_writev : sys.process_vm_readv;
    return copy(this.#pid, ours, 1, theirs, 1) === length;
  }

  #find(guestAddress: number): Region | undefined {
    const last = this.#last;
    if (last !== undefined && guestAddress >= last.guestAddress && guestAddress < last.end) {
      return last;
    }
    for (const region of this.#regions) {
      if (guestAddress >= region.guestAddress && guestAddress < region.end) {
        this.#last = region;
        return region;
      }
    }
    return undefined;
  }
}

function overlaps(a: RegionLayout, b: RegionLayout): boolean {
  const meets = (x: number, y: number): boolean => x < y + b.size && y < x + a.size;
  return meets(a.guestAddress, b.guestAddress) || meets(a.userAddress, b.userAddress);
}
