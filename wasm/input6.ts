/**
 * IPv6 from the guest: judged, put together, and handed to who it is for. The twin of `input4`.
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
import * as abi from "./abi/index";
import {
  addressOfDestination,
  addressOfSource,
  DNS6,
  GATEWAY6,
  octetsOf,
  ROUTER6,
} from "./flow/addresses";
import { isOwnAddress } from "./flow/emit";
import { fragment6Input } from "./flow/fragments";
import { sendIcmp6Error } from "./flow/icmp6-error";
import { natIsGuest } from "./flow/nat";
import { neighborLearn } from "./flow/neighbor";
import { offloadsClear, packet, packetSize } from "./flow/packet";
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
  Ipv6Walk,
  ipv6Check,
  ipv6Walk,
  NEXT_FRAGMENT,
  NEXT_NONE,
  PROBLEM_NEXT_HEADER,
  WALK_DROP,
  WALK_PROBLEM,
} from "./wire/ipv6";
import { UDP_HEADER_SIZE, UdpView } from "./wire/udp";
import { GSO_NONE, GSO_TCPV6, GSO_UDP_L4 } from "./wire/vnet";

/** What the walk over the extension headers has found. */
const walked: Ipv6Walk = changetype<Ipv6Walk>(memory.data(<i32>offsetof<Ipv6Walk>(), 4));

/** Writes into the record what the header at `ip` says but the addresses, which need room. */
function read(ip: usize): void {
  const header = Ipv6View.at(ip);
  packet.ip = ip;
  packet.data = ip + IPV6_HEADER_SIZE;
  packet.length = header.payloadLength;
  packet.ttl = header.hopLimit;
  packet.tos = header.trafficClass;
  packet.isIpv6 = true;
}

/** Follows the extension headers; false = the packet ends here (counted). */
function walk(whole: bool, now: i64): bool {
  const ip = packet.ip;
  const size = packetSize();
  const verdict = ipv6Walk(ip, size, whole, walked);
  if (verdict == WIRE_OK) {
    packet.protocol = walked.protocol;
    packet.data = ip + walked.offset;
    packet.length = size - walked.offset;
    return true;
  }
  drop(abi.DROP_IP_EXTENSION);
  if (verdict == WALK_DROP) return false;
  // Of a multicast the sender is told only if the option wants it so (RFC 8200 §4.2).
  if (verdict == WALK_PROBLEM && address6IsMulticast(Ipv6View.at(ip).destination)) return false;
  sendIcmp6Error(ICMPV6_PARAMETER_PROBLEM, walked.problemCode, walked.problemPointer, now);
  return false;
}

/** Takes the packet at `ip`, in `available` octets. */
export function ipv6Input(ip: usize, available: u32, now: i64): void {
  const code = ipv6Check(ip, available);
  if (code != WIRE_OK) {
    drop(abi.DROP_IP_TRUNCATED + code - 1);
    return;
  }
  read(ip);
  if (packet.ttl == 0) {
    drop(abi.DROP_IP_TTL);
    return;
  }
  if (!walk(false, now)) return;
  if (linkInput(now)) return;
  const header = Ipv6View.at(ip);
  packet.source = addressOfSource(header.source);
  packet.destination = addressOfDestination(header.destination);
  if (packet.source == 0 || packet.destination == 0) drop(abi.DROP_ADDRESS_TABLE_FULL);
  else if (!natIsGuest(packet.source)) drop(abi.DROP_IP_SOURCE);
  else if (packet.isGroup || address6IsMulticast(header.destination)) {
    drop(abi.DROP_IP_DESTINATION);
  } else route(now);
}

/** A packet from one host to another. */
function route(now: i64): void {
  neighborLearn(packet.source, packet.mac, now);
  if (!isOwnAddress(packet.destination)) {
    if (packet.ttl == 1) {
      drop(abi.DROP_IP_TTL);
      sendIcmp6Error(ICMPV6_TIME_EXCEEDED, 0, 0, now);
      return;
    }
    if (address6IsLinkLocal(octetsOf(packet.source))) {
      drop(abi.DROP_IP_SOURCE); // it has no meaning outside the link (RFC 4007 §9)
      sendIcmp6Error(ICMPV6_UNREACHABLE, UNREACHABLE_SCOPE, 0, now);
      return;
    }
  }
  if (packet.protocol == NEXT_FRAGMENT) {
    count(abi.STAT_FRAGMENTS_RECEIVED);
    const whole = fragment6Input(now);
    if (whole == 0) return;
    offloadsClear();
    read(whole);
    if (!walk(true, now)) return;
  }
  transport(now);
}

