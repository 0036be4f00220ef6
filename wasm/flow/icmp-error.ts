/**
 * ICMP errors towards the guest: about a packet that is at hand, or about one that is gone but
 * whose layer 4 header is known (a failed connect, the host socket's error queue).
 *
 * Nothing is ever sent about an ICMP error or an unknown ICMP type, a packet to a broadcast or
 * multicast address, a fragment but the first, or a source that is no single host (RFC 1122
 * §3.2.2). The caller sees to frames with a group address as destination MAC. One error more than
 * `error-limit` allows is counted as DROP_REPLY_FLOOD.
 *
 * An error quotes the IP header and as much behind it as 576 octets in all allow (RFC 1812
 * §4.3.2.3), but at least 8 octets: about a packet with less behind its header none is sent. It is
 * an atomic packet (DF, RFC 6864 §4) with TOS 0xc0 (RFC 1812 §4.3.2.5, precedence 6).
 *
 * Every octet of the frame is written; none is left of what the slot held before.
 *
 * Callers speak of errors in the words of ICMPv4 whichever version the packet has; about one of
 * IPv6 `icmp6-error` says the same.
 */
import * as abi from "../abi/index";
import { config } from "../memory";
import { next } from "../prng";
import { count } from "../stats";
import {
  addressInPrefix,
  addressIsUnusableDestination,
  addressIsUnusableSource,
  PREFIX_LENGTH_BARE,
} from "../wire/addr";
import { load8 } from "../wire/bytes";
import { ETHERNET_HEADER_SIZE, ETHERTYPE_IPV4, ethernetEmit } from "../wire/ethernet";
import { ICMP_HEADER_SIZE, icmpv4ChecksumFill, icmpv4Emit } from "../wire/icmpv4";
import { IPV4_HEADER_SIZE, Ipv4View, ipv4Emit, PROTOCOL_ICMP } from "../wire/ipv4";
import { GATEWAY6, isIpv6 } from "./addresses";
import { frameCommit, gatewayMac, isOwnAddress, networkBroadcast, networkMask } from "./emit";
import { errorBegin } from "./error-limit";
import { notice, noticeBegin } from "./icmp-notice";
import { icmp6ErrorQuote, icmp6ErrorReply, icmp6FromIcmp4 } from "./icmp6-error";
import { outgoing, outgoingBegin } from "./outgoing";
import { headerIsIpv6, packet, packetSize } from "./packet";

/** 576 octets less the headers of the error itself. */
const QUOTE_SIZE_MAX: u32 = 548;
/** What has to stand behind the quoted IP header (RFC 792): nobody could tell the flow by less. */
const QUOTE_L4_SIZE_MIN: u32 = 8;
const TTL: u32 = 64;
const TOS_INTERNETWORK_CONTROL: u32 = 0xc0;
/** Types that are questions or answers, one bit each: 0, 8 to 10, 13 to 18. */
const QUERY_TYPES: u32 = 0x7e701;
const QUERY_TYPES_END: u32 = 32;

/** Broadcast or network address of the guest network. */
function isNetworkWide(address: u32): bool {
  const length = config(abi.CONFIG_PREFIX_LENGTH_OFFSET);
  if (length >= PREFIX_LENGTH_BARE) return false;
  if (!addressInPrefix(address, config(abi.CONFIG_GATEWAY_ADDRESS_OFFSET), length)) return false;
  return address == networkBroadcast() || (address & ~networkMask()) == 0;
}

/** Whether RFC 1122 §3.2.2 lets an error be sent about a packet with these properties. */
function isEligible(
  source: u32,
  destination: u32,
  protocol: u32,
  l4Header: usize,
  l4Length: u32,
): bool {
  if (addressIsUnusableSource(source) || isNetworkWide(source)) return false;
  if (isOwnAddress(source)) return false;
  if (addressIsUnusableDestination(destination) || isNetworkWide(destination)) return false;
  if (l4Length < QUOTE_L4_SIZE_MIN) return false;
  if (protocol != PROTOCOL_ICMP) return true;
  const type = load8(l4Header);
  return type < QUERY_TYPES_END && ((QUERY_TYPES >>> type) & 1) != 0;
}

