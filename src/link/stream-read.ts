/**
 * Takes length-prefixed frames out of a stream socket: many per system call, none copied.
 *
 * The slots of engine memory serve as one buffer. What a receive brings is described frame by
 * frame where it lies; only a frame whose rest is still to come is moved, to the front, and only
 * when the room behind it gets scarce. Frames beyond what was asked for wait in place for the next
 * call.
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

export class FrameReader {
  #memory: LinkMemory | undefined;
  #view = new DataView(new ArrayBuffer(0));
  /** What has been received and not been handed out, relative to the first slot. */
  #start = 0;
  #end = 0;
  #badLength = -1;

  /** Forgets everything: another peer follows. */
  reset(): void {
    this.#start = 0;
    this.#end = 0;
    this.#badLength = -1;
  }

  /** The length that no frame can have and that ended the stream; -1 = none was seen. */
  get badLength(): number {
    return this.#badLength;
  }

  /** Whether a frame has begun whose rest is still to come, as `next` left it. */
  get inFrame(): boolean {
    return this.#end > this.#start;
  }

  /** Describes up to `max` frames that are there as a whole. Stops at a bad length. */
  next(memory: LinkMemory, max: number): number {
    const view = this.#viewOf(memory);
    const base = memory.rxBuffers;
    const count = Math.min(max, RX_SLOT_COUNT);
    let n = 0;
    while (n < count && this.#end - this.#start >= PREFIX_SIZE) {
      const length = view.getUint32(base + this.#start, false);
      if (length < FRAME_SIZE_MIN || length > FRAME_SIZE_MAX) {
        this.#badLength = length;
        break;
      }
      const frame = this.#start + PREFIX_SIZE;
      if (frame + length > this.#end) break;
      writeRxDescriptor(memory, n, base + frame, length);
      this.#start = frame + length;
      n += 1;
    }
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
    if (n > 0) this.#end += n;
    return n;
  }

  #viewOf(memory: LinkMemory): DataView {
    if (this.#memory !== memory) {
      this.#memory = memory;
      this.#view = new DataView(memory.buffer);
    }
    return this.#view;
  }
}
