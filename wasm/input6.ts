/**
 * IPv6 from the guest: judged, put together, and handed to who it is for. The part of `engine` that
 * IPv4 has in `engine` itself.
 *
 * Order: header, hop limit, then what is for the whole link (neighbour discovery, DHCPv6, listener
 * reports, which are taken and ignored), then who may send and where to, fragments, transport.
 * Nothing else that was sent to a group is ever answered.
 *
 * As a router this engine ends every packet itself, so extension headers are looked at as a
 * destination would: a bounded walk, unknown options by their two top bits, routing headers with
 * segments left refused (RFC 5095).
 *
 * Source: RFC 8200, RFC 4443, RFC 4861, RFC 4007 §9, RFC 5095, RFC 7112.
 */
import * as abi from "./abi";
import { DNS6, GATEWAY6, octetsOf, ROUTER6 } from "./flow/addresses";
import { isOwnAddress } from "./flow/emit";
import { fragment6Input } from "./flow/fragments";
import { icmp6ErrorReply } from "./flow/icmp6-error";
import { natIsGuest } from "./flow/nat";
import { neighborLearn } from "./flow/neighbor";
import { packetDestination, packetSource } from "./flow/packet";
import { pingInput } from "./flow/ping";
import { udpInput } from "./flow/udp";
import { dhcp6Input } from "./local/dhcpv6";
import { icmp6EchoLocal } from "./local/icmp6";
import { ndpInput } from "./local/ndp";
import { count, drop } from "./stats";
import { tcpIcmp6 } from "./tcp/icmp";
import { tcpInput } from "./tcp/input";
import {
  address6Equal,
  address6IsLinkLocal,
  address6IsMulticast,
  address6IsUnspecified,
} from "./wire/addr6";
import { sumPseudo6 } from "./wire/checksum";
import { DHCP6_SERVER_PORT } from "./wire/dhcpv6";
import {
  ICMPV6_ECHO_REQUEST,
  ICMPV6_HEADER_SIZE,
  ICMPV6_LISTENER_DONE,
  ICMPV6_LISTENER_QUERY,
  ICMPV6_LISTENER_REPORT2,
  ICMPV6_PACKET_TOO_BIG,
  ICMPV6_PARAMETER_PROBLEM,
  ICMPV6_REDIRECT,
  ICMPV6_ROUTER_SOLICITATION,
  ICMPV6_TIME_EXCEEDED,
  ICMPV6_UNREACHABLE,
  Icmpv6View,
  icmpv6ChecksumOk,
  PROTOCOL_ICMPV6,
  UNREACHABLE_SCOPE,
} from "./wire/icmpv6";
import { PROTOCOL_TCP, PROTOCOL_UDP, WIRE_OK } from "./wire/ipv4";
import {
  IPV6_HEADER_SIZE,
  Ipv6View,
  ipv6Check,
  ipv6Walk,
  NEXT_FRAGMENT,
  NEXT_NONE,
  PROBLEM_NEXT_HEADER,
  problemCode,
  problemPointer,
  WALK_DROP,
  WALK_PROBLEM,
  walkField,
  walkOffset,
  walkProtocol,
} from "./wire/ipv6";
import { UDP_HEADER_SIZE, UdpView } from "./wire/udp";

/** The packet under way, and what the link says of it. */
let ip: usize = 0;
let mac: u64 = 0;
let trusted: bool = false;
let gso: u32 = 0;
let gsoSize: u32 = 0;

const GSO_NONE: u32 = 0;
export const GSO_TCPV6: u32 = 4;
const GSO_UDP_L4: u32 = 5;

function packetLength(): u32 {
  return IPV6_HEADER_SIZE + Ipv6View.at(ip).payloadLength;
}

function tell(type: u32, code: u32, rest: u32, now: i64): void {
  icmp6ErrorReply(ip, packetLength(), type, code, rest, GATEWAY6, mac, now);
}

/** Follows the extension headers; false = the packet ends here (counted). */
function walk(whole: bool, now: i64): bool {
  const verdict = ipv6Walk(ip, packetLength(), whole);
  if (verdict == WIRE_OK) return true;
  drop(abi.DROP_IP_EXTENSION);
  if (verdict == WALK_DROP) return false;
  // Of a multicast the sender is told only if the option wants it so (RFC 8200 §4.2).
  if (verdict == WALK_PROBLEM && address6IsMulticast(Ipv6View.at(ip).destination)) return false;
  tell(ICMPV6_PARAMETER_PROBLEM, problemCode, problemPointer, now);
  return false;
}

/** Takes the IPv6 packet in `available` octets behind the Ethernet header at `frame`. */
export function ipv6Input(
  packet: usize,
  available: u32,
  from: u64,
  group: bool,
  isTrusted: bool,
  frameGso: u32,
  segment: u32,
  now: i64,
): void {
  const code = ipv6Check(packet, available);
  if (code != WIRE_OK) {
    drop(abi.DROP_IP_TRUNCATED + code - 1);
    return;
  }
  ip = packet;
  mac = from;
  trusted = isTrusted;
  gso = frameGso;
  gsoSize = segment;
  const header = Ipv6View.at(ip);
  const hopLimit = header.hopLimit;
  if (hopLimit == 0) {
    drop(abi.DROP_IP_TTL);
    return;
  }
  if (!walk(false, now)) return;
  if (linkInput(now)) return;
  const source = packetSource(ip);
  const destination = packetDestination(ip);
  if (source == 0 || destination == 0) drop(abi.DROP_ADDRESS_TABLE_FULL);
  else if (!natIsGuest(source)) drop(abi.DROP_IP_SOURCE);
  else if (group || address6IsMulticast(header.destination)) drop(abi.DROP_IP_DESTINATION);
  else route(source, destination, hopLimit, now);
}

