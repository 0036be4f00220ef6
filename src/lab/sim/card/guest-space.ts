/**
 * Memory of the modelled guest in which buffers lie: one range of the guest's addresses in two
 * files, so that a buffer may reach from one region into the next. Each octet has a state, and the
 * device may touch only what it was given: read what is to be read, write what is to be written.
 */
import { FRAME_MAX } from "./card-plan.ts";
import type { MachineFile } from "./machine.ts";

/** Octets in states; "written" = to be written, and it has been. */
const [FREE, READABLE, WRITABLE, WRITTEN] = [0, 1, 2, 3];

/** Room for the frames of each direction. */
export const ARENA_SIZE = 8 * FRAME_MAX;
/** Where the guest, and the front end, have it; above the hole below 4 GiB. */
export const SPACE_AT = 0x1_0000_0000;
const SPACE_SIZE = 2 * ARENA_SIZE;

export interface Piece {
  /** From the beginning of the space on. */
  readonly at: number;
  readonly length: number;
}

export class GuestSpace {
  readonly files: readonly [MachineFile, MachineFile];
  readonly #seam: number;
  readonly #states = new Uint8Array(SPACE_SIZE);
  readonly #fault: (text: string) => void;

  /** @param seam where the second file begins */
  constructor(seam: number, isSealed: boolean, fault: (text: string) => void) {
    this.#seam = seam;
    this.#fault = fault;
    const file = (from: number, size: number): MachineFile => ({
      bytes: new Uint8Array(size),
      isSealed,
      check: (at, length, isWrite) => this.#touched(from + at, length, isWrite),
    });
    this.files = [file(0, seam), file(seam, SPACE_SIZE - seam)];
  }

  /** The device may read it from now on. */
  lend(at: number, octets: Uint8Array): void {
    this.#put(at, octets);
    this.#states.fill(READABLE, at, at + octets.length);
  }

  /** The device may write to it from now on, and read nothing. */
  offer({ at, length }: Piece): void {
    this.#states.fill(WRITABLE, at, at + length);
  }

  /** The device has given it back. */
  takeBack({ at, length }: Piece): void {
    this.#states.fill(FREE, at, at + length);
  }

  /** Octets that the device has written to pieces, which are to be the first `length`, all. */
  written(pieces: readonly Piece[], length: number): Uint8Array {
    const octets = new Uint8Array(length);
    let got = 0;
    for (const piece of pieces) {
      const part = Math.min(piece.length, length - got);
      octets.set(this.#get(piece.at, part), got);
      const states = this.#states.subarray(piece.at, piece.at + piece.length);
      if (states.subarray(0, part).includes(WRITABLE)) this.#fault("a buffer is not all written");
      if (states.subarray(part).includes(WRITTEN)) this.#fault("more is written than is told of");
      got += part;
    }
    if (got < length) this.#fault(`${length} octets are told of, in buffers of ${got}`);
    return octets;
  }

  /** Whether what was lent is what it was. */
  isUnchanged(at: number, octets: Uint8Array): boolean {
    return isSame(this.#get(at, octets.length), octets);
  }

  #touched(at: number, length: number, isWrite: boolean): void {
    const states = this.#states.subarray(at, at + length);
    if (isWrite) {
      const isFine = !states.includes(FREE) && !states.includes(READABLE);
      if (!isFine) this.#fault("the device writes where no buffer of its is");
      states.fill(WRITTEN);
    } else if (states.includes(FREE) || states.includes(WRITABLE) || states.includes(WRITTEN)) {
      this.#fault("the device reads where no buffer of its is");
    }
  }

  #put(at: number, octets: Uint8Array): void {
    const [low, high] = this.files;
    const below = Math.max(0, Math.min(octets.length, this.#seam - at));
    if (below > 0) low.bytes.set(octets.subarray(0, below), at);
    if (below < octets.length) high.bytes.set(octets.subarray(below), at + below - this.#seam);
  }

  #get(at: number, length: number): Uint8Array {
    const [low, high] = this.files;
    const octets = new Uint8Array(length);
    const below = Math.max(0, Math.min(length, this.#seam - at));
    if (below > 0) octets.set(low.bytes.subarray(at, at + below));
    if (below < length) {
      const from = at + below - this.#seam;
      octets.set(high.bytes.subarray(from, from + length - below), below);
    }
    return octets;
  }
}

export function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((octet, i) => octet === b[i]);
}

/** Gives out a part of the space round and round: what was given first comes back first. */
export class Arena {
  readonly #from: number;
  readonly #size: number;
  #next = 0;
  /** Where the oldest that is out begins. */
  #oldest = 0;
  #isEmpty = true;

  constructor(from: number, size: number) {
    this.#from = from;
    this.#size = size;
  }

  /** Place of a block; -1 = no room. */
  take(length: number): number {
    const at = this.#find(length);
    if (at < 0) return -1;
    if (this.#isEmpty) this.#oldest = at;
    this.#isEmpty = false;
    this.#next = at + length;
    return this.#from + at;
  }

  #find(length: number): number {
    const fitsBehind = this.#next + length <= this.#size;
    if (this.#isEmpty) return fitsBehind ? this.#next : 0;
    if (this.#next <= this.#oldest) return this.#next + length < this.#oldest ? this.#next : -1;
    if (fitsBehind) return this.#next;
    return length < this.#oldest ? 0 : -1;
  }

  /** All blocks up to this one have come back; `isLast` = no other is out. */
  release(at: number, length: number, isLast: boolean): void {
    this.#oldest = at + length - this.#from;
    this.#isEmpty = isLast;
  }
}
