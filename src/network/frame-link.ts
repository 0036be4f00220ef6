/**
 * The link of a network that is embedded: Ethernet frames by calls, both ways.
 *
 *     frame by frame   `receive` copies one in, `onFrame` gets a copy of each one out
 *     in batches       `openBatch` has frames written where the engine reads them, `onFrames` reads
 *                      those that go out where the engine has them: one copy less each way
 *
 * Theory of operation
 *   Frames of the guest wait in a ring until the next turn takes up to 64 of them. `receive` says
 *   false when the ring is full; `onRoom` tells when it is not any longer. A batch takes the way
 *   past the ring, so it wants one that is empty, and the network between two turns: what it writes
 *   to is memory that a turn still reads.
 *
 *   Frames for the guest go to `onFrame` or `onFrames` in the turn that made them. Whoever has no
 *   room says so, and the network goes on as with a full link of any other kind: what is left stays
 *   where it is, sockets are asked for nothing, `resume` tells that there is room.
 */
import {
  EVENT_READABLE,
  LINK_CSUM,
  LINK_RX_TSO,
  LINK_TSO4,
  LINK_TSO6,
  LINK_USO,
  LINK_USO6,
  RX_SLOT_COUNT,
  RX_SLOT_SIZE,
} from "../../wasm/abi.ts";
import { EPIPE } from "../../wasm/errno.ts";
import { EngineError } from "../engine/errors.ts";
import { FrameRing } from "../link/frame-ring.ts";
import { gatherTx, rxSlot, txSize, writeRxDescriptor } from "../link/frames.ts";
import type { Link, LinkMemory } from "../link/link.ts";

/** Takes a frame, which is its own from then on; false: there is no room, it is offered again. */
export type FrameReceiver = (frame: Uint8Array<ArrayBuffer>) => boolean | undefined | void;
/** Takes frames from the first on, which are there until it returns; tells how many. */
export type FramesReceiver = (frames: SentFrames) => number;

const RING_FRAMES = 512;
const RING_OCTETS = 4 << 20;
const MTU_MAX = 65520;
/** struct virtio_net_hdr in front of each frame, where there are offloads. */
const VNET_SIZE = 12;
const TCP_OFFLOADS = LINK_CSUM | LINK_TSO4 | LINK_TSO6 | LINK_RX_TSO;
const OFFLOADS = TCP_OFFLOADS | LINK_USO | LINK_USO6;

/** Frames for the guest, where the engine has them. */
export class SentFrames {
  readonly #memory: LinkMemory;
  readonly #first: number;
  readonly count: number;

  constructor(memory: LinkMemory, first: number, end: number) {
    this.#memory = memory;
    this.#first = first;
    this.count = end - first;
  }

