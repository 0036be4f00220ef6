/**
 * ICMP of the modelled guest (RFC 792, RFC 1122 §3.2.2): answers echo requests, sends its own and
 * matches the replies, reports errors about what it sent.
 */
import type { Address, ErrorReport, Network, Packet } from "./network.ts";
import { PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP } from "./network.ts";
import { addSum, checksumOf, foldSum, get16, set16, set32 } from "./octets.ts";

const HEADER = 8;
const ECHO_REPLY = 0;
const UNREACHABLE = 3;
const ECHO_REQUEST = 8;
const TIME_EXCEEDED = 11;
const PARAMETER_PROBLEM = 12;
const PORT_UNREACHABLE = 3;
/** Octets of the offending packet that an error carries: as much as 576 octets hold. */
const QUOTE_MAX = 548;

export interface EchoReply {
  readonly from: string;
  readonly identifier: number;
  readonly sequence: number;
  /** Copy. */
  readonly payload: Uint8Array;
}

/** What the stack does with ICMP. */
export interface IcmpHandlers {
  fault(text: string): void;
  reply(reply: EchoReply): void;
  error(report: ErrorReport): void;
}

export class Icmp {
  readonly #handlers: IcmpHandlers;
  /** Off: echo requests are not answered. */
  answers = true;

  constructor(handlers: IcmpHandlers) {
    this.#handlers = handlers;
  }

  /** Sends an echo request; false where the link had no room. */
  sendEcho(
    network: Network,
    to: Address,
    identifier: number,
    sequence: number,
    payload: Uint8Array,
  ): boolean {
    const { frame, payloadAt: at } = network;
    set32(frame, at, ECHO_REQUEST << 24);
    set16(frame, at + 4, identifier);
    set16(frame, at + 6, sequence);
    frame.set(payload, at + HEADER);
    return send(network, to, HEADER + payload.length);
  }

  input(packet: Packet): void {
    const { octets, at, length, network } = packet;
    if (length < HEADER) return void this.#handlers.fault(`ICMP message of ${length} octets`);
    if (foldSum(addSum(octets, at, length, 0)) !== 0xffff) {
      return void this.#handlers.fault("wrong ICMP checksum");
    }
    const type = octets[at] ?? 0;
    if (type === ECHO_REQUEST) return void this.#answer(packet);
    if (type === ECHO_REPLY) {
      return void this.#handlers.reply({
        from: network.format(packet.source),
        identifier: get16(octets, at + 4),
        sequence: get16(octets, at + 6),
        payload: octets.slice(at + HEADER, at + length),
      });
    }
    if (type === UNREACHABLE || type === TIME_EXCEEDED || type === PARAMETER_PROBLEM) {
      this.#error(packet, type);
    } else this.#handlers.fault(`ICMP type ${type}`);
  }

  #answer(packet: Packet): void {
    if (!this.answers || packet.broadcast) return;
    const { octets, at, length, network } = packet;
    const { frame, payloadAt } = network;
    const to = packet.source.slice();
    frame.set(octets.subarray(at, at + length), payloadAt);
    set32(frame, payloadAt, ECHO_REPLY);
    send(network, to, length);
  }

  #error(packet: Packet, type: number): void {
    const { octets, network } = packet;
    const at = packet.at + HEADER;
    const left = packet.length - HEADER;
    const header = ((octets[at] ?? 0) & 15) * 4;
    // RFC 1122 §3.2.2: header and 8 octets at least.
    if (left < 28 || (octets[at] ?? 0) >> 4 !== 4 || left < header + 8) {
      return void this.#handlers.fault(`ICMP error quotes ${left} octets`);
    }
    const source = octets.subarray(at + 12, at + 16);
    if (!source.every((octet, i) => octet === network.address[i])) {
      return void this.#handlers.fault("ICMP error about a packet that is not ours");
    }
    const code = octets[packet.at + 1] ?? 0;
    const protocol = octets[at + 9] ?? 0;
    const ported = protocol === PROTOCOL_TCP || protocol === PROTOCOL_UDP;
    const inner = at + header;
    this.#handlers.error({
      network,
      type,
      code,
      protocol,
      localPort: get16(octets, ported ? inner : inner + 4),
      remotePort: ported ? get16(octets, inner + 2) : 0,
      remote: octets.slice(at + 16, at + 20),
      mtu: type === UNREACHABLE && code === 4 ? get16(octets, packet.at + 6) : 0,
    });
  }
}

function send(network: Network, to: Address, length: number): boolean {
  const { frame, payloadAt: at } = network;
  set16(frame, at + 2, 0);
  set16(frame, at + 2, checksumOf(addSum(frame, at, length, 0)));
  return network.send(network.address, to, PROTOCOL_ICMP, length);
}

/** Writes a "port unreachable" about a packet to `at`; returns its length. */
export function writeUnreachable(frame: Uint8Array, at: number, packet: Packet): number {
  const whole = packet.at - packet.headerAt + packet.length;
  const quote = Math.min(whole, QUOTE_MAX);
  const from = packet.headerAt;
  const copy = packet.octets.slice(from, from + quote);
  set32(frame, at, (UNREACHABLE << 24) | (PORT_UNREACHABLE << 16));
  set32(frame, at + 4, 0);
  frame.set(copy, at + HEADER);
  const length = HEADER + quote;
  set16(frame, at + 2, checksumOf(addSum(frame, at, length, 0)));
  return length;
}
