/**
 * Reassembly of what the guest sends in fragments, IPv4 and IPv6 alike.
 *
 * Theory of operation
 *   Eight datagrams at a time, each known by (source, destination, protocol, ident) and held for 60
 *   seconds at most; of IPv6, where headers may stand between, the protocol does not count.
 *   Fragments are copied to their place in a buffer of 64 KiB; two bitmaps with one bit per 8
 *   octets say which units are there and where a fragment begins. That makes every fragment cost
 *   about the same, however many came before (FragmentSmack).
 *
 *   Fragments may come in any order. One that covers exactly what an earlier one covered is
 *   ignored. Any other overlap, or two opinions about the length of the datagram, condemns the
 *   datagram: what is held is dropped, and so is what still comes until its time is up (the rule of
 *   RFC 5722 §4, taken over for IPv4). Nothing can be overwritten, nothing can be overlooked.
 *
 *   A complete datagram is handed out in its buffer, with the header of its first fragment right in
 *   front, and its context is free at once. Of an IPv6 datagram only the first 40 octets of that
 *   are kept: extension headers before the fragment header have done their work. Its fragment
 *   header is kept, too, until it is complete, so that the fragment can be quoted. The
 *   buffer stays until `fragmentBatchReset`. A batch of 64 frames can complete at most 8 + (64 - 8)
 *   / 2 = 36 datagrams, so 44 buffers always suffice.
 *
 *   Counting: the caller counts STAT_FRAGMENTS_RECEIVED; here, the fragments of a datagram that is
 *   never completed are dropped once each, by the reason that ended it.
 *
 * Contract: headers have passed `ipv4Check`, or `ipv6Check` and `ipv6Walk`; `now` in microseconds,
 * never backwards.
 * Source: RFC 791 §3.2, RFC 815, RFC 1122 §3.3.2, RFC 5722 §4, RFC 1858 §3, RFC
 * 3128 §2, RFC 8200 §4.5, RFC 7112.
 */
import * as abi from "../abi/index";
import { drop } from "../stats";
import { sumBytes, sumStore } from "../wire/checksum";
import { ICMP_REASSEMBLY, ICMP_TIME_EXCEEDED } from "../wire/icmpv4";
import { ICMPV6_PARAMETER_PROBLEM } from "../wire/icmpv6";
import {
  FRAGMENT_UNIT_MASK,
  FRAGMENT_UNIT_SHIFT,
  IPV4_CHECKSUM_OFFSET,
  Ipv4View,
  PROTOCOL_TCP,
} from "../wire/ipv4";
import {
  FRAGMENT_FIELD_OFFSET,
  FragmentView,
  IPV6_FRAGMENT_SIZE,
  IPV6_HEADER_SIZE,
  IPV6_PAYLOAD_LENGTH_OFFSET,
  Ipv6View,
  NEXT_FRAGMENT,
  PROBLEM_FIELD,
} from "../wire/ipv6";
import { isIpv6 } from "./addresses";
import { bitGet, bitsCount, bitsSet } from "./bitmap";
import {
  BITMAP_SIZE,
  Context,
  condemn,
  contextAt,
  contextOf,
  contextsUsed,
  discard,
  handOut,
  payloadOf,
  receivedOf,
  STATE_COLLECTING,
  STATE_CONDEMNED,
  STATE_FREE,
} from "./fragment-context";
import { icmpErrorReply } from "./icmp-error";
import { noticeBegin } from "./icmp-notice";
import { sendIcmp6Error } from "./icmp6-error";
import { neighborFind } from "./neighbor";
import { packet } from "./packet";
import { gatewayFor } from "./send";

const PACKET_SIZE_MAX: u32 = 65535;
/** RFC 1858 §3.2.1: a first fragment shorter than this hides the flags of its TCP header. */
const TCP_FIRST_SIZE_MIN: u32 = 16;

/** Why a fragment is wrong all by itself; DROP_NONE if it is not. */
function faultOf(header: Ipv4View, offset: u32, length: u32, isLast: bool): i32 {
  if (length == 0 || (!isLast && (length & FRAGMENT_UNIT_MASK) != 0))
    return abi.DROP_FRAGMENT_MALFORMED;
  if (header.headerLength + offset + length > PACKET_SIZE_MAX) return abi.DROP_FRAGMENT_OVERSIZED;
  if (header.protocol == PROTOCOL_TCP) {
    const isTiny = offset == 0 ? length < TCP_FIRST_SIZE_MIN : offset == 1 << FRAGMENT_UNIT_SHIFT;
    if (isTiny) return abi.DROP_FRAGMENT_MALFORMED;
  }
  return abi.DROP_NONE;
}

