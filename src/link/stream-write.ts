/**
 * Puts frames into a stream socket, each behind its length: many per system call, none copied.
 *
 * A batch is one sendmsg whose iovecs are a prefix and then the frame's own, frame after frame. The
 * socket may take any number of octets. A frame that it took in part counts as not taken: the
 * caller offers it again, unchanged and first of all, and the rest of it goes out before anything
 * else. So no octet is ever kept here, but for one case: when the engine fails, the rest of such a
 * frame is copied out of its memory, for the next engine has no such frame, and the stream must not
 * end in the middle of one.
 */

import { IOV_SIZE } from "../../wasm/abi.ts";
import { Block } from "../sys/block.ts";
import { EAGAIN, EINTR, ENOBUFS } from "../sys/errno.ts";
import type { Libc } from "../sys/libc.ts";
import {
  MSG_NOSIGNAL,
  MSGHDR_IOV_COUNT_OFFSET,
  MSGHDR_IOV_OFFSET,
  MSGHDR_SIZE,
} from "../sys/linux.ts";
import { iovecBase, iovecLength, txIovecCount, txIovecs, txSize } from "./frames.ts";
import type { LinkMemory } from "./link.ts";
import { FRAME_SIZE_MAX, FRAME_SIZE_MIN, PREFIX_SIZE } from "./stream-read.ts";

const SIZE_32 = 2 ** 32;
/** IOV_MAX of Linux. */
const IOVEC_COUNT_MAX = 1024;
const BATCH_FRAMES = 256;

export class FrameWriter {
  /** Frames that no peer would have: too short, too long, or not in engine memory. */
  refused = 0;
  readonly #sys: Libc;
  readonly #message: Block;
  readonly #iovecs: Block;
  readonly #words: Uint32Array;
  readonly #prefixes: Block;
  /** Octets of each frame of the batch that are to be sent, prefix included; 0 = refused. */
  readonly #sizes = new Uint32Array(BATCH_FRAMES);
  #iovecCount = 0;
  /** Octets of the next frame, prefix included, that the socket has taken already. */
  #written = 0;
  #total = 0;
  /** Of the batch that was laid out last: octets that the socket has taken. */
  #taken = 0;
  /** The rest of a frame of an engine that has failed, and what of it is still to be sent. */
  #rest: Block | undefined;
  #restLeft = 0;

  constructor(sys: Libc) {
    this.#sys = sys;
    this.#iovecs = new Block(sys, IOVEC_COUNT_MAX * IOV_SIZE);
    this.#words = new Uint32Array(this.#iovecs.bytes.buffer);
    this.#prefixes = new Block(sys, BATCH_FRAMES * PREFIX_SIZE);
    this.#message = new Block(sys, MSGHDR_SIZE);
    this.#message.setU64(MSGHDR_IOV_OFFSET, this.#iovecs.address);
  }

  /** Whether a frame is out in part. */
  get inFrame(): boolean {
    return this.#written > 0 || this.#restLeft > 0;
  }

  /** Forgets the frame that is out in part: another peer follows. */
  reset(): void {
    this.#written = 0;
    this.#restLeft = 0;
  }

