/**
 * IPv4 of the modelled guest (RFC 791, RFC 1122 §3): builds headers, checks every one it gets, cuts
 * packets larger than the MTU into fragments and puts fragments together again.
 */
import { formatIpv4, parseIpv4, prefixMask } from "../../../lib/addr.ts";
import type { Arp } from "./arp.ts";
import { ETHERNET_SIZE, type Ethernet } from "./ethernet.ts";
import { Reassembly } from "./fragments.ts";
import { writeUnreachable } from "./icmp.ts";
import { type Address, type Network, type Packet, PROTOCOL_ICMP, PROTOCOL_TCP } from "./network.ts";
import { addSum, checksumOf, foldSum, get16, get32, set16, set32 } from "./octets.ts";

const HEADER = 20;
const ADDRESS = 4;
const DONT_FRAGMENT = 0x4000;
const MORE_FRAGMENTS = 0x2000;
const TTL = 64;
const BROADCAST = 0xffffffff;

/** An interface's addresses; all 0 until configured. */
export interface Ipv4Settings {
  readonly address: number;
  readonly prefixLength: number;
  readonly gateway: number;
}

export class Ipv4 implements Network {
  readonly addressSize = ADDRESS;
  readonly headerSize = HEADER;
  readonly payloadAt = ETHERNET_SIZE + HEADER;
  readonly frame: Uint8Array;
  readonly address: Address = new Uint8Array(ADDRESS);
  mtu: number;
  settings: Ipv4Settings = { address: 0, prefixLength: 0, gateway: 0 };
  /** Set by the stack before anything is sent: what time it is. */
  now = 0;
  /** Time to live of what is sent. */
  ttl = TTL;
  readonly #ethernet: Ethernet;
  readonly #arp: Arp;
  readonly #reassembly = new Reassembly();
  readonly #deliver: (packet: Packet) => void;
  readonly #packet: Packet;
  #identification = 1;

