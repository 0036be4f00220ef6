/**
 * ARP of the modelled guest: answers for its own address, resolves next hops, learns.
 *
 * Packets for a next hop that is being resolved wait, a few at most; the request is repeated each
 * second and given up after three. Source: RFC 826, RFC 1122 §2.3.2, RFC 5227 (probes have sender
 * address 0 and are never learnt from).
 */
import { formatIpv4, formatMac } from "../../../lib/addr.ts";
import type { Ethernet } from "./ethernet.ts";
import { get16, get32, set16, set32 } from "./octets.ts";

const SIZE = 28;
const REQUEST = 1;
const REPLY = 2;
const RETRY = 1_000_000;
const TRIES_MAX = 3;
/** As many as a packet of 64 KiB has fragments at an MTU of 1500, and some. */
const WAITING_MAX = 64;
const ETHERTYPE_ARP = 0x0806;
const ETHERTYPE_IPV4 = 0x0800;
const AT = 14;

interface Neighbor {
  mac: Uint8Array | undefined;
  /** Frames without their destination, oldest first. */
  readonly waiting: Uint8Array[];
  tries: number;
  retryAt: number;
}

export class Arp {
  readonly #ethernet: Ethernet;
  readonly #neighbors = new Map<number, Neighbor>();
  /** Own IPv4 address, 0 = none yet. */
  address = 0;
  /** Packets given up: nobody answered, or too many waited. */
  failed = 0;

  constructor(ethernet: Ethernet) {
    this.#ethernet = ethernet;
  }

  /**
   * Sends the frame prepared in the Ethernet layer to the neighbour with this address.
   * @returns false where the link had no room
   */
  send(nextHop: number, payloadLength: number, now: number): boolean {
    const { mac } = this.#neighbors.get(nextHop) ?? {};
    if (mac !== undefined) return this.#ethernet.send(mac, ETHERTYPE_IPV4, payloadLength);
    const neighbor = this.#resolve(nextHop, now);
    if (neighbor.waiting.length === WAITING_MAX) {
      neighbor.waiting.shift();
      this.failed += 1;
    }
    neighbor.waiting.push(this.#ethernet.frame.slice(AT, AT + payloadLength));
    return true;
  }

  #resolve(address: number, now: number): Neighbor {
    let neighbor = this.#neighbors.get(address);
    if (neighbor === undefined) {
      neighbor = { mac: undefined, waiting: [], tries: 0, retryAt: 0 };
      this.#neighbors.set(address, neighbor);
    }
    // The frame under construction must survive the request: it is copied by the caller first
    // where that matters, and a request is sent from `poll`, never from here.
    if (neighbor.tries === 0) neighbor.retryAt = now;
    return neighbor;
  }

  /** Says who has our address, without being asked. */
  announce(): void {
    this.#write(REQUEST, this.address, undefined, this.address);
    this.#ethernet.send(undefined, ETHERTYPE_ARP, SIZE);
  }

  /** Takes an ARP packet of `length` octets at `at`. */
  input(octets: Uint8Array, at: number, length: number): void {
    if (length < SIZE) return void this.#ethernet.fault(`ARP packet of ${length} octets`);
    const shape = get32(octets, at) === 0x00010800 && get16(octets, at + 4) === 0x0604;
    const operation = get16(octets, at + 6);
    if (!shape || (operation !== REQUEST && operation !== REPLY)) {
      return void this.#ethernet.fault("ARP packet of unknown kind");
    }
    const mac = octets.slice(at + 8, at + 14);
    const sender = get32(octets, at + 14);
    const target = get32(octets, at + 24);
    if (sender === this.address && sender !== 0) {
      return void this.#ethernet.fault(
        `${formatMac(mac)} claims our address ${formatIpv4(sender)}`,
      );
    }
    if (sender !== 0) this.#learn(sender, mac, operation === REPLY || target === this.address);
    if (operation !== REQUEST || target !== this.address || target === 0) return;
    this.#write(REPLY, this.address, mac, sender);
    this.#ethernet.send(mac, ETHERTYPE_ARP, SIZE);
  }

  #learn(address: number, mac: Uint8Array, create: boolean): void {
    const known = this.#neighbors.get(address);
    if (known === undefined) {
      if (!create) return;
      this.#neighbors.set(address, { mac, waiting: [], tries: 0, retryAt: 0 });
      return;
    }
    known.mac = mac;
    known.tries = 0;
    known.retryAt = 0;
    for (const packet of known.waiting.splice(0)) {
      this.#ethernet.frame.set(packet, AT);
      this.#ethernet.send(mac, ETHERTYPE_IPV4, packet.length);
    }
  }

  #write(operation: number, sender: number, mac: Uint8Array | undefined, target: number): void {
    const { frame } = this.#ethernet;
    set32(frame, AT, 0x00010800);
    set16(frame, AT + 4, 0x0604);
    set16(frame, AT + 6, operation);
    frame.set(this.#ethernet.mac, AT + 8);
    set32(frame, AT + 14, sender);
    frame.fill(0, AT + 18, AT + 24);
    if (mac !== undefined) frame.set(mac, AT + 18);
    set32(frame, AT + 24, target);
  }

  /** Asks again for who did not answer. */
  poll(now: number): void {
    for (const [address, neighbor] of this.#neighbors) {
      if (neighbor.mac !== undefined || neighbor.retryAt > now) continue;
      if (neighbor.tries === TRIES_MAX) {
        this.failed += neighbor.waiting.length;
        this.#neighbors.delete(address);
        continue;
      }
      neighbor.tries += 1;
      neighbor.retryAt = now + RETRY;
      this.#write(REQUEST, this.address, undefined, address);
      this.#ethernet.send(undefined, ETHERTYPE_ARP, SIZE);
    }
  }

  /** When `poll` is due, microseconds; Infinity = never. */
  nextDeadline(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { mac, retryAt } of this.#neighbors.values()) {
      if (mac === undefined && retryAt < next) next = retryAt;
    }
    return next;
  }
}
