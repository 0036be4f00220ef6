/**
 * The error queue of host sockets, as ICMP errors for the guest.
 *
 * What the host's kernel learns about a datagram (an ICMP error from anywhere on the path, or a
 * failure of its own) it queues with the datagram's destination and what is left of its payload.
 * The guest gets the same type and code, about a packet rebuilt with its own addresses, from the
 * offender's address as the guest sees it. It never changes a mapping (RFC 4787 REQ-12).
 *
 *     control message IP_RECVERR: struct sock_extended_err, then a sockaddr_in of the offender
 *      0       4        5      6      7     8      12     16
 *     | errno | origin | type | code | pad | info | data | offender
 *
 * Source: ip(7), <linux/errqueue.h>, RFC 1122 §4.1.3.3, RFC 5508 REQ-4 and 5, RFC 6633 (no source
 * quench), RFC 1191 §4. ICMP_REDIRECT is for hosts on the link of its sender and is not passed on.
 */
import * as abi from "../abi";
import { config } from "../memory";
import { msgName } from "../ring";
import { addressIsMulticast, addressIsReserved } from "../wire/addr";
import { load16, load32 } from "../wire/bytes";
import {
  ICMP_ECHO_REQUEST, ICMP_HEADER_SIZE, ICMP_PARAMETER_PROBLEM, ICMP_TIME_EXCEEDED,
  ICMP_UNREACHABLE, Icmpv4View, icmpv4Emit,
} from "../wire/icmpv4";
import { sumAdd, sumFinish } from "../wire/checksum";
import { PROTOCOL_ICMP, PROTOCOL_UDP } from "../wire/ipv4";
import { UDP_HEADER_SIZE, udpEmit } from "../wire/udp";
import { IP_RECVERR, SOL_IP, controlFind } from "./control";
import { UdpFlow } from "./datagram";
import { icmpErrorQuote } from "./icmp-error";
import { natToGuest } from "./nat";
import { resolverFailed } from "./resolvers";

/** Octets in front of the received payload in which its header is rebuilt. */
export const ERROR_HEADROOM: u32 = 16;
/** More than an ICMP error quotes. */
export const ERROR_PAYLOAD_MAX: u32 = 1024;

const ORIGIN_LOCAL: u32 = 1;
const ORIGIN_ICMP: u32 = 2;
const EXTENDED_ERROR_SIZE: u32 = 16;
const OFFENDER_SIZE: u32 = 16;
const AF_INET: u16 = 2;

const EPERM: u32 = 1;
const EACCES: u32 = 13;
const EMSGSIZE: u32 = 90;
const ENETUNREACH: u32 = 101;
const ECONNREFUSED: u32 = 111;
const EHOSTDOWN: u32 = 112;
const EHOSTUNREACH: u32 = 113;

const FRAGMENTATION_NEEDED: u32 = 4;

/** The error to send: type << 8 | code; 0 = none. */
function fromIcmp(type: u32, code: u32): u32 {
  if (type == ICMP_UNREACHABLE && code <= 15) return (type << 8) | code;
  if (type == ICMP_TIME_EXCEEDED && code <= 1) return (type << 8) | code;
  if (type == ICMP_PARAMETER_PROBLEM && code <= 2) return (type << 8) | code;
  return 0;
}

/** The same for a failure inside the host. */
function fromErrno(errno: u32): u32 {
  const unreachable = ICMP_UNREACHABLE << 8;
  if (errno == ENETUNREACH) return unreachable;
  if (errno == EHOSTUNREACH || errno == EHOSTDOWN) return unreachable | 1;
  if (errno == ECONNREFUSED) return unreachable | 3;
  if (errno == EMSGSIZE) return unreachable | FRAGMENTATION_NEEDED;
  if (errno == EACCES || errno == EPERM) return unreachable | 13;
  return 0;
}

/** Second word of the ICMP header. */
function restOf(what: u32, info: u32): u32 {
  if (what == ((ICMP_UNREACHABLE << 8) | FRAGMENTATION_NEEDED)) return min(info, 0xffff);
  return what >>> 8 == ICMP_PARAMETER_PROBLEM ? info << 24 : 0;
}

/** Address of who reported it; 0 = unknown. */
function offenderOf(msg: usize): u32 {
  const error = controlFind(msg, SOL_IP, IP_RECVERR, EXTENDED_ERROR_SIZE + OFFENDER_SIZE);
  if (error == 0 || load<u16>(error + EXTENDED_ERROR_SIZE) != AF_INET) return 0;
  return load32(error + EXTENDED_ERROR_SIZE + 4);
}

/**
 * The identifier in a quoted echo request becomes the guest's again, and its checksum follows (RFC
 * 1624 §3). A quote shorter than its header is replaced by a header without data.
 */
function restorePing(flow: UdpFlow, p: usize, length: u32): u32 {
  const message = Icmpv4View.at(p);
  if (length < ICMP_HEADER_SIZE) {
    icmpv4Emit(p, ICMP_ECHO_REQUEST, 0, <u32>flow.guestPort << 16);
    return ICMP_HEADER_SIZE;
  }
  const sum = sumAdd(~message.checksum & 0xffff, ~message.identifier & 0xffff);
  message.checksum = sumFinish(sumAdd(sum, flow.guestPort));
  message.identifier = flow.guestPort;
  return length;
}

/**
 * Tells the guest at `mac` about the error in `msg`; `length` octets of the datagram it is about
 * are at `p`, with ERROR_HEADROOM octets free before it.
 */
export function errorReport(
  flow: UdpFlow, msg: usize, p: usize, length: u32, mac: u64, now: i64,
): void {
  const error = controlFind(msg, SOL_IP, IP_RECVERR, EXTENDED_ERROR_SIZE);
  if (error == 0) return;
  const origin = <u32>load<u8>(error, 4);
  const what = origin == ORIGIN_ICMP
    ? fromIcmp(load<u8>(error, 5), load<u8>(error, 6))
    : origin == ORIGIN_LOCAL ? fromErrno(load<u32>(error)) : 0;
  if (what == 0) return;
  const dns = flow.kind == <u8>abi.KIND_DNS;
  if (dns) resolverFailed(flow.resolver);
  const name = msgName(msg);
  if (!dns && load<u16>(name) != AF_INET) return;
  const to = load32(name + 4);
  const peer = dns ? flow.peerAddress : natToGuest(to);
  const offender = offenderOf(msg);
  if (addressIsMulticast(offender) || addressIsReserved(offender)) return;
  let source = config(abi.CONFIG_GATEWAY_ADDRESS_OFFSET);
  if (dns && offender == flow.hostAddress) source = flow.peerAddress;
  else if (offender != 0) source = natToGuest(offender);
  let protocol = PROTOCOL_UDP;
  let quote = p;
  let size = length;
  if (flow.kind == <u8>abi.KIND_PING) {
    protocol = PROTOCOL_ICMP;
    size = restorePing(flow, p, length);
  } else {
    quote = p - UDP_HEADER_SIZE;
    size = length + UDP_HEADER_SIZE;
    udpEmit(quote, flow.guestPort, dns ? flow.peerPort : load16(name + 2), size);
  }
  icmpErrorQuote(
    what >>> 8, what & 0xff, restOf(what, load<u32>(error, 8)), source, flow.guestAddress, peer,
    protocol, quote, size, size, mac, now,
  );
}
