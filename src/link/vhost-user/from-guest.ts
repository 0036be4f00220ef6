/**
 * Frames of the guest: out of its buffers, into the receive slots of engine memory.
 *
 * A frame is copied as a whole before the engine judges any of it, so a guest that rewrites it
 * meanwhile changes nothing; its buffers go back at once. The header in front is handed on as it
 * is; where it has ten octets the frame is moved behind the twelve that the engine reads.
 */
import { RX_SLOT_COUNT, RX_SLOT_SIZE } from "../../../wasm/abi.ts";
import { rxSlot, writeRxDescriptor } from "../frames.ts";
import type { LinkMemory } from "../link.ts";
import type { Queue } from "./queue.ts";
import type { GuestMemory } from "./regions.ts";
import { Parts } from "./ring.ts";

/** What the engine reads in front of every frame. */
export const VNET_SIZE = 12;
/** Without an Ethernet header it is no frame. */
export const FRAME_SIZE_MIN = 14;

export class FromGuest {
  /** Frames that were too short or too long. */
  skipped = 0;
  readonly #guest: GuestMemory;
  readonly #parts = new Parts();
  #memory: LinkMemory | undefined;
  #octets = new Uint8Array(0);

  constructor(guest: GuestMemory) {
    this.#guest = guest;
  }

  /** Reads up to `max` frames. Fewer: there are no more, and the next one comes with a kick. */
  receive(queue: Queue, headerSize: 10 | 12, memory: LinkMemory, max: number): number {
    const { ring } = queue;
    if (ring === undefined || max <= 0) return 0;
    const count = Math.min(max, RX_SLOT_COUNT);
    const parts = this.#parts;
    let frames = 0;
    let taken = 0;
    ring.ignore();
    while (frames < count) {
      parts.clear();
      const head = ring.take(parts);
      if (head < 0) {
        if (ring.problem === "" && ring.listen()) continue;
        break;
      }
      taken += 1;
      // None of them has gone back yet, so a sound driver has no more; a bad one may go on.
      if (taken > ring.size) {
        ring.fail("more chains made available than it has entries");
        break;
      }
      if (this.#isFrame(headerSize)) {
        if (!this.#copy(headerSize, memory, frames)) {
          ring.fail("a buffer outside guest memory");
          break;
        }
        frames += 1;
      } else this.skipped += 1;
      ring.push(head, 0);
    }
    if (taken > 0) queue.publish();
    return frames;
  }

  #isFrame(headerSize: number): boolean {
    const size = this.#parts.octets - headerSize;
    return size >= FRAME_SIZE_MIN && size <= RX_SLOT_SIZE - VNET_SIZE;
  }

  #copy(headerSize: number, memory: LinkMemory, frame: number): boolean {
    const parts = this.#parts;
    const slot = rxSlot(memory, frame);
    const moved = VNET_SIZE - headerSize;
    let to = memory.base + slot + moved;
    for (let i = 0; i < parts.count; i += 1) {
      const length = parts.lengths[i] ?? 0;
      if (!this.#guest.read(parts.addresses[i] ?? 0, length, to)) return false;
      to += length;
    }
    if (moved > 0) this.#octetsOf(memory).copyWithin(slot, slot + moved, slot + VNET_SIZE);
    writeRxDescriptor(memory, frame, slot, parts.octets + moved);
    return true;
  }

  #octetsOf(memory: LinkMemory): Uint8Array {
    if (this.#memory !== memory) {
      this.#memory = memory;
      this.#octets = new Uint8Array(memory.buffer);
    }
    return this.#octets;
  }
}