function transport(now: i64): void {
  const protocol = packet.protocol;
  const gso = <u32>packet.gso;
  if (protocol == PROTOCOL_TCP) {
    if (gso == GSO_NONE || gso == GSO_TCPV6) tcpInput(now);
    else drop(abi.DROP_VNET_HEADER);
  } else if (protocol == PROTOCOL_UDP) {
    if (gso == GSO_NONE || gso == GSO_UDP_L4) udpInput(now);
    else drop(abi.DROP_VNET_HEADER);
  } else if (protocol == PROTOCOL_ICMPV6) icmpInput(now);
  else if (protocol == NEXT_NONE) count(abi.STAT_CONSUMED_LOCAL);
  else {
    drop(abi.DROP_IP_PROTOCOL);
    sendIcmp6Error(ICMPV6_PARAMETER_PROBLEM, PROBLEM_NEXT_HEADER, walked.field, now);
  }
}

/** Whether the packet's ICMPv6 message is sound (RFC 4443 §2.3); counts it if not. */
function isIcmpSound(): bool {
  const length = packet.length;
  if (length < ICMPV6_HEADER_SIZE) {
    drop(abi.DROP_ICMP_TRUNCATED);
    return false;
  }
  const header = Ipv6View.at(packet.ip);
  const pseudo = sumPseudo6(header.source, header.destination, PROTOCOL_ICMPV6, length);
  if (icmpv6ChecksumOk(packet.data, length, pseudo)) return true;
  drop(abi.DROP_ICMP_CHECKSUM);
  return false;
}

// ---------------------------------------------------------------- for the whole link

/** Neighbour discovery, listener reports and DHCPv6; true = it was one of them. */
function linkInput(now: i64): bool {
  if (packet.protocol == PROTOCOL_ICMPV6) return packet.length > 0 && discoveryInput(now);
  if (packet.protocol != PROTOCOL_UDP || packet.length < UDP_HEADER_SIZE) return false;
  if (UdpView.at(packet.data).destinationPort != DHCP6_SERVER_PORT) return false;
  const destination = Ipv6View.at(packet.ip).destination;
  const isUs =
    address6Equal(destination, octetsOf(GATEWAY6)) ||
    address6Equal(destination, octetsOf(ROUTER6)) ||
    address6Equal(destination, octetsOf(DNS6));
  if (!isUs && !address6IsMulticast(destination)) return false;
  dhcp6Input(now);
  return true;
}

function discoveryInput(now: i64): bool {
  const type = Icmpv6View.at(packet.data).type;
  const isNeighbor = type >= ICMPV6_ROUTER_SOLICITATION && type <= ICMPV6_REDIRECT;
  const isListener =
    (type >= ICMPV6_LISTENER_QUERY && type <= ICMPV6_LISTENER_DONE) ||
    type == ICMPV6_LISTENER_REPORT2;
  if (!isNeighbor && !isListener) return false;
  if (!isIcmpSound()) return true;
  if (isListener) count(abi.STAT_CONSUMED_LOCAL);
  else if (mayDiscover()) ndpInput(now);
  else drop(abi.DROP_IP_SOURCE);
  return true;
}

/** Who may take part in neighbour discovery: a guest, or nobody yet. */
function mayDiscover(): bool {
  const source = Ipv6View.at(packet.ip).source;
  packet.source = address6IsUnspecified(source) ? 0 : addressOfSource(source);
  return address6IsUnspecified(source) || natIsGuest(packet.source);
}

// ---------------------------------------------------------------- ICMPv6

function icmpInput(now: i64): void {
  if (!isIcmpSound()) return;
  const message = packet.data;
  const type = Icmpv6View.at(message).type;
  if (type == ICMPV6_ECHO_REQUEST) {
    if (isOwnAddress(packet.destination)) icmp6EchoLocal();
    else pingInput(now);
    return;
  }
  if (
    type == ICMPV6_UNREACHABLE ||
    type == ICMPV6_PACKET_TOO_BIG ||
    type == ICMPV6_TIME_EXCEEDED ||
    type == ICMPV6_PARAMETER_PROBLEM
  ) {
    tcpIcmp6(message + ICMPV6_HEADER_SIZE, packet.length - ICMPV6_HEADER_SIZE, now);
  } else drop(abi.DROP_ICMP_TYPE);
}
