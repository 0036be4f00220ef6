/**
 * Frames for the guest: out of the engine's records, into the buffers it has made available.
 *
 * A frame takes as many buffers as it needs where the guest can merge them, else it has to fit into
 * one. While there are not enough the link is full; what can never fit is skipped, as is a frame
 * with an offload that the guest has not agreed to: the engine made it for another driver, or for
 * one that has begun anew meanwhile.
 */

import {
  IOV_SIZE,
  LINK_CSUM,
  LINK_TSO4,
  LINK_TSO6,
  LINK_USO,
  LINK_USO6,
} from "../../../wasm/abi.ts";
import { Block } from "../../sys/block.ts";
import { iovecBase, iovecLength, txIovecCount, txIovecs, txSize } from "../frames.ts";
import type { LinkMemory } from "../link.ts";
import { type Negotiated, VNET_SIZE } from "./features.ts";
import { FRAME_SIZE_MIN } from "./from-guest.ts";
import type { Machine } from "./machine.ts";
import type { Queue } from "./queue.ts";
import type { GuestMemory } from "./regions.ts";
import { PARTS_MAX, Parts, type Ring } from "./ring.ts";

const NEEDS_CSUM = 1;
const BUFFERS_OFFSET = 10;
/** GSO types of struct virtio_net_hdr, and which of the link's flags each needs. */
const GSO_FLAGS: Readonly<Record<number, number>> = {
  0: 0,
  1: LINK_TSO4,
  4: LINK_TSO6,
  5: LINK_USO | LINK_USO6, // of either version: the engine makes the one it was told of
};

type Fit = "taken" | "full" | "never";

export class ToGuest {
  /** Frames that the guest would not have, or that were not in engine memory. */
  skipped = 0;
  readonly #sys: Machine;
  readonly #guest: GuestMemory;
  readonly #header: Block;
  readonly #parts = new Parts();
  /** Of each chain that the frame under way takes: its head and the octets it holds. */
  readonly #heads = new Uint16Array(PARTS_MAX);
  readonly #sizes = new Uint32Array(PARTS_MAX);
  #chains = 0;
  /** Where in the parts the next octet goes. */
  #part = 0;
  #offset = 0;

  constructor(sys: Machine, guest: GuestMemory) {
    this.#sys = sys;
    this.#guest = guest;
    this.#header = new Block(sys, VNET_SIZE);
  }

  /** Writes the frames [first, count); how many were taken, skipped ones included. */
  transmit(
    queue: Queue,
    features: Negotiated,
    memory: LinkMemory,
    first: number,
    count: number,
  ): number {
    const { ring } = queue;
    if (ring === undefined) return 0;
    let i = first;
    let given = 0;
    ring.ignore();
    while (i < count && ring.problem === "") {
      const fit = this.#frame(ring, features, memory, i);
      if (fit === "full") {
        if (ring.problem === "" && ring.listen()) continue;
        break;
      }
      if (fit === "taken") given += this.#chains;
      else this.skipped += 1;
      i += 1;
    }
    if (given > 0) queue.publish();
    return i - first;
  }

  #frame(ring: Ring, features: Negotiated, memory: LinkMemory, i: number): Fit {
    if (!this.#accepts(features, memory, i)) return "never";
    const left = txSize(memory, i) - VNET_SIZE;
    const fit = this.#takeChains(ring, features, features.headerSize + left);
    if (fit !== "taken") return fit;
    this.#header.view.setUint16(BUFFERS_OFFSET, this.#chains, true);
    this.#part = 0;
    this.#offset = 0;
    const isWritten =
      this.#write(this.#header.address, features.headerSize) && this.#writeFrame(memory, i);
    if (!isWritten) {
      ring.fail("a buffer outside guest memory");
      return "full";
    }
    let rest = features.headerSize + left;
    for (let chain = 0; chain < this.#chains; chain += 1) {
      const written = Math.min(rest, this.#sizes[chain] ?? 0);
      ring.push(this.#heads[chain] ?? 0, written);
      rest -= written;
    }
    return "taken";
  }

  /** Whether frame `i` is whole, in engine memory and as the guest takes it; copies its header. */
  #accepts({ linkFlags }: Negotiated, memory: LinkMemory, i: number): boolean {
    const start = txIovecs(memory, i);
    const end = start + txIovecCount(memory, i) * IOV_SIZE;
    for (let iovec = start; iovec < end; iovec += IOV_SIZE) {
      const at = iovecBase(memory, iovec) - memory.base;
      if (at < 0 || at + iovecLength(memory, iovec) > memory.buffer.byteLength) return false;
    }
    if (start === end || iovecLength(memory, start) < VNET_SIZE) return false;
    if (txSize(memory, i) < VNET_SIZE + FRAME_SIZE_MIN) return false;
    this.#sys.memcpy(this.#header.address, iovecBase(memory, start), VNET_SIZE);
    const [flags = 0, gso = 0] = this.#header.bytes;
    if ((flags & NEEDS_CSUM) !== 0 && (linkFlags & LINK_CSUM) === 0) return false;
    const wanted = GSO_FLAGS[gso];
    return wanted === 0 || (wanted !== undefined && (linkFlags & wanted) !== 0);
  }

  /** Takes chains for `size` octets, or none. */
  #takeChains(ring: Ring, { isMergeable }: Negotiated, size: number): Fit {
    const parts = this.#parts;
    parts.clear();
    this.#chains = 0;
    while (parts.octets < size) {
      const isTooMuch = this.#chains === Math.min(ring.size, PARTS_MAX);
      if (isTooMuch || (this.#chains > 0 && !isMergeable)) return this.#giveUp(ring, "never");
      const before = parts.octets;
      const head = ring.take(parts);
      if (head < 0) return this.#giveUp(ring, "full");
      this.#heads[this.#chains] = head;
      this.#sizes[this.#chains] = parts.octets - before;
      this.#chains += 1;
    }
    return "taken";
  }

  #giveUp(ring: Ring, fit: Fit): Fit {
    ring.untake(this.#chains);
    return fit;
  }

  /** All of frame `i` but its header. */
  #writeFrame(memory: LinkMemory, i: number): boolean {
    const start = txIovecs(memory, i);
    const end = start + txIovecCount(memory, i) * IOV_SIZE;
    let skip = VNET_SIZE;
    for (let iovec = start; iovec < end; iovec += IOV_SIZE) {
      const from = iovecBase(memory, iovec) + skip;
      if (!this.#write(from, iovecLength(memory, iovec) - skip)) return false;
      skip = 0;
    }
    return true;
  }

  /** Copies `length` octets from an own address on to where the last ones ended. */
  #write(from: number, length: number): boolean {
    const parts = this.#parts;
    let mine = from;
    let left = length;
    while (left > 0) {
      const room = (parts.lengths[this.#part] ?? 0) - this.#offset;
      const octets = Math.min(room, left);
      const to = (parts.addresses[this.#part] ?? 0) + this.#offset;
      if (!this.#guest.write(to, octets, mine)) return false;
      mine += octets;
      left -= octets;
      this.#offset += octets;
      if (octets === room) {
        this.#part += 1;
        this.#offset = 0;
      }
    }
    return true;
  }
}
