/**
 * UDP sockets of the modelled guest (RFC 768, RFC 1122 §4.1).
 */
import type { Address, ErrorReport, Network, Packet } from "./network.ts";
import { PROTOCOL_UDP } from "./network.ts";
import { addSum, checksumOf, foldSum, get16, set16 } from "./octets.ts";

const HEADER = 8;
const PORT_FIRST = 32_768;
const PORT_COUNT = 28_000;

export interface UdpDatagram {
  readonly from: string;
  readonly fromPort: number;
  /** Copy. */
  readonly payload: Uint8Array;
}

export interface UdpEvents {
  received?(datagram: UdpDatagram): void;
  /** An ICMP error about something this socket sent. */
  failed?(report: ErrorReport): void;
}

export interface UdpHandlers {
  readonly network: Network;
  fault(text: string): void;
}

/** A port that is in use until `close`. */
export class UdpSocket {
  readonly port: number;
  events: UdpEvents;
  readonly #udp: Udp;

  constructor(udp: Udp, port: number, events: UdpEvents) {
    this.#udp = udp;
    this.port = port;
    this.events = events;
  }

  /** @returns false where the link had no room: the datagram is lost */
  send(to: string, port: number, payload: Uint8Array): boolean {
    return this.#udp.send(this.port, to, port, payload);
  }

  close(): void {
    this.#udp.close(this.port);
  }
}

export class Udp {
  readonly #handlers: UdpHandlers;
  readonly #sockets = new Map<number, UdpSocket>();
  /** Port 0xffff and address 0: sent while there is no address (DHCP). */
  readonly #nowhere: Address;
  #nextPort = 0;
  /** Off: a datagram for a closed port is not answered. */
  answers = true;

  constructor(handlers: UdpHandlers) {
    this.#handlers = handlers;
    this.#nowhere = new Uint8Array(handlers.network.addressSize);
  }

  /**
   * @param port 0 = any that is free
   * @throws RangeError where the port is in use
   */
  open(port: number, events: UdpEvents): UdpSocket {
    let chosen = port;
    for (let tries = 0; chosen === 0 && tries < PORT_COUNT; tries += 1) {
      const candidate = PORT_FIRST + (this.#nextPort++ % PORT_COUNT);
      if (!this.#sockets.has(candidate)) chosen = candidate;
    }
    if (chosen === 0 || this.#sockets.has(chosen)) {
      throw new RangeError(`Close the UDP port first: "${chosen}"`);
    }
    const socket = new UdpSocket(this, chosen, events);
    this.#sockets.set(chosen, socket);
    return socket;
  }

  close(port: number): void {
    this.#sockets.delete(port);
  }

  send(from: number, to: string, port: number, payload: Uint8Array): boolean {
    const { network } = this.#handlers;
    const { frame, payloadAt: at } = network;
    const destination = network.parse(to);
    const broadcast = destination.every((octet) => octet === 255);
    const source = broadcast ? this.#nowhere : network.address;
    const length = HEADER + payload.length;
    set16(frame, at, from);
    set16(frame, at + 2, port);
    set16(frame, at + 4, length);
    set16(frame, at + 6, 0);
    frame.set(payload, at + HEADER);
    const pseudo = network.pseudoSum(source, destination, PROTOCOL_UDP, length);
    // 0 says "no checksum" (RFC 768).
    set16(frame, at + 6, checksumOf(addSum(frame, at, length, pseudo)) || 0xffff);
    return network.send(source, destination, PROTOCOL_UDP, length);
  }

  input(packet: Packet): void {
    const { network, octets, at } = packet;
    if (packet.length < HEADER) {
      return void this.#handlers.fault(`UDP datagram of ${packet.length} octets`);
    }
    const length = get16(octets, at + 4);
    if (length < HEADER || length > packet.length) {
      return void this.#handlers.fault(`UDP length ${length}, but ${packet.length} octets came`);
    }
    if (get16(octets, at + 6) !== 0) {
      const { source, destination } = packet;
      const pseudo = network.pseudoSum(source, destination, PROTOCOL_UDP, length);
      if (foldSum(addSum(octets, at, length, pseudo)) !== 0xffff) {
        return void this.#handlers.fault("wrong UDP checksum");
      }
    }
    const socket = this.#sockets.get(get16(octets, at + 2));
    if (socket === undefined) {
      if (this.answers) network.sendPortUnreachable(packet);
      return;
    }
    socket.events.received?.({
      from: network.format(packet.source),
      fromPort: get16(octets, at),
      payload: octets.slice(at + HEADER, at + length),
    });
  }

  error(report: ErrorReport): void {
    this.#sockets.get(report.localPort)?.events.failed?.(report);
  }
}
