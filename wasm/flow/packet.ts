/**
 * The packet under way: what the protocols above IP want to know of it, whichever version it is.
 *
 * Theory of operation
 *   There is one packet from the guest at a time, and it is handled to the end before the next one
 *   is looked at. So there is one record of it, at a fixed location: `frame` writes what the link
 *   says, `input4` or `input6` what its header says, and whoever handles it afterwards reads. A
 *   datagram that has been put together is read into it like any other packet. Nobody may rely on
 *   it once the packet has been handled: what is queued keeps a copy or the location of the header.
 *
 * Contract: `ip` is the location of a header that `ipv4Check` or `ipv6Check` has found sound.
 * Addresses are numbers as in `addresses`; 0 = there was no room to enter one, which `input6` finds
 * out first and drops the packet.
 * Source: RFC 791 §3.1, RFC 8200 §3 and 8.1, RFC 9293 §3.1.
 */
import { sumAdd, sumBytes, sumOk, sumPseudo4, sumUpper } from "../wire/checksum";
import {
  ETHERNET_HEADER_SIZE,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  EthernetView,
} from "../wire/ethernet";
import { IPV4_HEADER_SIZE, Ipv4View } from "../wire/ipv4";
import { IPV6_HEADER_SIZE, IPV6_VERSION, Ipv6View } from "../wire/ipv6";
import { GSO_NONE } from "../wire/vnet";
import { isIpv6, sumOf } from "./addresses";

@unmanaged
export class Packet {
  /** The guest's MAC address: source of the frame. */
  mac: u64;
  /** Location of the IP header. */
  ip: usize;
  /** Location of what the packet carries, behind all headers of IP, and its octets. */
  data: usize;
  length: u32;
  source: u32;
  destination: u32;
  protocol: u32;
  /** TTL or hop limit. */
  ttl: u32;
  /** TOS or traffic class. */
  tos: u32;
  /** Payload octets of each segment or datagram that a run is to be cut into; 0 = it is no run. */
  segmentSize: u32;
  /** What it is a run of, GSO_* of `wire/vnet`. */
  gso: u8;
  isIpv6: bool;
  /** The frame was sent to a group of machines. */
  isGroup: bool;
  /** The link vouches for the checksum of the transport. */
  isChecksumTrusted: bool;
}

export const packet: Packet = changetype<Packet>(memory.data(<i32>offsetof<Packet>(), 8));

/** The link says nothing of the packet, or of what its fragments were put together to. */
export function offloadsClear(): void {
  packet.isChecksumTrusted = false;
  packet.gso = <u8>GSO_NONE;
  packet.segmentSize = 0;
}

/** Octets of the packet, as far as `length` counts what it carries. */
export function packetSize(): u32 {
  return <u32>(packet.data - packet.ip) + packet.length;
}

// ---------------------------------------------------------------- headers

export function headerIsIpv6(ip: usize): bool {
  return load<u8>(ip) >>> 4 == IPV6_VERSION;
}

/**
 * Octets of the packet in the frame at `frame`, of 54 octets or more, by its own length field: what
 * some cards send behind it is padding (QEMU's eepro100: 2,600 octets). 0 = it has no such field.
 */
export function packetOctets(frame: usize): u32 {
  const type = EthernetView.at(frame).etherType;
  const ip = frame + ETHERNET_HEADER_SIZE;
  if (type == ETHERTYPE_IPV4) return Ipv4View.at(ip).totalLength;
  return type == ETHERTYPE_IPV6 ? IPV6_HEADER_SIZE + Ipv6View.at(ip).payloadLength : 0;
}

/** TOS or traffic class. */
export function headerTos(ip: usize): u32 {
  return headerIsIpv6(ip) ? Ipv6View.at(ip).trafficClass : Ipv4View.at(ip).tos;
}

/** Whether a router has to say "too big" instead of fragmenting it. */
export function headerIsAtomic(ip: usize): bool {
  return headerIsIpv6(ip) || Ipv4View.at(ip).dontFragment;
}

/** Octets of an IP header without options towards this address. */
export function headerSize(address: u32): u32 {
  return isIpv6(address) ? IPV6_HEADER_SIZE : IPV4_HEADER_SIZE;
}

/** Sum of the pseudo-header of a transport's `length` octets; both addresses of one version. */
export function pseudoSum(source: u32, destination: u32, protocol: u32, length: u32): u32 {
  if (!isIpv6(destination)) return sumPseudo4(source, destination, protocol, length);
  return sumAdd(sumAdd(sumOf(source), sumOf(destination)), sumUpper(protocol, length));
}

/** Verifies the checksum of `length` octets of transport, header included. */
export function transportChecksumOk(
  p: usize,
  length: u32,
  source: u32,
  destination: u32,
  protocol: u32,
): bool {
  return sumOk(sumAdd(pseudoSum(source, destination, protocol, length), sumBytes(p, length)));
}
