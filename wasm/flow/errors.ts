/**
 * The error queue of host sockets, as ICMP errors for the guest.
 *
 * What the host's kernel learns about a datagram (an ICMP error from anywhere on the path, or a
 * failure of its own) it queues with the datagram's destination and what is left of its payload.
 * The guest gets the same type and code, about a packet rebuilt with its own addresses, from the
 * offender's address as the guest sees it. It never changes a mapping (RFC 4787 REQ-12).
 *
 *     control message IP_RECVERR or IPV6_RECVERR: struct sock_extended_err, then a sockaddr_in or
 *     sockaddr_in6 of the offender
 *      0       4        5      6      7     8      12     16
 *     | errno | origin | type | code | pad | info | data | offender
 *
 * A guest of IPv6 hears in ICMPv6's words; only the DNS address may stand for a resolver of the
 * other version, and then what happened there is said in the words of ICMPv4 and translated.
 *
 * Source: ip(7), ipv6(7), <linux/errqueue.h>, RFC 4443 §3, RFC 7915 §5.2 (in spirit), RFC 1122
 * §4.1.3.3, RFC 5508 REQ-4 and 5, RFC 6633 (no source quench), RFC 1191 §4. ICMP_REDIRECT is for
 * hosts on the link of its sender and is not passed on.
 */
import * as abi from "../abi/index";
import {
  EACCES,
  ECONNREFUSED,
  EHOSTDOWN,
  EHOSTUNREACH,
  EMSGSIZE,
  ENETUNREACH,
  EPERM,
} from "../errno";
import { msgName } from "../ring";
import {
  AF_INET,
  AF_INET6,
  SOCKADDR_ADDRESS_OFFSET,
  SOCKADDR_PORT_OFFSET,
  SOCKADDR_SIZE,
  SOCKADDR6_ADDRESS_OFFSET,
  SOCKADDR6_SCOPE_OFFSET,
  SOCKADDR6_SIZE,
} from "../sockaddr";
import { addressIsMulticast, addressIsReserved } from "../wire/addr";
import { ADDRESS6_IPV4_OFFSET, address6IsMapped, address6IsMulticast } from "../wire/addr6";
import { load16, load32 } from "../wire/bytes";
import { sumAdd, sumFinish } from "../wire/checksum";
import {
  ICMP_ECHO_REQUEST,
  ICMP_FRAGMENTATION_NEEDED,
  ICMP_HEADER_SIZE,
  ICMP_HOST,
  ICMP_PARAMETER_LAST,
  ICMP_PARAMETER_PROBLEM,
  ICMP_PORT,
  ICMP_PROHIBITED,
  ICMP_REASSEMBLY,
  ICMP_TIME_EXCEEDED,
  ICMP_UNREACHABLE,
  ICMP_UNREACHABLE_LAST,
  Icmpv4View,
  icmpv4Emit,
} from "../wire/icmpv4";
import {
  ICMPV6_ECHO_REQUEST,
  ICMPV6_PACKET_TOO_BIG,
  ICMPV6_PARAMETER_PROBLEM,
  ICMPV6_TIME_EXCEEDED,
  ICMPV6_UNREACHABLE,
  PROTOCOL_ICMPV6,
  UNREACHABLE_PORT,
  UNREACHABLE_PROHIBITED,
} from "../wire/icmpv6";
import { PROTOCOL_ICMP, PROTOCOL_UDP } from "../wire/ipv4";
import { IPV6_MTU_MIN } from "../wire/ipv6";
import { UDP_HEADER_SIZE, udpEmit } from "../wire/udp";
import { addressIntern, isIpv6 } from "./addresses";
import { controlFind, IP_RECVERR, IPV6_RECVERR, SOL_IP, SOL_IPV6 } from "./control";
import { guestOf, UdpFlow } from "./datagram";
import { dnsUnreachable } from "./dns";
import { dnsAddressFor } from "./dns-relay";
import { icmpErrorQuote } from "./icmp-error";
import { noticeBegin } from "./icmp-notice";
import { icmp6ErrorQuote } from "./icmp6-error";
import { natToGuest } from "./nat";
import { pathMtuTold } from "./path-mtu";
import { gatewayFor } from "./send";

/** Octets in front of the received payload in which its header is rebuilt. */
export const ERROR_HEADROOM: u32 = 16;
/** More than an ICMP error quotes. */
export const ERROR_PAYLOAD_MAX: u32 = 1024;

const ORIGIN_LOCAL: u32 = 1;
const ORIGIN_ICMP: u32 = 2;
const ORIGIN_ICMP6: u32 = 3;
/** struct sock_extended_err; the errno is first. */
const EXTENDED_ERROR_SIZE: u32 = 16;
const ORIGIN_OFFSET: usize = 4;
const TYPE_OFFSET: usize = 5;
const CODE_OFFSET: usize = 6;
const INFO_OFFSET: usize = 8;
/** The highest codes of errors that are in use, as in `wire/icmpv4`. */
const UNREACHABLE6_LAST: u32 = 7;
const PARAMETER6_LAST: u32 = 3;