  /** Octets of frame `i`, 0 to `count` - 1. */
  length(i: number): number {
    return txSize(this.#memory, this.#first + i);
  }

  /** Copies frame `i` to `offset` of `target`. Throws `RangeError` where that is too small. */
  copy(i: number, target: Uint8Array, offset = 0): void {
    const length = this.length(i);
    if (offset + length > target.length) {
      throw new RangeError(`give frame ${i} room for ${length} octets at ${offset}`);
    }
    gatherTx(this.#memory, this.#first + i, 0, new Octets(target), offset, length);
  }
}

/** Takes parts of engine memory into an array. */
class Octets {
  readonly #target: Uint8Array;

  constructor(target: Uint8Array) {
    this.#target = target;
  }

  copy({ buffer }: LinkMemory, from: number, length: number, at: number): void {
    this.#target.set(new Uint8Array(buffer, from, length), at);
  }
}

/** Frames of the guest that are being written, right where the engine reads them. */
export class FrameBatch {
  readonly #memory: LinkMemory;
  readonly #end: (count: number) => void;
  #count = 0;
  #isOpen = true;

  constructor(memory: LinkMemory, end: (count: number) => void) {
    this.#memory = memory;
    this.#end = end;
  }

  /** Frames so far. */
  get count(): number {
    return this.#count;
  }

  /**
   * Room for the next frame, to be filled before `end`; undefined: the batch holds 64 already.
   * @throws EngineError FRAME, BUSY
   */
  next(length: number): Uint8Array<ArrayBuffer> | undefined {
    if (!this.#isOpen) throw new EngineError("BUSY", "cannot write to a batch that has ended");
    checkLength(length);
    if (this.#count === RX_SLOT_COUNT) return undefined;
    const slot = rxSlot(this.#memory, this.#count);
    writeRxDescriptor(this.#memory, this.#count, slot, length);
    this.#count += 1;
    return new Uint8Array(this.#memory.buffer, slot, length);
  }

  /** Hands them over. What was given out by `next` is the engine's from then on. */
  end(): void {
    if (!this.#isOpen) throw new EngineError("BUSY", "cannot end a batch twice");
    this.#isOpen = false;
    this.#end(this.#count);
  }
}

/** What the link tells its network. */
interface LinkOwner {
  /** There are frames to be taken. */
  readonly onFrames: () => void;
  /** There is room for frames again. */
  readonly onRoom: () => void;
}

export class FrameLink implements Link {
  readonly vnetSize: 0 | 12;
  readonly flags: number;
  readonly queueFrames = RING_FRAMES;
  readonly batchFrames = RX_SLOT_COUNT;
  readonly mtuMax = MTU_MAX;
  refused = 0;
  readonly #ring = new FrameRing(RING_FRAMES, RING_OCTETS);
  readonly #owner: LinkOwner;
  onFrame: FrameReceiver | undefined;
  onFrames: FramesReceiver | undefined;
  /** Frames that lie in the receive slots; -1 = one has been opened and not ended. */
  #inSlots = 0;
  #wasFull = false;
  #isOpen = true;

  /** @param offloads see `NetworkSettings` */
  constructor(offloads: boolean | "tcp", owner: LinkOwner) {
    this.vnetSize = offloads === false ? 0 : VNET_SIZE;
    this.flags = offloads === "tcp" ? TCP_OFFLOADS : offloads ? OFFLOADS : 0;
    this.#owner = owner;
  }

  // -------------------------------------------------------------- the guest's side

  /** Takes a copy of a frame; false: there is no room. Throws `EngineError` FRAME. */
  push(frame: Uint8Array): boolean {
    checkLength(frame instanceof Uint8Array ? frame.length : Number.NaN);
    const at = this.#ring.reserve(frame.length);
    if (at < 0) {
      this.#wasFull = true;
      return false;
    }
    this.#ring.bytes.set(frame, at);
    this.#ring.push(at, frame.length);
    this.#owner.onFrames();
    return true;
  }

  /** Whether a batch is being written, or was and has not been taken. */
  get isBusy(): boolean {
    return this.#inSlots !== 0;
  }

  /** Whether frames wait that came one by one. */
  get hasWaiting(): boolean {
    return this.#ring.count > 0;
  }

  /** @param ended the batch is there to be taken */
  openBatch(memory: LinkMemory, ended: () => void): FrameBatch {
    this.#inSlots = -1;
    return new FrameBatch(memory, (count) => {
      this.#inSlots = count;
      // Those that came one by one meanwhile have had a turn that could not take them.
      if (count > 0 || this.hasWaiting) this.#owner.onFrames();
      if (count > 0) ended();
    });
  }

  // -------------------------------------------------------------- the loop's side

  watch(): number {
    return 0;
  }

  event(_token: number, events: number): boolean | "served" {
    // That there is room needs nothing but the turn that hears of it.
    return (events & EVENT_READABLE) !== 0 || "served";
  }

  wantRoom(): void {
    // Whoever has no room tells when there is some.
  }

  receive(memory: LinkMemory, max: number): number {
    if (!this.#isOpen) return -EPIPE;
    if (this.#inSlots !== 0) {
      const count = Math.max(0, this.#inSlots);
      if (count === 0) return 0;
      this.#inSlots = 0;
      if (this.hasWaiting) this.#owner.onFrames();
      return count;
    }
    const ring = this.#ring;
    const count = Math.min(max, RX_SLOT_COUNT, ring.count);
    for (let i = 0; i < count; i += 1) {
      const slot = rxSlot(memory, i);
      const frame = ring.front();
      new Uint8Array(memory.buffer, slot, frame.length).set(frame);
      writeRxDescriptor(memory, i, slot, frame.length);
      ring.pop();
    }
    if (this.#wasFull && count > 0) {
      this.#wasFull = false;
      this.#owner.onRoom();
    }
    return count;
  }

  transmit(memory: LinkMemory, first: number, count: number): number {
    if (!this.#isOpen) return -EPIPE;
    if (this.onFrames !== undefined) {
      const taken = this.onFrames(new SentFrames(memory, first, count));
      return Math.max(0, Math.min(count - first, Math.floor(taken) || 0));
    }
    if (this.onFrame === undefined) {
      this.refused += count - first; // nobody is there
      return count - first;
    }
    for (let i = first; i < count; i += 1) {
      const frames = new SentFrames(memory, i, i + 1);
      const frame = new Uint8Array(frames.length(0));
      frames.copy(0, frame);
      if (this.onFrame(frame) === false) return i - first;
      if (!this.#isOpen) return -EPIPE; // disposed of by what was called
    }
    return count - first;
  }

  close(): void {
    this.#isOpen = false;
  }
}

function checkLength(length: number): void {
  if (Number.isInteger(length) && length > 0 && length <= RX_SLOT_SIZE) return;
  throw new EngineError("FRAME", `give a frame of 1 to ${RX_SLOT_SIZE} octets, not ${length}`);
}