/** Units of 8 octets that hold `octets`. */
function unitsOf(octets: u32): u32 {
  return (octets + FRAGMENT_UNIT_MASK) >>> FRAGMENT_UNIT_SHIFT;
}

/** Whether exactly this range came before as one fragment. */
function isDuplicate(context: Context, from: u32, to: u32, end: u32, isLast: bool): bool {
  const received = receivedOf(context);
  const starts = received + BITMAP_SIZE;
  if (isLast != (context.total == end)) return false;
  // The last unit of a datagram may be a part of one, which no other fragment can end in.
  if (context.total != 0 && end > context.total) return false;
  if (bitsCount(received, from, to) != to - from) return false;
  if (!bitGet(starts, from) || bitsCount(starts, from, to) != 1) return false;
  return end == context.end || !bitGet(received, to) || bitGet(starts, to);
}

/** Whether the datagram can still be right with this range in it. */
function isConsistent(context: Context, from: u32, to: u32, end: u32, isLast: bool): bool {
  if (isLast && (context.total != 0 || context.end > end)) return false;
  if (context.total != 0 && end > context.total) return false;
  return bitsCount(receivedOf(context), from, to) == 0;
}

/** The same for IPv6, whose length field does not count the header. */
function complete6(context: Context): usize {
  const from = payloadOf(context) - IPV6_HEADER_SIZE - IPV6_FRAGMENT_SIZE;
  const ip = from + IPV6_FRAGMENT_SIZE;
  const next = FragmentView.at(from + IPV6_HEADER_SIZE).nextHeader;
  memory.copy(ip, from, IPV6_HEADER_SIZE);
  Ipv6View.at(ip).nextHeader = next;
  Ipv6View.at(ip).payloadLength = context.total;
  return handOut(context, ip);
}

/** Hands out the datagram: its header made that of a whole packet. 0 if it is too long with it. */
function complete(context: Context): usize {
  if (isIpv6(context.source)) return complete6(context);
  const headerLength = context.headerLength;
  if (headerLength + context.total > PACKET_SIZE_MAX) {
    discard(context, abi.DROP_FRAGMENT_OVERSIZED);
    return 0;
  }
  const ip = payloadOf(context) - headerLength;
  const header = Ipv4View.at(ip);
  header.totalLength = headerLength + context.total;
  header.fragmentField = 0;
  header.checksum = 0;
  sumStore(ip + IPV4_CHECKSUM_OFFSET, sumBytes(ip, headerLength));
  return handOut(context, ip);
}

/**
 * Takes the fragment at `ip`. Returns the address of the whole packet when this was the last piece
 * missing, else 0: it is held, was a duplicate, or was dropped and counted.
 */
export function fragmentInput(ip: usize, now: i64): usize {
  const header = Ipv4View.at(ip);
  const headerLength = header.headerLength;
  const offset = header.fragmentOffset;
  const isLast = !header.moreFragments;
  if (isLast && offset == 0) return ip; // not a fragment
  const length = header.totalLength - headerLength;
  const fault = faultOf(header, offset, length, isLast);
  if (fault != abi.DROP_NONE) {
    drop(fault);
    return 0;
  }
  const context = contextOf(header.source, header.destination, header.protocol, header.ident, now);
  return collect(context, ip, headerLength, ip + headerLength, offset, length, isLast);
}

/** A "parameter problem" about the packet under way; the fragment has been counted. */
function complain(pointer: u32, now: i64): void {
  sendIcmp6Error(ICMPV6_PARAMETER_PROBLEM, PROBLEM_FIELD, pointer, now);
}

/** The first 40 octets of a fragment and its fragment header, one behind the other. */
const HEADERS6: usize = memory.data(IPV6_HEADER_SIZE + IPV6_FRAGMENT_SIZE, 8);