/** The error to send: type << 8 | code; 0 = none. */
function fromIcmp(type: u32, code: u32): u32 {
  if (type == ICMP_UNREACHABLE && code <= ICMP_UNREACHABLE_LAST) return (type << 8) | code;
  if (type == ICMP_TIME_EXCEEDED && code <= ICMP_REASSEMBLY) return (type << 8) | code;
  if (type == ICMP_PARAMETER_PROBLEM && code <= ICMP_PARAMETER_LAST) return (type << 8) | code;
  return 0;
}

/** An ICMPv6 error that is passed on as it is: type << 8 | code; 0 = none. */
function fromIcmp6(type: u32, code: u32): u32 {
  if (type == ICMPV6_UNREACHABLE && code <= UNREACHABLE6_LAST) return (type << 8) | code;
  if (type == ICMPV6_PACKET_TOO_BIG) return type << 8;
  if (type == ICMPV6_TIME_EXCEEDED && code <= ICMP_REASSEMBLY) return (type << 8) | code;
  if (type == ICMPV6_PARAMETER_PROBLEM && code <= PARAMETER6_LAST) return (type << 8) | code;
  return 0;
}

/** The same in the words of ICMPv4. */
function asIcmp4(what: u32): u32 {
  const type = what >>> 8;
  const code = what & 0xff;
  if (type == ICMPV6_PACKET_TOO_BIG) return (ICMP_UNREACHABLE << 8) | ICMP_FRAGMENTATION_NEEDED;
  if (type == ICMPV6_TIME_EXCEEDED) return (ICMP_TIME_EXCEEDED << 8) | code;
  if (type != ICMPV6_UNREACHABLE) return 0;
  if (code == UNREACHABLE_PORT) return (ICMP_UNREACHABLE << 8) | ICMP_PORT;
  return (ICMP_UNREACHABLE << 8) | (code == UNREACHABLE_PROHIBITED ? ICMP_PROHIBITED : ICMP_HOST);
}

/** The same for a failure inside the host. */
function fromErrno(errno: u32): u32 {
  const unreachable = ICMP_UNREACHABLE << 8;
  if (errno == ENETUNREACH) return unreachable;
  if (errno == EHOSTUNREACH || errno == EHOSTDOWN) return unreachable | ICMP_HOST;
  if (errno == ECONNREFUSED) return unreachable | ICMP_PORT;
  if (errno == EMSGSIZE) return unreachable | ICMP_FRAGMENTATION_NEEDED;
  if (errno == EACCES || errno == EPERM) return unreachable | ICMP_PROHIBITED;
  return 0;
}

/** Second word of the ICMPv6 header; the MTU of a link for IPv6 is at least 1280 (RFC 8201 §4). */
function restOf6(what: u32, info: u32): u32 {
  const type = what >>> 8;
  if (type == ICMPV6_PACKET_TOO_BIG) return max(info, IPV6_MTU_MIN);
  return type == ICMPV6_PARAMETER_PROBLEM ? info : 0;
}

/** Second word of the ICMP header. */
function restOf(what: u32, info: u32): u32 {
  if (what == ((ICMP_UNREACHABLE << 8) | ICMP_FRAGMENTATION_NEEDED))
    return min<u32>(info, u16.MAX_VALUE);
  return what >>> 8 == ICMP_PARAMETER_PROBLEM ? info << 24 : 0;
}

/**
 * Address of a sockaddr_in; 0 for 240.0.0.0/4, which stands for IPv6 here: read as such it would
 * lead out of the table.
 */
function address4At(p: usize): u32 {
  return address4Of(load32(p + SOCKADDR_ADDRESS_OFFSET));
}

function address4Of(address: u32): u32 {
  return addressIsReserved(address) ? 0 : address;
}

/** Address of who reported it; 0 = unknown. */
function offenderOf(msg: usize): u32 {
  const error6 = controlFind(msg, SOL_IPV6, IPV6_RECVERR, EXTENDED_ERROR_SIZE + SOCKADDR6_SIZE);
  if (error6 != 0 && load<u16>(error6 + EXTENDED_ERROR_SIZE) == AF_INET6) {
    const name = error6 + EXTENDED_ERROR_SIZE;
    const p = name + SOCKADDR6_ADDRESS_OFFSET;
    if (address6IsMapped(p)) return address4Of(load32(p + ADDRESS6_IPV4_OFFSET));
    return address6IsMulticast(p) ? 0 : addressIntern(p, load<u32>(name, SOCKADDR6_SCOPE_OFFSET));
  }
  const error = controlFind(msg, SOL_IP, IP_RECVERR, EXTENDED_ERROR_SIZE + SOCKADDR_SIZE);
  if (error == 0 || load<u16>(error + EXTENDED_ERROR_SIZE) != AF_INET) return 0;
  return address4At(error + EXTENDED_ERROR_SIZE);
}

/**
 * The identifier in a quoted echo request becomes the guest's again, and its checksum follows (RFC
 * 1624 §3). A quote shorter than its header is replaced by a header without data.
 */