  constructor(ethernet: Ethernet, arp: Arp, mtu: number, deliver: (packet: Packet) => void) {
    this.#ethernet = ethernet;
    this.#arp = arp;
    this.mtu = mtu;
    this.frame = ethernet.frame;
    this.#deliver = deliver;
    this.#packet = {
      network: this,
      source: new Uint8Array(ADDRESS),
      destination: new Uint8Array(ADDRESS),
      protocol: 0,
      ttl: 0,
      broadcast: false,
      octets: new Uint8Array(0),
      at: 0,
      length: 0,
      headerAt: 0,
    };
  }

  configure(settings: Ipv4Settings): void {
    this.settings = settings;
    set32(this.address, 0, settings.address);
    this.#arp.address = settings.address;
  }

  parse(text: string): Address {
    const address = new Uint8Array(ADDRESS);
    set32(address, 0, parseIpv4(text));
    return address;
  }

  format(address: Address): string {
    return formatIpv4(get32(address, 0));
  }

  pseudoSum(source: Address, destination: Address, protocol: number, length: number): number {
    return addSum(source, 0, ADDRESS, addSum(destination, 0, ADDRESS, protocol + length));
  }

  // -------------------------------------------------------------- sending

  send(source: Address, destination: Address, protocol: number, length: number): boolean {
    // TCP never exceeds the MTU by mistake: what is larger, the link cuts.
    if (HEADER + length <= this.mtu || protocol === PROTOCOL_TCP) {
      const flags = protocol === PROTOCOL_ICMP ? 0 : DONT_FRAGMENT;
      return this.#emit(source, destination, protocol, length, flags);
    }
    const payload = this.frame.slice(this.payloadAt, this.payloadAt + length);
    const step = (this.mtu - HEADER) & ~7;
    const identification = this.#nextIdentification();
    for (let at = 0; at < length; at += step) {
      const part = Math.min(step, length - at);
      this.frame.set(payload.subarray(at, at + part), this.payloadAt);
      const more = at + part < length ? MORE_FRAGMENTS : 0;
      const sent = this.#emit(
        source,
        destination,
        protocol,
        part,
        more | (at >> 3),
        identification,
      );
      if (!sent && at === 0) return false;
    }
    return true;
  }

  #nextIdentification(): number {
    this.#identification = (this.#identification + 1) & 0xffff;
    return this.#identification;
  }

  #emit(
    source: Address,
    destination: Address,
    protocol: number,
    length: number,
    fragment: number,
    identification = this.#nextIdentification(),
  ): boolean {
    const { frame } = this;
    const at = ETHERNET_SIZE;
    set16(frame, at, 0x4500);
    set16(frame, at + 2, HEADER + length);
    set16(frame, at + 4, identification);
    set16(frame, at + 6, fragment);
    frame[at + 8] = this.ttl;
    frame[at + 9] = protocol;
    set16(frame, at + 10, 0);
    frame.set(source, at + 12);
    frame.set(destination, at + 16);
    set16(frame, at + 10, checksumOf(addSum(frame, at, HEADER, 0)));
    const target = get32(destination, 0);
    if (target === BROADCAST) return this.#ethernet.send(undefined, 0x0800, HEADER + length);
    const { address, prefixLength, gateway } = this.settings;
    const near = ((target ^ address) & prefixMask(prefixLength)) === 0;
    return this.#arp.send(near ? target : gateway, HEADER + length, this.now);
  }

  // -------------------------------------------------------------- receiving

  /** Takes the IPv4 packet at `at` of a frame that has `available` octets from there on. */
  input(octets: Uint8Array, at: number, available: number, group: boolean): void {
    const header = ((octets[at] ?? 0) & 15) * 4;
    const total = get16(octets, at + 2);
    const wrong = this.#check(octets, at, available, header, total);
    if (wrong !== undefined) return void this.#ethernet.fault(wrong);
    const packet = this.#packet;
    packet.octets = octets;
    packet.headerAt = at;
    packet.at = at + header;
    packet.length = total - header;
    packet.protocol = octets[at + 9] ?? 0;
    packet.ttl = octets[at + 8] ?? 0;
    for (let i = 0; i < ADDRESS; i += 1) {
      packet.source[i] = octets[at + 12 + i] ?? 0;
      packet.destination[i] = octets[at + 16 + i] ?? 0;
    }
    const destination = get32(packet.destination, 0);
    packet.broadcast = destination === BROADCAST || group;
    const { address } = this.settings;
    if (destination !== address && !packet.broadcast && address !== 0) {
      return void this.#ethernet.fault(
        `packet for "${this.format(packet.destination)}", not for us`,
      );
    }
    const fragment = get16(octets, at + 6);
    if ((fragment & (MORE_FRAGMENTS | 0x1fff)) !== 0) {
      if ((fragment & DONT_FRAGMENT) !== 0) this.#ethernet.fault("fragment that says: don't");
      const whole = this.#reassembly.add(packet, get16(octets, at + 4), fragment, this.now);
      if (typeof whole === "string") this.#ethernet.fault(whole);
      if (!(whole instanceof Uint8Array)) return;
      packet.octets = whole;
      packet.headerAt = 0;
      packet.at = HEADER;
      packet.length = whole.length - HEADER;
    }
    this.#deliver(packet);
  }

  #check(
    octets: Uint8Array,
    at: number,
    available: number,
    header: number,
    total: number,
  ): string | undefined {
    if (available < HEADER) return `IPv4 packet of ${available} octets`;
    if ((octets[at] ?? 0) >> 4 !== 4) return `IPv4 packet of version ${(octets[at] ?? 0) >> 4}`;
    if (header < HEADER || header > total) return `IPv4 header of ${header} octets`;
    if (total > available) return `IPv4 length ${total}, but ${available} octets came`;
    if (total > this.mtu) return `IPv4 packet of ${total} octets, the MTU is ${this.mtu}`;
    if (foldSum(addSum(octets, at, header, 0)) !== 0xffff) return "wrong IPv4 header checksum";
    if ((octets[at + 8] ?? 0) === 0) return "IPv4 packet without time to live";
    if ((get16(octets, at + 6) & 0x8000) !== 0) return "IPv4 reserved flag";
    const source = get32(octets, at + 12);
    const first = source >>> 24;
    if (first === 0 || first === 127 || first >= 224) return `IPv4 source ${formatIpv4(source)}`;
    if (source === this.settings.address) return "IPv4 packet from our own address";
    return undefined;
  }

  sendPortUnreachable(packet: Packet): void {
    if (packet.broadcast) return;
    const destination = packet.source.slice();
    const source = packet.destination.slice();
    const length = writeUnreachable(this.frame, this.payloadAt, packet);
    this.send(source, destination, PROTOCOL_ICMP, length);
  }
}