/** The same for the packet under way, of IPv6, which ends at its fragment header. */
export function fragment6Input(now: i64): usize {
  const ip = packet.ip;
  const header = packet.data;
  const fragment = FragmentView.at(header);
  const data = header + IPV6_FRAGMENT_SIZE;
  const length = packet.length - IPV6_FRAGMENT_SIZE;
  const offset = fragment.offset;
  const isLast = !fragment.moreFragments;
  if (length == 0 || (!isLast && (length & FRAGMENT_UNIT_MASK) != 0)) {
    drop(abi.DROP_FRAGMENT_MALFORMED);
    if (length != 0) complain(<u32>IPV6_PAYLOAD_LENGTH_OFFSET, now);
    return 0;
  }
  if (offset + length > PACKET_SIZE_MAX) {
    drop(abi.DROP_FRAGMENT_OVERSIZED);
    complain(<u32>(header - ip + FRAGMENT_FIELD_OFFSET), now);
    return 0;
  }
  const ident = fragment.identification;
  const context = contextOf(packet.source, packet.destination, 0, ident, now);
  memory.copy(HEADERS6, ip, IPV6_HEADER_SIZE);
  memory.copy(HEADERS6 + IPV6_HEADER_SIZE, header, IPV6_FRAGMENT_SIZE);
  Ipv6View.at(HEADERS6).nextHeader = NEXT_FRAGMENT;
  Ipv6View.at(HEADERS6).payloadLength = IPV6_FRAGMENT_SIZE + length;
  return collect(
    context,
    HEADERS6,
    IPV6_HEADER_SIZE + IPV6_FRAGMENT_SIZE,
    data,
    offset,
    length,
    isLast,
  );
}

/** Puts `length` octets at `data` in their place; the header counts if `offset` is 0. */
function collect(
  context: Context,
  header: usize,
  headerLength: u32,
  data: usize,
  offset: u32,
  length: u32,
  isLast: bool,
): usize {
  if (changetype<usize>(context) == 0) {
    drop(abi.DROP_FRAGMENT_LIMIT);
    return 0;
  }
  if (context.state == STATE_CONDEMNED) {
    drop(abi.DROP_FRAGMENT_OVERLAP);
    return 0;
  }
  const end = offset + length;
  const from = offset >>> FRAGMENT_UNIT_SHIFT;
  const to = unitsOf(end);
  if (isDuplicate(context, from, to, end, isLast)) {
    context.frames++;
    return 0;
  }
  if (!isConsistent(context, from, to, end, isLast)) {
    condemn(context);
    return 0;
  }
  const payload = payloadOf(context);
  memory.copy(payload + offset, data, length);
  if (offset == 0) {
    memory.copy(payload - headerLength, header, headerLength);
    context.headerLength = headerLength;
  }
  const received = receivedOf(context);
  bitsSet(received, from, to);
  bitsSet(received + BITMAP_SIZE, from, from + 1);
  context.frames++;
  context.units += to - from;
  if (end > context.end) context.end = end;
  if (isLast) context.total = end;
  if (context.total == 0 || context.units != unitsOf(context.total)) return 0;
  return complete(context);
}

/** Octets of the first fragment. */
function heldLength(context: Context, ip: usize): u32 {
  if (!isIpv6(context.source)) return Ipv4View.at(ip).totalLength;
  return IPV6_HEADER_SIZE + Ipv6View.at(ip).payloadLength;
}

/**
 * Gives up datagrams whose time is over. The guest is told (time exceeded, code 1) when the first
 * fragment is there to quote (RFC 1122 §3.3.2).
 */
export function fragmentExpire(now: i64): void {
  if (!contextsUsed()) return;
  for (let i = 0; i < abi.FRAGMENT_CONTEXT_COUNT; i++) {
    const context = contextAt(i);
    if (context.state == STATE_FREE || context.deadline > now) continue;
    if (context.state == STATE_COLLECTING && context.headerLength != 0) {
      const ip = payloadOf(context) - context.headerLength;
      const source = context.source;
      const mac = neighborFind(source);
      noticeBegin(ICMP_TIME_EXCEEDED, ICMP_REASSEMBLY, 0, gatewayFor(source), mac);
      icmpErrorReply(ip, heldLength(context, ip), now);
    }
    discard(context, abi.DROP_FRAGMENT_TIMEOUT);
  }
}
