/**
 * Writes the frames of a pretend guest straight into the engine's receive slots, with right
 * checksums and without allocating anything. Every payload is zeros, so that a checksum is a sum
 * over headers.
 */
import type { Engine } from "../../src/engine/engine.ts";
import * as abi from "../../wasm/abi.ts";

export const GATEWAY_MAC = [0x52, 0x55, 0x0a, 0, 2, 2];
export const GUEST_MAC = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
export const GUEST_ADDRESS = 0x0a00020f; // 10.0.2.15
export const PEER_ADDRESS = 0xc6336450; // 198.51.100.80
export const PEER_PORT = 80;

export const FIN = 1;
export const SYN = 2;
export const PSH = 8;
export const ACK = 16;

export const ETHERNET_SIZE = 14;
const IPV4_SIZE = 20;
const UDP_SIZE = 8;
/** With timestamps, as in every segment but a SYN. */
const TCP_SIZE = 32;
const TCP_SYN_SIZE = 40;
/** Options of 1,500 octets MTU: what one segment carries beside its headers. */
export const MSS = 1500 - IPV4_SIZE - TCP_SIZE;
const WINDOW_SHIFT = 7;

const PROTOCOL_TCP = 6;
const PROTOCOL_UDP = 17;
/** What a guest without anything to read in its buffer offers: 8 MiB. */
const WINDOW = 0xffff;

/** Headers of any frame here end before it, so a stale one never becomes payload. */
const HEADERS_END = 128;

/** One segment of the guest. */
export interface Segment {
  readonly port: number;
  readonly flags: number;
  readonly seq: number;
  readonly ack: number;
  /** Octets of payload; more than `MSS` makes an offload frame. */
  readonly length: number;
  readonly stamp: number;
  readonly echo: number;
}

/** Ones' complement sum of a 32-bit number's halves. */
function halves(value: number): number {
  return (value >>> 16) + (value & 0xffff);
}

function folded(sum: number): number {
  let rest = sum;
  while (rest > 0xffff) rest = (rest % 0x10000) + Math.floor(rest / 0x10000);
  return rest;
}

export class FrameWriter {
  readonly #view: DataView;
  readonly #octets: Uint8Array;
  readonly #slots: number;
  readonly #descriptors: number;
  readonly #vnet: number;

  /** @param vnet octets of the virtio_net_hdr */
  constructor({ view, octets, bases }: Engine, vnet: number) {
    this.#view = view;
    this.#octets = octets;
    this.#slots = bases.rxBuffers;
    this.#descriptors = bases.rxDescriptors;
    this.#vnet = vnet;
  }

  /** Puts a segment into receive slot `slot`. */
  tcp(slot: number, segment: Segment): void {
    const { port, flags, seq, ack, length } = segment;
    const view = this.#view;
    const isSyn = (flags & SYN) !== 0;
    const size = isSyn ? TCP_SYN_SIZE : TCP_SIZE;
    const tcp = this.#begin(slot, PROTOCOL_TCP, size + length);
    view.setUint16(tcp, port);
    view.setUint16(tcp + 2, PEER_PORT);
    view.setUint32(tcp + 4, seq);
    view.setUint32(tcp + 8, ack);
    view.setUint16(tcp + 12, (size << 10) | flags);
    view.setUint16(tcp + 14, WINDOW);
    let sum = halves(GUEST_ADDRESS) + halves(PEER_ADDRESS) + PROTOCOL_TCP + size + length;
    if (this.#vnet === 0) {
      sum += isSyn ? this.#synOptions(tcp + 20, segment) : this.#stamps(tcp + 20, segment);
      sum += port + PEER_PORT + halves(seq) + halves(ack) + ((size << 10) | flags) + WINDOW;
      view.setUint16(tcp + 16, ~folded(sum) & 0xffff);
    } else {
      if (isSyn) this.#synOptions(tcp + 20, segment);
      else this.#stamps(tcp + 20, segment);
      view.setUint16(tcp + 16, folded(sum)); // the rest is left to the card
      this.#offload(slot, size, length);
    }
  }

