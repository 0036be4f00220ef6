/**
 * Frames of the guest: out of its buffers, into the receive slots of engine memory.
 *
 * What the engine judges of a frame is copied before it does, so a guest that rewrites it meanwhile
 * changes nothing. The header in front is handed on as it is; where it has ten octets the frame is
 * moved behind the twelve that the engine reads.
 *
 * Most frames are copied as a whole, and their buffers go back at once. Of a large one that is
 * nothing but payload of a TCP connection (`payload-start`) the headers are copied, and the rest is
 * lent: sockets are given the places of the guest's buffers (`LinkLoans`). From the first of these
 * on the buffers of a batch go back in `release`, when its operations have been carried out; the
 * order in the used ring is the order in which they were taken. Nothing is held between two turns
 * of the loop, and so while messages of the front end change memory or stop the queue.
 */
import { RX_SLOT_COUNT, RX_SLOT_SIZE } from "../../../wasm/abi.ts";
import { assert } from "../../lib/assert.ts";
import { rxSlot, writeRxDescriptor } from "../frames.ts";
import type { LinkLoans, LinkMemory } from "../link.ts";
import { VNET_SIZE } from "./features.ts";
import { HEADERS_SIZE, payloadStart } from "./payload-start.ts";
import type { Queue } from "./queue.ts";
import type { GuestMemory } from "./regions.ts";
import { Parts, type Ring } from "./ring.ts";

/** Without an Ethernet header it is no frame. */
export const FRAME_SIZE_MIN = 14;
/** Frames that one call skips before the queue is broken. */
const SKIPPED_MAX = 1024;
/**
 * Octets of a batch beyond which the next one has half as many frames: small ones are sent on by
 * fewer calls the more there are (64 datagrams go by one), of large ones a socket takes only some.
 */
const BATCH_SIZE_MAX = 131_072;
/** From how many octets on a frame is lent: below, a copy costs less than what lending takes. */
const LENT_SIZE_MIN = 4096;

export class FromGuest {
  /** Frames that were too short or too long. */
  skipped = 0;
  /** How many frames the next batch is best made of. */
  batchFrames = RX_SLOT_COUNT;
  readonly #guest: GuestMemory;
  readonly #parts = new Parts();
  /** Of the chains that are to go back in `release`. */
  readonly #heads: number[] = [];
  #isLending = false;
  #memory: LinkMemory | undefined;
  #octets = new Uint8Array(0);

  constructor(guest: GuestMemory) {
    this.#guest = guest;
  }

  /** Buffers of the last batch wait for `release`. */
  get isHolding(): boolean {
    return this.#isLending;
  }

  /** Reads up to `max` frames. Fewer: there are no more, and the next one comes with a kick. */
  receive(queue: Queue, headerSize: 10 | 12, memory: LinkMemory, max: number): number {
    const { ring } = queue;
    if (ring === undefined || max <= 0) return 0;
    assert(!this.#isLending, "what was lent has been given back");
    const count = Math.min(max, RX_SLOT_COUNT);
    const parts = this.#parts;
    let frames = 0;
    let taken = 0;
    let octets = 0;
    ring.ignore();
    // Fewer than asked only where the ring was found empty: else nobody asks for the next kick.
    while (frames < count) {
      parts.clear();
      const head = ring.take(parts);
      if (head < 0) {
        if (ring.problem === "" && ring.listen()) continue;
        break;
      }
      taken += 1;
      if (this.#isFrame(headerSize)) {
        if (!this.#take(headerSize, memory, frames)) {
          ring.fail("a buffer outside guest memory");
          break;
        }
        frames += 1;
        octets += parts.octets;
      } else if (!this.#skip(ring, taken - frames)) break;
      if (this.#isLending) this.#heads.push(head);
      else ring.push(head, 0);
    }
    if (taken > this.#heads.length) queue.publish();
    this.batchFrames = octets > BATCH_SIZE_MAX ? RX_SLOT_COUNT / 2 : RX_SLOT_COUNT;
    return frames;
  }

  /** What is skipped is bounded: a guest may make bad ones available all the time. */
  #skip(ring: Ring, count: number): boolean {
    this.skipped += 1;
    if (count < SKIPPED_MAX) return true;
    ring.fail(`${count} frames at once that are too short or too long`);
    return false;
  }

  /** Gives back what was lent. */
  release(queue: Queue, { loans }: LinkMemory): void {
    const { ring } = queue;
    if (loans?.hasFaulted === true) ring?.fail("a buffer whose memory is gone");
    loans?.clear();
    this.#isLending = false;
    for (const head of this.#heads) ring?.push(head, 0);
    this.#heads.length = 0;
    queue.publish();
  }

  /** Nobody uses what was lent any more: the ring gives it back (`Queue.release`). */
  handOver(): void {
    this.#isLending = false;
    this.#heads.length = 0;
  }

  #isFrame(headerSize: number): boolean {
    const size = this.#parts.octets - headerSize;
    return size >= FRAME_SIZE_MIN && size <= RX_SLOT_SIZE - VNET_SIZE;
  }

  /** Copies or lends the frame that was taken; false: it is not in guest memory. */
  #take(headerSize: number, memory: LinkMemory, frame: number): boolean {
    const moved = VNET_SIZE - headerSize;
    const size = this.#parts.octets + moved;
    const { loans } = memory;
    const lent =
      loans !== undefined && size >= LENT_SIZE_MIN ? this.#lend(loans, moved, memory, frame) : 0;
    if (lent === 0 && !this.#copy(this.#parts.octets, moved, memory, frame)) return false;
    writeRxDescriptor(memory, frame, rxSlot(memory, frame), size, lent);
    return true;
  }

  /** Copies the first `octets` of the frame into its slot. */
  #copy(octets: number, moved: number, memory: LinkMemory, frame: number): boolean {
    const parts = this.#parts;
    const slot = rxSlot(memory, frame);
    let to = memory.base + slot + moved;
    let left = octets;
    for (let i = 0; i < parts.count && left > 0; i += 1) {
      const length = Math.min(parts.lengths[i] ?? 0, left);
      if (!this.#guest.read(parts.addresses[i] ?? 0, length, to)) return false;
      to += length;
      left -= length;
    }
    if (moved > 0) this.#octetsOf(memory).copyWithin(slot, slot + moved, slot + VNET_SIZE);
    return true;
  }

  /** Copies the headers and lends the rest; octets in the slot, 0 = all is to be copied. */
  #lend(loans: LinkLoans, moved: number, memory: LinkMemory, frame: number): number {
    if (!this.#copy(HEADERS_SIZE, moved, memory, frame)) return 0;
    const parts = this.#parts;
    const slot = rxSlot(memory, frame);
    const start = payloadStart(this.#octetsOf(memory), slot, parts.octets + moved);
    if (start === 0) return 0;
    loans.begin(frame, start);
    let skip = start - moved;
    for (let i = 0; i < parts.count; i += 1) {
      const length = parts.lengths[i] ?? 0;
      const skipped = Math.min(skip, length);
      skip -= skipped;
      const address = (parts.addresses[i] ?? 0) + skipped;
      if (!this.#guest.lend(address, length - skipped, loans, frame)) {
        loans.cancel(frame);
        return 0;
      }
    }
    this.#isLending = true;
    return start;
  }

  #octetsOf(memory: LinkMemory): Uint8Array {
    if (this.#memory !== memory) {
      this.#memory = memory;
      this.#octets = new Uint8Array(memory.buffer);
    }
    return this.#octets;
  }
}
