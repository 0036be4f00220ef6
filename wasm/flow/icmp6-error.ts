/**
 * ICMPv6 errors towards the guest: about a packet that is at hand, or about one that is gone but
 * whose layer 4 header is known. The twin of `icmp-error`, which calls this for IPv6 packets.
 *
 * Nothing is ever sent about an ICMPv6 error or a redirect, a source that is no single host, or a
 * packet to a multicast address but "packet too big" and "unknown
 * option" (RFC 4443 §2.4 (e)). The bucket is `error-limit`'s. An error quotes as much of the packet
 * as 1280 octets in all allow (§2.4 (c)). Every octet of the frame is written.
 *
 * `icmp6FromIcmp4` says in ICMPv6 what the callers say in the words of ICMPv4:
 *
 *     unreachable: net, port, prohibited, others    no route, port, prohibited, address
 *     unreachable: fragmentation needed             packet too big
 *     time exceeded: in transit, in reassembly      the same
 *
 * Source: RFC 4443 §2.4 and 3, RFC 7915 §4.2 (in spirit).
 */
import * as abi from "../abi/index";
import { count } from "../stats";
import { address6IsMulticast, address6IsUnusable } from "../wire/addr6";
import { load8 } from "../wire/bytes";
import { sumPseudo6 } from "../wire/checksum";
import { ETHERNET_HEADER_SIZE, ETHERTYPE_IPV6, ethernetEmit } from "../wire/ethernet";
import {
  ICMP_FRAGMENTATION_NEEDED,
  ICMP_NET,
  ICMP_PORT,
  ICMP_PROHIBITED,
  ICMP_TIME_EXCEEDED,
  ICMP_UNREACHABLE,
} from "../wire/icmpv4";
import {
  ICMPV6_ECHO_REQUEST,
  ICMPV6_HEADER_SIZE,
  ICMPV6_PACKET_TOO_BIG,
  ICMPV6_PARAMETER_PROBLEM,
  ICMPV6_REDIRECT,
  ICMPV6_TIME_EXCEEDED,
  ICMPV6_UNREACHABLE,
  icmpv6ChecksumFill,
  icmpv6Emit,
  PROTOCOL_ICMPV6,
  UNREACHABLE_ADDRESS,
  UNREACHABLE_NO_ROUTE,
  UNREACHABLE_PORT,
  UNREACHABLE_PROHIBITED,
} from "../wire/icmpv6";
import {
  EXTENSION_SHIFT,
  EXTENSION_UNIT,
  FragmentView,
  IPV6_FRAGMENT_SIZE,
  IPV6_HEADER_SIZE,
  IPV6_MTU_MIN,
  Ipv6View,
  ipv6Emit,
  NEXT_DESTINATION,
  NEXT_FRAGMENT,
  NEXT_HOP_BY_HOP,
  NEXT_ROUTING,
  PROBLEM_OPTION,
} from "../wire/ipv6";
import { addressOfSource, GATEWAY6, octetsOf } from "./addresses";
import { frameCommit, gatewayMac, isOwnAddress } from "./emit";
import { errorBegin } from "./error-limit";
import { notice, noticeBegin } from "./icmp-notice";
import { packet, packetSize } from "./packet";

const QUOTE_SIZE_MAX: u32 = IPV6_MTU_MIN - IPV6_HEADER_SIZE - ICMPV6_HEADER_SIZE;
const HOP_LIMIT: u32 = 64;
const HEADERS_MAX: u32 = 10;

/** An ICMPv4 error as an ICMPv6 one: type << 8 | code. */
export function icmp6FromIcmp4(type: u32, code: u32): u32 {
  if (type == ICMP_TIME_EXCEEDED) return (ICMPV6_TIME_EXCEEDED << 8) | code;
  if (type != ICMP_UNREACHABLE) return 0;
  if (code == ICMP_FRAGMENTATION_NEEDED) return ICMPV6_PACKET_TOO_BIG << 8;
  let said = UNREACHABLE_ADDRESS;
  if (code == ICMP_NET) said = UNREACHABLE_NO_ROUTE;
  else if (code == ICMP_PORT) said = UNREACHABLE_PORT;
  else if (code == ICMP_PROHIBITED) said = UNREACHABLE_PROHIBITED;
  return (ICMPV6_UNREACHABLE << 8) | said;
}

/** Whether an ICMPv6 message of this type may be the subject of an error. */
function isSubject(type: u32): bool {
  return type >= ICMPV6_ECHO_REQUEST && type != ICMPV6_REDIRECT;
}

/**
 * Whether the packet of `length` octets carries something an error may be about; headers that
 * cannot be followed carry nothing that speaks against it.
 */