/** A packet from one host to another. */
function route(source: u32, destination: u32, hopLimit: u32, now: i64): void {
  neighborLearn(source, mac, now);
  if (!isOwnAddress(destination)) {
    if (hopLimit == 1) {
      drop(abi.DROP_IP_TTL);
      tell(ICMPV6_TIME_EXCEEDED, 0, 0, now);
      return;
    }
    if (address6IsLinkLocal(octetsOf(source))) {
      drop(abi.DROP_IP_SOURCE); // it has no meaning outside the link (RFC 4007 §9)
      tell(ICMPV6_UNREACHABLE, UNREACHABLE_SCOPE, 0, now);
      return;
    }
  }
  if (walkProtocol == NEXT_FRAGMENT) {
    count(abi.STAT_FRAGMENTS_RECEIVED);
    const whole = fragment6Input(ip, ip + walkOffset, mac, now);
    if (whole == 0) return;
    ip = whole;
    trusted = false;
    gso = GSO_NONE;
    gsoSize = 0;
    if (!walk(true, now)) return;
  }
  transport(now);
}

function transport(now: i64): void {
  const protocol = walkProtocol;
  const offset = walkOffset;
  const length = packetLength() - offset;
  const data = ip + offset;
  if (protocol == PROTOCOL_TCP) {
    if (gso == GSO_NONE || gso == GSO_TCPV6) tcpInput(ip, data, length, mac, trusted, now);
    else drop(abi.DROP_VNET_HEADER);
  } else if (protocol == PROTOCOL_UDP) {
    if (gso != GSO_NONE && gso != GSO_UDP_L4) drop(abi.DROP_VNET_HEADER);
    else udpInput(ip, data, length, mac, trusted, gsoSize, now);
  } else if (protocol == PROTOCOL_ICMPV6) icmpInput(data, length, now);
  else if (protocol == NEXT_NONE) count(abi.STAT_CONSUMED_LOCAL);
  else {
    drop(abi.DROP_IP_PROTOCOL);
    tell(ICMPV6_PARAMETER_PROBLEM, PROBLEM_NEXT_HEADER, walkField, now);
  }
}

/** Whether the ICMPv6 message is sound (RFC 4443 §2.3); counts it if not. */
function icmpSound(message: usize, length: u32): bool {
  if (length < ICMPV6_HEADER_SIZE) {
    drop(abi.DROP_ICMP_TRUNCATED);
    return false;
  }
  const header = Ipv6View.at(ip);
  const pseudo = sumPseudo6(header.source, header.destination, PROTOCOL_ICMPV6, length);
  if (icmpv6ChecksumOk(message, length, pseudo)) return true;
  drop(abi.DROP_ICMP_CHECKSUM);
  return false;
}

// ---------------------------------------------------------------- for the whole link

/** Neighbour discovery, listener reports and DHCPv6; true = it was one of them. */
function linkInput(now: i64): bool {
  const data = ip + walkOffset;
  const length = packetLength() - walkOffset;
  const destination = Ipv6View.at(ip).destination;
  if (walkProtocol == PROTOCOL_ICMPV6 && length > 0) {
    const type = Icmpv6View.at(data).type;
    const isNeighbor = type >= ICMPV6_ROUTER_SOLICITATION && type <= ICMPV6_REDIRECT;
    const isListener =
      (type >= ICMPV6_LISTENER_QUERY && type <= ICMPV6_LISTENER_DONE) ||
      type == ICMPV6_LISTENER_REPORT2;
    if (!isNeighbor && !isListener) return false;
    if (!icmpSound(data, length)) return true;
    if (isListener) count(abi.STAT_CONSUMED_LOCAL);
    else if (mayDiscover()) ndpInput(ip, data, length, mac, now);
    else drop(abi.DROP_IP_SOURCE);
    return true;
  }
  if (walkProtocol != PROTOCOL_UDP || length < UDP_HEADER_SIZE) return false;
  if (UdpView.at(data).destinationPort != DHCP6_SERVER_PORT) return false;
  const isUs =
    address6Equal(destination, octetsOf(GATEWAY6)) ||
    address6Equal(destination, octetsOf(ROUTER6)) ||
    address6Equal(destination, octetsOf(DNS6));
  if (!isUs && !address6IsMulticast(destination)) return false;
  dhcp6Input(ip, data, length, mac, trusted, now);
  return true;
}

/** Who may take part in neighbour discovery: a guest, or nobody yet. */
function mayDiscover(): bool {
  return address6IsUnspecified(Ipv6View.at(ip).source) || natIsGuest(packetSource(ip));
}

// ---------------------------------------------------------------- ICMPv6

function icmpInput(message: usize, length: u32, now: i64): void {
  if (!icmpSound(message, length)) return;
  const type = Icmpv6View.at(message).type;
  if (type == ICMPV6_ECHO_REQUEST) {
    if (isOwnAddress(packetDestination(ip))) icmp6EchoLocal(ip, message, length, mac);
    else pingInput(ip, message, length, mac, now);
    return;
  }
  if (
    type == ICMPV6_UNREACHABLE ||
    type == ICMPV6_PACKET_TOO_BIG ||
    type == ICMPV6_TIME_EXCEEDED ||
    type == ICMPV6_PARAMETER_PROBLEM
  ) {
    tcpIcmp6(message, message + ICMPV6_HEADER_SIZE, length - ICMPV6_HEADER_SIZE, now);
  } else drop(abi.DROP_ICMP_TYPE);
}
