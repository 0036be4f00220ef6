/**
 * The packet under way to the guest: whom it is from and for, and what its IP header says.
 *
 * Whoever sends fills the record (`outgoingBegin`) and calls `packetSend`, or `headersEmit` where
 * the frame is built in place (`send`), before anything else is sent. Addresses are numbers as in
 * `addresses`, both of one version.
 */
import { IPV4_DF, Ipv4Fields } from "../wire/ipv4";

/** In IPv6, TTL is the hop limit and TOS the traffic class. */
@unmanaged
export class Outgoing extends Ipv4Fields {
  /** The guest's. */
  mac: u64;
}

export const outgoing: Outgoing = changetype<Outgoing>(memory.data(<i32>offsetof<Outgoing>(), 8));

/**
 * Begins a packet. Its identifier is 0 and it may not be fragmented on its way, until the emitter
 * decides otherwise.
 */
export function outgoingBegin(
  source: u32,
  destination: u32,
  mac: u64,
  protocol: u32,
  ttl: u32,
  tos: u32,
): void {
  outgoing.source = source;
  outgoing.destination = destination;
  outgoing.mac = mac;
  outgoing.protocol = protocol;
  outgoing.ttl = ttl;
  outgoing.tos = tos;
  outgoing.ident = 0;
  outgoing.fragmentField = IPV4_DF;
}