  /** Puts a datagram from `port` into receive slot `slot`. */
  udp(slot: number, port: number, length: number): void {
    const view = this.#view;
    const udp = this.#begin(slot, PROTOCOL_UDP, UDP_SIZE + length);
    view.setUint16(udp, port);
    view.setUint16(udp + 2, PEER_PORT);
    view.setUint16(udp + 4, UDP_SIZE + length);
    const ends = halves(GUEST_ADDRESS) + halves(PEER_ADDRESS) + port + PEER_PORT;
    const sum = ends + PROTOCOL_UDP + 2 * (UDP_SIZE + length);
    view.setUint16(udp + 6, ~folded(sum) & 0xffff);
  }

  /** Descriptor, Ethernet and IPv4 header of a slot. Returns where the payload of IPv4 begins. */
  #begin(slot: number, protocol: number, length: number): number {
    const view = this.#view;
    const start = this.#slots + slot * abi.RX_SLOT_SIZE;
    this.#octets.fill(0, start, start + HEADERS_END);
    const descriptor = this.#descriptors + slot * abi.RX_DESCRIPTOR_SIZE;
    const total = IPV4_SIZE + length;
    view.setUint32(descriptor + abi.RX_DESCRIPTOR_POINTER_OFFSET, start, true);
    const octets = this.#vnet + ETHERNET_SIZE + total;
    view.setUint32(descriptor + abi.RX_DESCRIPTOR_LENGTH_OFFSET, octets, true);
    const frame = start + this.#vnet;
    this.#octets.set(GATEWAY_MAC, frame);
    this.#octets.set(GUEST_MAC, frame + 6);
    view.setUint16(frame + 12, 0x0800);
    const ip = frame + ETHERNET_SIZE;
    view.setUint16(ip, 0x4500);
    view.setUint16(ip + 2, total);
    view.setUint16(ip + 6, 0x4000); // DF
    view.setUint16(ip + 8, 0x4000 | protocol); // TTL 64
    view.setUint32(ip + 12, GUEST_ADDRESS);
    view.setUint32(ip + 16, PEER_ADDRESS);
    const head = 0x4500 + total + 0x4000 + (0x4000 | protocol);
    const sum = folded(head + halves(GUEST_ADDRESS) + halves(PEER_ADDRESS));
    view.setUint16(ip + 10, ~sum & 0xffff);
    return ip + IPV4_SIZE;
  }

  /** Options of a SYN: MSS, SACK permitted, timestamps, window scale. Returns their sum. */
  #synOptions(at: number, { stamp }: Segment): number {
    const view = this.#view;
    const words = [0x0204, 1500 - 40, 0x0402, 0x080a, stamp >>> 16, stamp & 0xffff, 0, 0];
    words.push(0x0103, 0x0300 | WINDOW_SHIFT);
    for (const [i, word] of words.entries()) view.setUint16(at + 2 * i, word);
    return words.reduce((sum, word) => sum + word, 0);
  }

  /** Timestamps, after two octets that say nothing. Returns their sum. */
  #stamps(at: number, { stamp, echo }: Segment): number {
    const view = this.#view;
    view.setUint32(at, 0x0101080a);
    view.setUint32(at + 4, stamp);
    view.setUint32(at + 8, echo);
    return 0x0101 + 0x080a + halves(stamp) + halves(echo);
  }

  /** The virtio_net_hdr: a checksum that is not made yet, and segments that are not cut yet. */
  #offload(slot: number, size: number, length: number): void {
    const view = this.#view;
    const header = this.#slots + slot * abi.RX_SLOT_SIZE;
    const start = ETHERNET_SIZE + IPV4_SIZE;
    view.setUint8(header, 1); // NEEDS_CSUM
    if (length > MSS) {
      view.setUint8(header + 1, 1); // GSO_TCPV4
      view.setUint16(header + 2, start + size, true);
      view.setUint16(header + 4, MSS, true);
    }
    view.setUint16(header + 6, start, true);
    view.setUint16(header + 8, 16, true);
  }
}