function restorePing(flow: UdpFlow, p: usize, length: u32): u32 {
  const message = Icmpv4View.at(p); // an echo looks the same in ICMPv6
  if (length < ICMP_HEADER_SIZE) {
    const type = isIpv6(flow.guestAddress) ? ICMPV6_ECHO_REQUEST : ICMP_ECHO_REQUEST;
    icmpv4Emit(p, type, 0, (<u32>flow.guestPort) << 16);
    return ICMP_HEADER_SIZE;
  }
  const sum = sumAdd(~message.checksum & 0xffff, ~message.identifier & 0xffff);
  message.checksum = sumFinish(sumAdd(sum, flow.guestPort));
  message.identifier = flow.guestPort;
  return length;
}

/** What the error says in the words of ICMPv6 or ICMPv4: type << 8 | code; 0 = nothing. */
function meaningOf(error: usize, six: bool): u32 {
  const origin = <u32>load<u8>(error, ORIGIN_OFFSET);
  const type = <u32>load<u8>(error, TYPE_OFFSET);
  const code = <u32>load<u8>(error, CODE_OFFSET);
  if (origin == ORIGIN_ICMP6) {
    const what = fromIcmp6(type, code);
    return six ? what : asIcmp4(what);
  }
  if (origin == ORIGIN_ICMP) return fromIcmp(type, code);
  return origin == ORIGIN_LOCAL ? fromErrno(load<u32>(error)) : 0;
}

/** Rebuilds the layer 4 header, of UDP in front of the payload; returns the octets of the quote. */
function requote(flow: UdpFlow, p: usize, length: u32, port: u32): u32 {
  if (flow.kind == <u8>abi.KIND_PING) return restorePing(flow, p, length);
  const size = length + UDP_HEADER_SIZE;
  udpEmit(p - UDP_HEADER_SIZE, flow.guestPort, port, size);
  return size;
}

/** The datagram's destination; 0 = not known. */
function destinationOf(name: usize): u32 {
  const family = load<u16>(name);
  if (family == AF_INET6) {
    const p = name + SOCKADDR6_ADDRESS_OFFSET;
    if (address6IsMapped(p)) return address4Of(load32(p + ADDRESS6_IPV4_OFFSET));
    return addressIntern(p, load<u32>(name, SOCKADDR6_SCOPE_OFFSET));
  }
  return family == AF_INET ? address4At(name) : 0;
}

/**
 * Tells the guest at `mac` about the error in `msg`; `length` octets of the datagram it is about
 * are at `p`, with ERROR_HEADROOM octets free before it.
 */
export function errorReport(
  flow: UdpFlow,
  msg: usize,
  p: usize,
  length: u32,
  mac: u64,
  now: i64,
): void {
  let error = controlFind(msg, SOL_IP, IP_RECVERR, EXTENDED_ERROR_SIZE);
  if (error == 0) error = controlFind(msg, SOL_IPV6, IPV6_RECVERR, EXTENDED_ERROR_SIZE);
  if (error == 0) return;
  const dns = flow.kind == <u8>abi.KIND_DNS;
  const name = msgName(msg);
  const to = dns ? flow.hostAddress : destinationOf(name);
  const guest = dns ? flow.guestAddress : guestOf(flow, to);
  // The words of ICMPv6 need a socket of IPv6; a resolver's may be of the other version.
  const six = isIpv6(guest) && !dns;
  const what = meaningOf(error, six);
  if (what == 0) return;
  const isTooBig = what == ((ICMP_UNREACHABLE << 8) | ICMP_FRAGMENTATION_NEEDED);
  if (dns && !isTooBig && !dnsUnreachable(flow, now)) return; // another resolver is asked
  // What a socket of one version says of the other is nothing that it can have sent.
  if (to == 0 || (!dns && isIpv6(to) != isIpv6(guest))) return;
  const peer = dns ? dnsAddressFor(guest) : natToGuest(to);
  const offender = offenderOf(msg);
  if (addressIsMulticast(offender)) return;
  let source = gatewayFor(guest);
  if (dns && offender == flow.hostAddress) source = peer;
  else if (offender != 0 && isIpv6(offender) == isIpv6(guest)) source = natToGuest(offender);
  const size = requote(flow, p, length, dns ? flow.peerPort : load16(name + SOCKADDR_PORT_OFFSET));
  const info = load<u32>(error, INFO_OFFSET);
  const isSize = isTooBig || (six && what == ICMPV6_PACKET_TOO_BIG << 8);
  if (isSize && info > 0 && !dns) pathMtuTold(to, info, now);
  const isPing = flow.kind == <u8>abi.KIND_PING;
  const echo = isIpv6(guest) ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP;
  const protocol = isPing ? echo : PROTOCOL_UDP;
  const quote = isPing ? p : p - UDP_HEADER_SIZE;
  if (six && <u32>load<u8>(error, ORIGIN_OFFSET) != ORIGIN_LOCAL) {
    noticeBegin(what >>> 8, what & 0xff, restOf6(what, info), source, mac);
    icmp6ErrorQuote(guest, peer, protocol, quote, size, size, now);
  } else {
    noticeBegin(what >>> 8, what & 0xff, restOf(what, info), source, mac);
    icmpErrorQuote(guest, peer, protocol, quote, size, size, now);
  }
}
