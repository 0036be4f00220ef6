/** A vhost-user front end: QEMU's part, message by message, with the guest's two rings. */

import type { RegionLayout, VringAddress } from "../../../src/link/vhost-user/messages.ts";
import { REQUEST } from "../../../src/link/vhost-user/messages.ts";
import { Block } from "../../../src/sys/block.ts";
import { check, EAGAIN } from "../../../src/sys/errno.ts";
import { EventFd } from "../../../src/sys/fd.ts";
import { sendFds } from "../../../src/sys/fd-messages.ts";
import type { Libc } from "../../../src/sys/libc.ts";
import { Driver, RING_SPAN } from "./driver.ts";
import { GuestRam } from "./guest-ram.ts";

export const F = {
  csum: 1n << 0n,
  guestCsum: 1n << 1n,
  guestTso4: 1n << 7n,
  guestTso6: 1n << 8n,
  mergeable: 1n << 15n,
  logAll: 1n << 26n,
  indirect: 1n << 28n,
  eventIndex: 1n << 29n,
  protocol: 1n << 30n,
  version1: 1n << 32n,
} as const;
export const MODERN = F.version1 | F.mergeable | F.guestCsum | F.guestTso4 | F.protocol;
export const P_REPLY_ACK = 1n << 3n;

const NEED_REPLY = 8;
/** Place of the two rings in the memory; what is before them nobody uses. */
export const RINGS_AT = 0x4000;
const BUFFERS = 0x10000;
export const BUFFER_SIZE = 0x12000;

/** Octets of a message, header first. */
export function message(request: number, payload: Uint8Array, flags = 1): Uint8Array {
  const octets = new Uint8Array(12 + payload.length);
  const view = new DataView(octets.buffer);
  view.setUint32(0, request, true);
  view.setUint32(4, flags, true);
  view.setUint32(8, payload.length, true);
  octets.set(payload, 12);
  return octets;
}

export function u64(...values: readonly (number | bigint)[]): Uint8Array {
  const octets = new Uint8Array(8 * values.length);
  const view = new DataView(octets.buffer);
  values.forEach((value, i) => {
    view.setBigUint64(8 * i, BigInt(value), true);
  });
  return octets;
}

export function u32(...values: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

export function regionOctets(layout: RegionLayout): Uint8Array {
  return u64(layout.guestAddress, layout.size, layout.userAddress, layout.offset);
}

export function tableOctets(layouts: readonly RegionLayout[]): Uint8Array {
  const octets = new Uint8Array(8 + 32 * layouts.length);
  octets.set(u64(layouts.length), 0);
  layouts.forEach((layout, i) => {
    octets.set(regionOctets(layout), 8 + 32 * i);
  });
  return octets;
}

export function addressOctets(places: VringAddress): Uint8Array {
  const { index, isLogged, descriptors, used, available, log } = places;
  const octets = new Uint8Array(40);
  octets.set(u32(index, isLogged ? 1 : 0), 0);
  octets.set(u64(descriptors, used, available, log), 8);
  return octets;
}

/** A queue's ring and its event descriptors. */
export interface FrontQueue {
  readonly driver: Driver;
  readonly kick: EventFd;
  readonly call: EventFd;
  readonly err: EventFd;
}

export class FrontEnd {
  readonly ram: GuestRam;
  readonly queues: readonly [toGuest: FrontQueue, fromGuest: FrontQueue];
  readonly #sys: Libc;
  readonly #fd: number;

  /** @param fd a connection, which is the front end's from now on */
  constructor(sys: Libc, fd: number, isSealed = true) {
    this.#sys = sys;
    this.#fd = fd;
    this.ram = new GuestRam(sys, isSealed);
    const queue = (index: number): FrontQueue => ({
      driver: new Driver(this.ram, RINGS_AT + index * RING_SPAN, index === 0),
      kick: new EventFd(sys),
      call: new EventFd(sys),
      err: new EventFd(sys),
    });
    this.queues = [queue(0), queue(1)];
  }

  /** Place of buffer `i` of a queue in the memory. */
  buffer(queue: number, i: number): number {
    return BUFFERS + (queue * 16 + i) * BUFFER_SIZE;
  }

  send(octets: Uint8Array, fds: readonly number[] = []): void {
    check(sendFds(this.#sys, this.#fd, fds, octets), "Send");
  }

  say(request: number, payload: Uint8Array, fds: readonly number[] = []): void {
    this.send(message(request, payload), fds);
  }

  /** The same with the wish for a reply. */
  ask(request: number, payload: Uint8Array, fds: readonly number[] = []): void {
    this.send(message(request, payload, 1 | NEED_REPLY), fds);
  }

  /** The reply that has come: its request, flags and payload; undefined = none. */
  reply(): { request: number; flags: number; payload: Uint8Array } | undefined {
    const block = new Block(this.#sys, 512);
    const n = this.#sys.recv(this.#fd, block.address, 12, 0);
    if (n === -EAGAIN || n === 0) return undefined;
    check(n, "Receive");
    const [request = 0, flags = 0, size = 0] = new Uint32Array(block.bytes.buffer.slice(0, 12));
    if (size > 0) check(this.#sys.recv(this.#fd, block.address, size, 0), "Receive a payload");
    return { request, flags, payload: block.bytes.slice(0, size) };
  }

  /** All that QEMU says until frames flow. */
  start(features = MODERN, protocolFeatures = 0n): void {
    this.say(REQUEST.setProtocolFeatures, u64(protocolFeatures));
    this.say(REQUEST.setOwner, new Uint8Array(0));
    this.say(REQUEST.setFeatures, u64(features));
    this.say(REQUEST.setMemTable, tableOctets([this.ram.layout]), [this.ram.fd]);
    for (const index of [0, 1]) this.startQueue(index, 0);
  }

  startQueue(index: number, base: number, log = -1): void {
    const queue = this.queues[index];
    if (queue === undefined) throw new RangeError(`no queue ${index}`);
    this.say(REQUEST.setVringNum, u32(index, queue.driver.size));
    this.say(REQUEST.setVringBase, u32(index, base));
    this.say(REQUEST.setVringAddr, addressOctets(queue.driver.places(index, log)));
    this.say(REQUEST.setVringErr, u64(index), [queue.err.number]);
    this.say(REQUEST.setVringCall, u64(index), [queue.call.number]);
    this.say(REQUEST.setVringKick, u64(index), [queue.kick.number]);
    this.say(REQUEST.setVringEnable, u32(index, 1));
  }

  close(): void {
    this.#sys.close(this.#fd);
    this.ram.close();
    for (const { kick, call, err } of this.queues) for (const fd of [kick, call, err]) fd.close();
  }
}
