/**
 * What transports of the modelled guest need of an address family: IPv4 today, IPv6 by another
 * implementation of `Network`.
 *
 * Addresses are octets as on the wire. Transports build a packet in place: they write header and
 * payload into `frame` from `payloadAt` on and call `send`. Received packets are handed up as one
 * reused record that is valid during the call only.
 */

/** Protocol numbers, shared by both families. */
export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;

export type Address = Uint8Array;

export interface Network {
  /** Octets of an address. */
  readonly addressSize: number;
  /** Own address; all zero until there is one. */
  readonly address: Address;
  /** Largest packet in octets, IP header included. */
  readonly mtu: number;
  /** Octets of the IP header in front of a transport header. */
  readonly headerSize: number;
  /** Where transports write their header and payload. */
  readonly frame: Uint8Array;
  readonly payloadAt: number;

  parse(text: string): Address;
  format(address: Address): string;

  /** Sum over the pseudo header, for TCP and UDP. */
  pseudoSum(source: Address, destination: Address, protocol: number, length: number): number;

  /**
   * Sends the `length` octets written at `payloadAt`, in fragments where they exceed the MTU.
   * @returns false where the link had no room; then nothing was sent. A packet that waits for the
   *   next hop's link address counts as sent.
   */
  send(source: Address, destination: Address, protocol: number, length: number): boolean;

  /** Tells the sender of a received packet that nobody listens there. */
  sendPortUnreachable(packet: Packet): void;
}

/** A packet whose header was checked; `octets` holds at least its `length` octets from `at` on. */
export interface Packet {
  readonly network: Network;
  readonly source: Address;
  readonly destination: Address;
  protocol: number;
  ttl: number;
  /** Sent to everybody. */
  broadcast: boolean;
  octets: Uint8Array;
  /** Where the transport header begins, and how many octets there are from there on. */
  at: number;
  length: number;
  /** Where the IP header begins. */
  headerAt: number;
}

/** What an ICMP error said about a packet of ours. */
export interface ErrorReport {
  readonly network: Network;
  readonly type: number;
  readonly code: number;
  /** Protocol, ports and destination of the packet it is about. */
  readonly protocol: number;
  readonly localPort: number;
  readonly remotePort: number;
  readonly remote: Address;
  /** From a "fragmentation needed", else 0. */
  readonly mtu: number;
}
