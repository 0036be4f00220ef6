/**
 * Payload that the guest has lent: frames of which only the headers are in their receive slots, the
 * rest is where the guest has it (`wasm/lent.ts`).
 *
 * The link notes by slot where the pieces lie, in order, as addresses of this process. The engine
 * lays out iovecs and lists copies as if all lay in the slot; here each of its addresses is taken
 * for what it stands for. A send whose pieces are more than one call takes becomes several, of
 * which the first short one is the last. Nothing is checked but that a piece is there: the link has
 * found every range in memory that cannot go away, and keeps it until `clear`.
 *
 * Where the kernel finds memory gone all the same (EFAULT), the flow gets that for an answer, whose
 * octets nobody has any more, and the link is told by `hasFaulted`.
 */
import * as abi from "../../wasm/abi.ts";
import type { Engine } from "../engine/engine.ts";
import { Block } from "../sys/block.ts";
import type { Libc } from "../sys/calls.ts";
import { EFAULT } from "../sys/errno.ts";

/** IOV_MAX of Linux. */
const IOVECS_MAX = 1024;
/** Of all frames of a batch; what finds no room is copied. */
const PIECES_MAX = 4096;
const SIZE_32 = 2 ** 32;

/** What is needed of system calls. */
export type LentCalls = Pick<Libc, "address" | "memcpy" | "sendmsg">;

export class LentFrames {
  /** Memory that was lent was not there. */
  hasFaulted = false;
  readonly #sys: LentCalls;
  readonly #words: Uint32Array;
  readonly #base: number;
  readonly #slots: number;
  readonly #descriptors: number;
  readonly #control: number;
  /** By slot: octets of the frame that are in it, 0 = all; its first piece, and the one behind. */
  readonly #from = new Uint32Array(abi.RX_SLOT_COUNT);
  readonly #first = new Uint16Array(abi.RX_SLOT_COUNT);
  readonly #end = new Uint16Array(abi.RX_SLOT_COUNT);
  readonly #addresses = new Float64Array(PIECES_MAX);
  readonly #lengths = new Uint32Array(PIECES_MAX);
  #pieces = 0;
  #frames = 0;
  /** What `#find` has found: an address, and how many octets are there in a row. */
  #address = 0;
  #room = 0;
  /** The piece it was, and the octets of its slot's pieces before it. */
  #lastSlot = -1;
  #lastPiece = 0;
  #lastBefore = 0;
  /** A struct msghdr and its iovecs. */
  readonly #message: Block;
  readonly #iovecs: Block;
  readonly #iovecWords: Uint32Array;
  /** iovecs laid out, their octets, and those that were sent before. */
  #count = 0;
  #octets = 0;
  #sent = 0;

  /** @param base address of engine memory in this process */
  constructor(sys: LentCalls, { words, bases }: Engine, base: number) {
    this.#sys = sys;
    this.#words = words;
    this.#base = base;
    this.#slots = bases.rxBuffers;
    this.#descriptors = bases.rxDescriptors;
    this.#control = bases.control;
    this.#message = new Block(sys, abi.MSG_SIZE);
    this.#iovecs = new Block(sys, IOVECS_MAX * abi.IOV_SIZE);
    this.#iovecWords = new Uint32Array(this.#iovecs.view.buffer);
    this.#message.setU64(abi.MSG_IOV_OFFSET, this.#iovecs.address);
  }

  /** Frames that are lent at the moment. */
  get count(): number {
    return this.#frames;
  }

  // -------------------------------------------------------------- what the link says

  /** The frame of `slot` is lent from octet `from` on; its pieces follow. */
  begin(slot: number, from: number): void {
    this.#from[slot] = from;
    this.#first[slot] = this.#pieces;
    this.#end[slot] = this.#pieces;
    this.#frames += 1;
  }