/** Puts the three headers in front of a quote of `quoteLength` octets that is in place. */
function finish(ethernet: usize, destination: u32, quoteLength: u32): void {
  const ip = ethernet + ETHERNET_HEADER_SIZE;
  const icmp = ip + IPV4_HEADER_SIZE;
  const size = ICMP_HEADER_SIZE + quoteLength;
  const tos = TOS_INTERNETWORK_CONTROL;
  outgoingBegin(notice.source, destination, notice.mac, PROTOCOL_ICMP, TTL, tos);
  outgoing.ident = next() & 0xffff;
  ethernetEmit(ethernet, outgoing.mac, gatewayMac(), ETHERTYPE_IPV4);
  ipv4Emit(ip, outgoing, size);
  icmpv4Emit(icmp, notice.type, notice.code, notice.rest);
  icmpv4ChecksumFill(icmp, size);
  frameCommit(ethernet, ETHERNET_HEADER_SIZE + IPV4_HEADER_SIZE + size, 0);
  count(abi.STAT_ICMP_ERRORS_TO_GUEST);
}

/** Where the quote goes in a frame begun at `ethernet`. */
function quoteAt(ethernet: usize): usize {
  return ethernet + ETHERNET_HEADER_SIZE + IPV4_HEADER_SIZE + ICMP_HEADER_SIZE;
}

/** Says in ICMPv6 what the notice says in the words of ICMPv4. */
function translate(): void {
  const what = icmp6FromIcmp4(notice.type, notice.code);
  notice.type = what >>> 8;
  notice.code = what & 0xff;
  if (!isIpv6(notice.source)) notice.source = GATEWAY6;
}

/**
 * Sends the notice about the packet at `ip`, whose header is sound and of which `available` octets
 * are there. `now` in microseconds.
 */
export function icmpErrorReply(ip: usize, available: u32, now: i64): void {
  if (headerIsIpv6(ip)) {
    translate();
    icmp6ErrorReply(ip, available, now);
    return;
  }
  const header = Ipv4View.at(ip);
  const headerLength = header.headerLength;
  const length = min(header.totalLength, available);
  if (length < headerLength || header.fragmentOffset != 0) return;
  const to = header.source;
  const l4Length = length - headerLength;
  if (!isEligible(to, header.destination, header.protocol, ip + headerLength, l4Length)) return;
  const ethernet = errorBegin(notice.mac, now);
  if (ethernet == 0) return;
  const quoteLength = min(length, QUOTE_SIZE_MAX);
  memory.copy(quoteAt(ethernet), ip, quoteLength);
  finish(ethernet, to, quoteLength);
}

/** Sends an error about the packet under way, from the address `source`. */
export function sendIcmpError(type: u32, code: u32, source: u32, now: i64): void {
  noticeBegin(type, code, 0, source, packet.mac);
  icmpErrorReply(packet.ip, packetSize(), now);
}

/**
 * Sends the notice about a packet from the guest to `peer` that is gone. Its IP header is made up;
 * of its `l4Total` octets of layer 4, at most 65515, `l4Length` are at `l4Header`.
 */
export function icmpErrorQuote(
  guest: u32,
  peer: u32,
  protocol: u32,
  l4Header: usize,
  l4Length: u32,
  l4Total: u32,
  now: i64,
): void {
  if (isIpv6(guest)) {
    translate();
    icmp6ErrorQuote(guest, peer, protocol, l4Header, l4Length, l4Total, now);
    return;
  }
  if (!isEligible(guest, peer, protocol, l4Header, l4Length)) return;
  const ethernet = errorBegin(notice.mac, now);
  if (ethernet == 0) return;
  const quote = quoteAt(ethernet);
  const quoted = min(min(l4Length, l4Total), QUOTE_SIZE_MAX - IPV4_HEADER_SIZE);
  outgoingBegin(guest, peer, 0, protocol, TTL, 0);
  outgoing.ident = next() & 0xffff;
  ipv4Emit(quote, outgoing, l4Total);
  memory.copy(quote + IPV4_HEADER_SIZE, l4Header, quoted);
  finish(ethernet, guest, IPV4_HEADER_SIZE + quoted);
}
