/**
 * Link inside the process: two bounded rings, for tests and the simulator.
 *
 * One end is a `Link`, the other is the guest's side. Frames are copied in and out, so neither end
 * sees the other's memory. A full ring is full: `transmit` takes fewer frames, `send` takes none.
 */

import { RX_SLOT_COUNT, RX_SLOT_SIZE } from "../../../wasm/abi.ts";
import { EPIPE } from "../../../wasm/errno.ts";
import { FrameRing } from "../../link/frame-ring.ts";
import { gatherTx, rxSlot, txSize, writeRxDescriptor } from "../../link/frames.ts";
import type { Link, LinkMemory } from "../../link/link.ts";

export interface MemoryLinkOptions {
  readonly vnetSize?: 0 | 10 | 12;
  /** LINK_… of wasm/abi.ts. */
  readonly flags?: number;
  readonly mtuMax?: number;
  /** Frames each direction holds. */
  readonly queueFrames?: number;
  /** Octets each direction holds; at least one frame of RX_SLOT_SIZE. */
  readonly queueBytes?: number;
}

/** The other end of the wire. */
export interface MemoryGuest {
  /** Frames waiting here for `receive`. */
  readonly pending: number;
  /** Sends a frame, virtio_net_hdr included. False: no room, try again once the link was read.
   * @throws RangeError for a frame no slot can hold */
  send(frame: Uint8Array): boolean;
  /** The next frame as a copy; undefined: none there. */
  receive(): Uint8Array | undefined;
  /** Pulls the plug: the link is gone once what was sent has been read. */
  close(): void;
}

export interface MemoryLinkPair {
  readonly link: Link;
  readonly guest: MemoryGuest;
}

const QUEUE_FRAMES = 512;
const QUEUE_BYTES = 4 * 1024 * 1024;
const MTU_MAX = 65520;

export function createMemoryLink(options: MemoryLinkOptions = {}): MemoryLinkPair {
  const frames = options.queueFrames ?? QUEUE_FRAMES;
  const bytes = Math.max(options.queueBytes ?? QUEUE_BYTES, RX_SLOT_SIZE);
  const wire: Wire = {
    toLink: new FrameRing(frames, bytes),
    toGuest: new FrameRing(frames, bytes),
    linkOpen: true,
    guestOpen: true,
  };
  return { link: new MemoryLink(wire, options), guest: new GuestEnd(wire) };
}

interface Wire {
  readonly toLink: FrameRing;
  readonly toGuest: FrameRing;
  linkOpen: boolean;
  guestOpen: boolean;
}

class MemoryLink implements Link {
  readonly vnetSize: 0 | 10 | 12;
  readonly flags: number;
  readonly queueFrames: number;
  readonly mtuMax: number;
  refused = 0;
  private readonly wire: Wire;

  constructor(wire: Wire, options: MemoryLinkOptions) {
    this.wire = wire;
    this.vnetSize = options.vnetSize ?? 0;
    this.flags = options.flags ?? 0;
    this.queueFrames = wire.toLink.capacity;
    this.mtuMax = options.mtuMax ?? MTU_MAX;
  }

  watch(): number {
    return 0;
  }

  event(): boolean {
    return true;
  }

  wantRoom(): void {
    // Nothing is watched: the owner looks by himself.
  }

  receive(memory: LinkMemory, max: number): number {
    const ring = this.wire.toLink;
    if (!this.wire.linkOpen) return -EPIPE;
    const count = Math.min(max, RX_SLOT_COUNT, ring.count);
    if (count === 0 && max > 0 && !this.wire.guestOpen) return -EPIPE;
    for (let i = 0; i < count; i += 1) {
      const slot = rxSlot(memory, i);
      const frame = ring.front();
      new Uint8Array(memory.buffer, slot, frame.length).set(frame);
      writeRxDescriptor(memory, i, slot, frame.length);
      ring.pop();
    }
    return count;
  }

  transmit(memory: LinkMemory, first: number, count: number): number {
    const ring = this.wire.toGuest;
    if (!this.wire.linkOpen || !this.wire.guestOpen) return -EPIPE;
    let i = first;
    for (; i < count; i += 1) {
      const size = txSize(memory, i);
      if (size <= this.vnetSize || size > RX_SLOT_SIZE) {
        this.refused += 1;
        continue;
      }
      const at = ring.reserve(size);
      if (at < 0) break;
      if (gatherTx(memory, i, 0, ring, at, size) < 0) this.refused += 1;
      else ring.push(at, size);
    }
    return i - first;
  }

  close(): void {
    this.wire.linkOpen = false;
  }
}

class GuestEnd implements MemoryGuest {
  private readonly wire: Wire;

  constructor(wire: Wire) {
    this.wire = wire;
  }

  get pending(): number {
    return this.wire.toGuest.count;
  }

  send(frame: Uint8Array): boolean {
    if (frame.length === 0 || frame.length > RX_SLOT_SIZE) {
      throw new RangeError(`Send a frame of 1 to ${RX_SLOT_SIZE} octets: ${frame.length}`);
    }
    const { toLink, linkOpen, guestOpen } = this.wire;
    if (!linkOpen || !guestOpen) return false;
    const at = toLink.reserve(frame.length);
    if (at < 0) return false;
    toLink.bytes.set(frame, at);
    toLink.push(at, frame.length);
    return true;
  }

  receive(): Uint8Array | undefined {
    const { toGuest } = this.wire;
    if (toGuest.count === 0) return undefined;
    const frame = toGuest.front().slice();
    toGuest.pop();
    return frame;
  }

  close(): void {
    this.wire.guestOpen = false;
  }
}