function carriesSubject(ip: usize, length: u32): bool {
  let next = Ipv6View.at(ip).nextHeader;
  let offset: u32 = IPV6_HEADER_SIZE;
  for (let i: u32 = 0; i < HEADERS_MAX; i++) {
    if (next == PROTOCOL_ICMPV6) return offset < length && isSubject(load8(ip + offset));
    const isOptions = next == NEXT_HOP_BY_HOP || next == NEXT_DESTINATION;
    if (!isOptions && next != NEXT_ROUTING && next != NEXT_FRAGMENT) return true;
    if (length - offset < EXTENSION_UNIT) return true;
    const fragment = FragmentView.at(ip + offset);
    if (next == NEXT_FRAGMENT && fragment.offset != 0) {
      return fragment.nextHeader != PROTOCOL_ICMPV6; // it might be of an error
    }
    const size =
      next == NEXT_FRAGMENT ? IPV6_FRAGMENT_SIZE : (load8(ip + offset + 1) + 1) << EXTENSION_SHIFT;
    next = load8(ip + offset);
    if (size > length - offset) return true;
    offset += size;
  }
  return true;
}

/** Puts the three headers in front of a quote of `quoteLength` octets that is in place. */
function finish(ethernet: usize, to: usize, quoteLength: u32): void {
  const ip = ethernet + ETHERNET_HEADER_SIZE;
  const icmp = ip + IPV6_HEADER_SIZE;
  const size = ICMPV6_HEADER_SIZE + quoteLength;
  const from = octetsOf(notice.source);
  ethernetEmit(ethernet, notice.mac, gatewayMac(), ETHERTYPE_IPV6);
  ipv6Emit(ip, from, to, PROTOCOL_ICMPV6, size, HOP_LIMIT, 0);
  icmpv6Emit(icmp, notice.type, notice.code, notice.rest);
  icmpv6ChecksumFill(icmp, size, sumPseudo6(from, to, PROTOCOL_ICMPV6, size));
  frameCommit(ethernet, ETHERNET_HEADER_SIZE + IPV6_HEADER_SIZE + size, 0);
  count(abi.STAT_ICMP_ERRORS_TO_GUEST);
}

function quoteAt(ethernet: usize): usize {
  return ethernet + ETHERNET_HEADER_SIZE + IPV6_HEADER_SIZE + ICMPV6_HEADER_SIZE;
}

/** Whether the notice may be about a packet to such an address. */
function mayConcern(destination: usize): bool {
  if (!address6IsMulticast(destination)) return true;
  if (notice.type == ICMPV6_PACKET_TOO_BIG) return true;
  return notice.type == ICMPV6_PARAMETER_PROBLEM && notice.code == PROBLEM_OPTION;
}

/**
 * Sends the notice, in ICMPv6's own types and codes and from an IPv6 address, about the packet at
 * `ip`, whose header is sound and of which `available` octets are there. `now` in microseconds.
 */
export function icmp6ErrorReply(ip: usize, available: u32, now: i64): void {
  const header = Ipv6View.at(ip);
  const length = min(IPV6_HEADER_SIZE + header.payloadLength, available);
  if (length < IPV6_HEADER_SIZE || address6IsUnusable(header.source)) return;
  if (!mayConcern(header.destination) || !carriesSubject(ip, length)) return;
  const from = addressOfSource(header.source);
  if (from == 0 || isOwnAddress(from)) return;
  const ethernet = errorBegin(notice.mac, now);
  if (ethernet == 0) return;
  const quoteLength = min(length, QUOTE_SIZE_MAX);
  memory.copy(quoteAt(ethernet), ip, quoteLength);
  finish(ethernet, header.source, quoteLength);
}

/** Sends an error about the packet under way, from the gateway. */
export function sendIcmp6Error(type: u32, code: u32, rest: u32, now: i64): void {
  noticeBegin(type, code, rest, GATEWAY6, packet.mac);
  icmp6ErrorReply(packet.ip, packetSize(), now);
}

/**
 * Sends the notice about a packet from the guest to `peer` that is gone. Its IPv6 header is made
 * up; of its `l4Total` octets of layer 4, at most 65535, `l4Length` are at `l4Header`.
 */
export function icmp6ErrorQuote(
  guest: u32,
  peer: u32,
  protocol: u32,
  l4Header: usize,
  l4Length: u32,
  l4Total: u32,
  now: i64,
): void {
  if (protocol == PROTOCOL_ICMPV6 && (l4Length == 0 || !isSubject(load8(l4Header)))) return;
  const ethernet = errorBegin(notice.mac, now);
  if (ethernet == 0) return;
  const quote = quoteAt(ethernet);
  const quoted = min(min(l4Length, l4Total), QUOTE_SIZE_MAX - IPV6_HEADER_SIZE);
  ipv6Emit(quote, octetsOf(guest), octetsOf(peer), protocol, l4Total, HOP_LIMIT, 0);
  memory.copy(quote + IPV6_HEADER_SIZE, l4Header, quoted);
  finish(ethernet, octetsOf(guest), IPV6_HEADER_SIZE + quoted);
}
