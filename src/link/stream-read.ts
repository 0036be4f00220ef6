/**
 * Takes length-prefixed frames out of a stream socket: many per system call, none copied.
 *
 * The slots of engine memory serve as one buffer. What a receive brings is described frame by
 * frame where it lies; only a frame whose rest is still to come is moved, to the front, and only
 * when the room behind it gets scarce. Frames beyond what was asked for wait in place for the next
 * call.
 *
 * Lengths are read once, as soon as they have come, and kept here: where the next frame begins is
 * known whatever becomes of the engine and its memory, so a stream outlives them (`handOver`).
 */

import { RX_SLOT_COUNT, RX_SLOT_SIZE } from "../../wasm/abi.ts";
import type { Libc } from "../sys/libc.ts";
import { writeRxDescriptor } from "./frames.ts";
import type { LinkMemory } from "./link.ts";

/** Length of a frame, big-endian, in front of it. */
export const PREFIX_SIZE = 4;
/** An Ethernet header. */
export const FRAME_SIZE_MIN = 14;
/** What a slot holds, and the most that QEMU sends or takes (NET_BUFSIZE). */
export const FRAME_SIZE_MAX = RX_SLOT_SIZE;

/** Octets of engine memory used: more would only spread the frames over the processor's caches. */
const WINDOW_SIZE = 524_288;
/** Less room than this, and the incomplete frame moves to the front. Holds any whole frame. */
const ROOM_MIN = 131_072;
/** Frames that one receive may bring the end of. */
const FRAMES_MAX = Math.ceil(WINDOW_SIZE / (PREFIX_SIZE + FRAME_SIZE_MIN)) + 1;

export class FrameReader {
  /** Frames that had come and were left to the engine that failed. */
  lost = 0;
  #memory: LinkMemory | undefined;
  #view = new DataView(new ArrayBuffer(0));
  /** Whole frames that were received: where the next one to be handed out is, and how many. */
  readonly #frames = new Uint32Array(2 * FRAMES_MAX);
  #next = 0;
  #count = 0;
  /** A frame that has come in part, prefix included, relative to the first slot. */
  #start = 0;
  #end = 0;
  /** Its length, once the prefix is there; 0 = not yet. */
  #length = 0;
  /** What of its prefix is there until then. */
  #prefix = 0;
  #prefixSize = 0;
  /** Octets that are still to come of a frame that nobody wants any more. */
  #skip = 0;
  #nextBad = -1;
  #badLength = -1;

  /** Forgets everything: another peer follows. */
  reset(): void {
    this.#forget();
    this.#length = 0;
    this.#prefixSize = 0;
    this.#skip = 0;
    this.#nextBad = -1;
    this.#badLength = -1;
  }

  /**
   * The engine has failed. What it had not been handed is left out, and so is the rest of a frame
   * that has come in part: the next one begins where its length says.
   */
  handOver(): void {
    this.lost += this.#count - this.#next;
    if (this.#length > 0) {
      this.lost += 1;
      this.#skip = this.#start + PREFIX_SIZE + this.#length - this.#end;
      this.#length = 0;
    }
    this.#forget();
  }

  /** The length that no frame can have and that ended the stream; -1 = none was seen. */
  get badLength(): number {
    return this.#badLength;
  }

  /** Whether a frame has begun whose rest is still to come. */
  get inFrame(): boolean {
    return this.#length > 0 || this.#prefixSize > 0 || this.#skip > 0;
  }

  /** Describes up to `max` frames that are there as a whole. Stops at a bad length. */
  next(memory: LinkMemory, max: number): number {
    const base = memory.rxBuffers;
    const count = Math.min(max, RX_SLOT_COUNT);
    let n = 0;
    while (n < count && this.#next < this.#count) {
      const at = 2 * this.#next;
      writeRxDescriptor(memory, n, base + (this.#frames[at] ?? 0), this.#frames[at + 1] ?? 0);
      this.#next += 1;
      n += 1;
    }
    if (n < count) this.#badLength = this.#nextBad;
    return n;
  }

  /** One receive, for when `next` finds no more. As recv: octets, 0 at the end, negative errno. */
  fill(sys: Libc, fd: number, memory: LinkMemory): number {
    if (this.#start === this.#end) {
      this.#start = 0;
      this.#end = 0;
    } else if (WINDOW_SIZE - this.#end < ROOM_MIN) {
      const from = memory.rxBuffers + this.#start;
      const octets = new Uint8Array(memory.buffer);
      octets.copyWithin(memory.rxBuffers, from, memory.rxBuffers + this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    const room = WINDOW_SIZE - this.#end;
    const n = sys.recv(fd, memory.base + memory.rxBuffers + this.#end, room, 0);
    if (n > 0) this.#find(memory, n);
    return n;
  }

  #forget(): void {
    this.#next = 0;
    this.#count = 0;
    this.#start = 0;
    this.#end = 0;
  }

  /** Notes which frames are whole, now that so many octets have come. */
  #find(memory: LinkMemory, octets: number): void {
    const view = this.#viewOf(memory);
    const base = memory.rxBuffers;
    const end = this.#end + octets;
    let fresh = this.#end;
    if (this.#skip > 0) {
      const skipped = Math.min(this.#skip, octets);
      this.#skip -= skipped;
      fresh += skipped;
      this.#start = fresh;
    }
    this.#end = end;
    this.#next = 0;
    this.#count = 0;
    for (;;) {
      if (this.#length === 0 && !this.#readPrefix(view, base, fresh, end)) return;
      const frame = this.#start + PREFIX_SIZE;
      if (frame + this.#length > end) return;
      this.#frames[2 * this.#count] = frame;
      this.#frames[2 * this.#count + 1] = this.#length;
      this.#count += 1;
      this.#start = frame + this.#length;
      fresh = this.#start;
      this.#length = 0;
    }
  }

  /** Reads what has come of a prefix, from `fresh` on; false: no frame begins there by now. */
  #readPrefix(view: DataView, base: number, fresh: number, end: number): boolean {
    if (this.#nextBad >= 0) return false;
    let at = fresh;
    if (this.#prefixSize === 0 && end - at >= PREFIX_SIZE) {
      this.#prefix = view.getUint32(base + at, false);
      at += PREFIX_SIZE;
    } else {
      for (; this.#prefixSize < PREFIX_SIZE && at < end; at += 1) {
        this.#prefix = ((this.#prefix << 8) | view.getUint8(base + at)) >>> 0;
        this.#prefixSize += 1;
      }
      if (this.#prefixSize < PREFIX_SIZE) return false;
    }
    this.#prefixSize = 0;
    // Below 0 where the engine before has had a part of the prefix.
    this.#start = at - PREFIX_SIZE;
    const length = this.#prefix;
    const isSound = length >= FRAME_SIZE_MIN && length <= FRAME_SIZE_MAX;
    if (isSound) this.#length = length;
    else this.#nextBad = length;
    return isSound;
  }

  #viewOf(memory: LinkMemory): DataView {
    if (this.#memory !== memory) {
      this.#memory = memory;
      this.#view = new DataView(memory.buffer);
    }
    return this.#view;
  }
}