  /** The next octets of the frame of `slot`; false: there is no room to note them. */
  add(slot: number, address: number, length: number): boolean {
    if (this.#pieces === PIECES_MAX) return false;
    this.#addresses[this.#pieces] = address;
    this.#lengths[this.#pieces] = length;
    this.#pieces += 1;
    this.#end[slot] = this.#pieces;
    return true;
  }

  /** Copies the first `length` octets of what is lent of the frame of `slot` to an address. */
  read(slot: number, to: number, length: number): number {
    const end = (this.#from[slot] ?? 0) === 0 ? 0 : (this.#end[slot] ?? 0);
    let copied = 0;
    for (let piece = this.#first[slot] ?? 0; piece < end && copied < length; piece += 1) {
      const part = Math.min(this.#lengths[piece] ?? 0, length - copied);
      this.#sys.memcpy(to + copied, this.#addresses[piece] ?? 0, part);
      copied += part;
    }
    return copied;
  }

  /** The frame that was begun last is not lent after all. */
  cancel(slot: number): void {
    this.#from[slot] = 0;
    this.#pieces = this.#first[slot] ?? 0;
    this.#frames -= 1;
  }

  /** Nothing is lent any more. */
  clear(): void {
    if (this.#frames > 0) this.#from.fill(0);
    this.#pieces = 0;
    this.#frames = 0;
    this.#lastSlot = -1;
    this.hasFaulted = false;
  }

  // -------------------------------------------------------------- what becomes of it

  /** sendmsg of the struct msghdr at an engine offset. */
  send(fd: number, message: number, flags: number): number {
    if (this.#frames === 0) return this.#sys.sendmsg(fd, this.#base + message, flags);
    this.#sent = 0;
    const result = this.#gather(fd, message, flags);
    if (result === -EFAULT) this.hasFaulted = true;
    return this.#sent > 0 ? this.#sent : result;
  }

  /** Makes the copies that the engine has listed, in their order. */
  copy(): void {
    const words = this.#words;
    const count = words[(this.#control + abi.LENT_CONTROL_COUNT_OFFSET) >> 2] ?? 0;
    if (count === 0) return;
    let at = words[(this.#control + abi.LENT_CONTROL_BASE_OFFSET) >> 2] ?? 0;
    for (let i = 0; i < count; i += 1, at += abi.LENT_COPY_SIZE) {
      const to = words[(at + abi.LENT_COPY_TO_OFFSET) >> 2] ?? 0;
      const from = words[(at + abi.LENT_COPY_FROM_OFFSET) >> 2] ?? 0;
      this.#move(to, from, words[(at + abi.LENT_COPY_LENGTH_OFFSET) >> 2] ?? 0);
    }
  }

  /** Puts what is lent into the slots, as the engine still needs it and the guest gets it back. */
  settle(): void {
    for (let slot = 0; this.#frames > 0 && slot < abi.RX_SLOT_COUNT; slot += 1) {
      const from = this.#from[slot] ?? 0;
      if (from === 0) continue;
      const at = this.#slots + slot * abi.RX_SLOT_SIZE + from;
      let length = 0;
      for (let i = this.#first[slot] ?? 0; i < (this.#end[slot] ?? 0); i += 1) {
        length += this.#lengths[i] ?? 0;
      }
      this.#move(at, at, length);
      this.#from[slot] = 0;
      const descriptor = this.#descriptors + slot * abi.RX_DESCRIPTOR_SIZE;
      const word = (descriptor + abi.RX_DESCRIPTOR_LENGTH_OFFSET) >> 2;
      this.#words[word] = (this.#words[word] ?? 0) & abi.LENT_LENGTH_MASK;
    }
  }

  /** Copies between engine offsets, out of what is lent. */
  #move(to: number, from: number, length: number): void {
    for (let done = 0; done < length; ) {
      this.#find(from + done, length - done);
      if (this.#room === 0) return;
      this.#sys.memcpy(this.#base + to + done, this.#address, this.#room);
      done += this.#room;
    }
  }

  /** Lays out what the message refers to, and sends it. */
  #gather(fd: number, message: number, flags: number): number {
    const iovecs = this.#u64(message + abi.MSG_IOV_OFFSET) - this.#base;
    const end = iovecs + this.#u64(message + abi.MSG_IOV_COUNT_OFFSET) * abi.IOV_SIZE;
    this.#count = 0;
    this.#octets = 0;
    for (let at = iovecs; at < end; at += abi.IOV_SIZE) {
      const from = this.#u64(at + abi.IOV_BASE_OFFSET) - this.#base;
      const length = this.#u64(at + abi.IOV_LENGTH_OFFSET);
      for (let done = 0; done < length; done += this.#room) {
        this.#find(from + done, length - done);
        if (this.#room === 0) return -EFAULT;
        if (this.#count === IOVECS_MAX) {
          const wanted = this.#octets;
          const result = this.#flush(fd, flags);
          if (result < wanted) return result;
        }
        this.#push(this.#address, this.#room);
      }
    }
    return this.#flush(fd, flags);
  }

  #flush(fd: number, flags: number): number {
    this.#message.setU64(abi.MSG_IOV_COUNT_OFFSET, this.#count);
    const result = this.#sys.sendmsg(fd, this.#message.address, flags);
    if (result > 0) this.#sent += result;
    this.#count = 0;
    this.#octets = 0;
    return result;
  }

  #push(address: number, length: number): void {
    const word = this.#count << 2;
    const high = Math.floor(address / SIZE_32);
    this.#iovecWords[word] = address - high * SIZE_32;
    this.#iovecWords[word + 1] = high;
    this.#iovecWords[word + 2] = length;
    this.#iovecWords[word + 3] = 0;
    this.#count += 1;
    this.#octets += length;
  }

  /** Where that is which an engine offset stands for, and how much of `length` octets in a row. */
  #find(offset: number, length: number): void {
    const at = offset - this.#slots;
    const slot = at < 0 ? -1 : Math.floor(at / abi.RX_SLOT_SIZE);
    const from = this.#from[slot] ?? 0;
    const skip = at - slot * abi.RX_SLOT_SIZE - from;
    if (from === 0 || skip < 0) {
      this.#address = this.#base + offset;
      this.#room = from === 0 ? length : Math.min(length, -skip);
      return;
    }
    if (this.#lastSlot !== slot || skip < this.#lastBefore) {
      this.#lastSlot = slot;
      this.#lastPiece = this.#first[slot] ?? 0;
      this.#lastBefore = 0;
    }
    const end = this.#end[slot] ?? 0;
    while (this.#lastPiece < end) {
      const inPiece = skip - this.#lastBefore;
      const size = this.#lengths[this.#lastPiece] ?? 0;
      if (inPiece < size) {
        this.#address = (this.#addresses[this.#lastPiece] ?? 0) + inPiece;
        this.#room = Math.min(length, size - inPiece);
        return;
      }
      this.#lastBefore += size;
      this.#lastPiece += 1;
    }
    this.#room = 0;
  }

  #u64(offset: number): number {
    const word = offset >> 2;
    return (this.#words[word] ?? 0) + (this.#words[word + 1] ?? 0) * SIZE_32;
  }
}