  /** The engine has failed, and its memory goes: keeps the rest of a frame that is out in part. */
  handOver(): void {
    if (this.#written === 0) return;
    this.#written = 0;
    this.#rest ??= new Block(this.#sys, FRAME_SIZE_MAX + PREFIX_SIZE);
    this.#restLeft = this.#copyRest(this.#rest);
  }

  /**
   * Sends frames [first, count) until the socket is full.
   * @returns how many were taken, refused ones included; or the negative errno of a send that took
   *   nothing and failed otherwise than by being full
   */
  write(fd: number, memory: LinkMemory, first: number, count: number): number {
    if (this.#restLeft > 0) {
      const n = this.#sendRest(fd);
      if (n < 0 || this.#restLeft > 0) return n;
    }
    let next = first;
    while (next < count) {
      const frames = this.#lay(memory, next, count);
      const n = this.#total === 0 ? 0 : this.#send(fd);
      if (n < 0) return next > first ? next - first : n;
      next += this.#settle(frames, n);
      if (n < this.#total) break;
    }
    return next - first;
  }

  /** Lays out a batch from frame `first` on; returns how many frames it has. */
  #lay(memory: LinkMemory, first: number, count: number): number {
    this.#iovecCount = 0;
    this.#total = 0;
    const end = Math.min(count, first + BATCH_FRAMES);
    let i = first;
    for (; i < end; i += 1) {
      if (this.#iovecCount + 1 + txIovecCount(memory, i) > IOVEC_COUNT_MAX) break;
      const size = this.#append(memory, i, i - first, i === first ? this.#written : 0);
      this.#sizes[i - first] = size;
      this.#total += size;
    }
    // A frame of more parts than a call can take is none that the engine makes.
    if (i === first) this.#sizes[0] = 0;
    return Math.max(i - first, 1);
  }

  /** Adds prefix and parts of a frame, less `skip` octets. Octets added, 0 = refused. */
  #append(memory: LinkMemory, i: number, slot: number, skip: number): number {
    const size = txSize(memory, i);
    if (size < FRAME_SIZE_MIN || size > FRAME_SIZE_MAX) return 0;
    const before = this.#iovecCount;
    let left = skip;
    this.#prefixes.view.setUint32(slot * PREFIX_SIZE, size, false);
    if (left < PREFIX_SIZE) {
      this.#push(this.#prefixes.address + slot * PREFIX_SIZE + left, PREFIX_SIZE - left);
      left = 0;
    } else left -= PREFIX_SIZE;
    const start = txIovecs(memory, i);
    const end = start + txIovecCount(memory, i) * IOV_SIZE;
    for (let iovec = start; iovec < end; iovec += IOV_SIZE) {
      const base = iovecBase(memory, iovec);
      const length = iovecLength(memory, iovec);
      const offset = base - memory.base;
      if (offset < 0 || offset + length > memory.buffer.byteLength) {
        this.#iovecCount = before;
        return 0;
      }
      const skipped = Math.min(left, length);
      left -= skipped;
      if (skipped < length) this.#push(base + skipped, length - skipped);
    }
    return PREFIX_SIZE + size - skip;
  }

  #push(address: number, length: number): void {
    const word = (this.#iovecCount * IOV_SIZE) >>> 2;
    const high = Math.floor(address / SIZE_32);
    this.#words[word] = address - high * SIZE_32;
    this.#words[word + 1] = high;
    this.#words[word + 2] = length;
    this.#words[word + 3] = 0;
    this.#iovecCount += 1;
  }

  /** Octets taken, 0 = the socket is full, or the negative errno. */
  #send(fd: number): number {
    this.#message.setI32(MSGHDR_IOV_COUNT_OFFSET, this.#iovecCount);
    for (;;) {
      const n = this.#sys.sendmsg(fd, this.#message.address, MSG_NOSIGNAL);
      if (n === -EAGAIN || n === -ENOBUFS) return 0;
      if (n !== -EINTR) return n;
    }
  }

  /** Zero, or the negative errno. */
  #sendRest(fd: number): number {
    const rest = this.#rest;
    if (rest === undefined) return 0;
    this.#iovecCount = 0;
    this.#push(rest.address + rest.bytes.length - this.#restLeft, this.#restLeft);
    const n = this.#send(fd);
    if (n > 0) this.#restLeft -= n;
    return Math.min(n, 0);
  }

  /** Copies what is left of the frame that is out in part to the block's end; how much it is. */
  #copyRest(rest: Block): number {
    let size = 0;
    for (let i = 0, at = 0; i < this.#sizes.length; i += 1) {
      at += this.#sizes[i] ?? 0;
      if (at > this.#taken) {
        size = at - this.#taken;
        break;
      }
    }
    let skip = this.#taken;
    let to = rest.bytes.length - size;
    for (let i = 0; i < this.#iovecCount && to < rest.bytes.length; i += 1) {
      const word = (i * IOV_SIZE) >>> 2;
      const length = this.#words[word + 2] ?? 0;
      const skipped = Math.min(skip, length);
      skip -= skipped;
      const octets = Math.min(length - skipped, rest.bytes.length - to);
      if (octets === 0) continue;
      const from = (this.#words[word] ?? 0) + (this.#words[word + 1] ?? 0) * SIZE_32 + skipped;
      this.#sys.memcpy(rest.address + to, from, octets);
      to += octets;
    }
    return size;
  }

  /** Spreads the octets that were taken over the batch; returns how many frames they finish. */
  #settle(frames: number, taken: number): number {
    this.#taken = taken;
    let left = taken;
    for (let i = 0; i < frames; i += 1) {
      const size = this.#sizes[i] ?? 0;
      if (size > left) {
        this.#written += left;
        return i;
      }
      if (size === 0) this.refused += 1;
      left -= size;
      this.#written = 0;
    }
    return frames;
  }
}
