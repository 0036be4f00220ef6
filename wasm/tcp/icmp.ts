/**
 * ICMP errors from the guest about segments we sent (RFC 9293 §3.9.2.2, RFC 5927, RFC 1191, RFC
 * 8201), of either version.
 *
 * A quote counts only when it names a live flow and a sequence number in flight. "Fragmentation
 * needed" and "packet too big" lower the segment size and send again at once; protocol and port
 * unreachable end a connection that is still opening; everything else is soft and changes nothing.
 * Source quench is ignored.
 */
import * as abi from "../abi/index";
import { addressIntern, isIpv6 } from "../flow/addresses";
import { headerSize, packet } from "../flow/packet";
import { flowFind, isNone, markDirty } from "../flow/table";
import { count, drop } from "../stats";
import {
  ICMP_FRAGMENTATION_NEEDED,
  ICMP_PORT,
  ICMP_PROTOCOL,
  ICMP_UNREACHABLE,
  Icmpv4View,
} from "../wire/icmpv4";
import {
  ICMPV6_PACKET_TOO_BIG,
  ICMPV6_UNREACHABLE,
  Icmpv6View,
  UNREACHABLE_PORT,
} from "../wire/icmpv6";
import { Ipv4View, PROTOCOL_TCP } from "../wire/ipv4";
import { IPV6_HEADER_SIZE, IPV6_MTU_MIN, IPV6_VERSION, Ipv6View } from "../wire/ipv6";
import { seqGe, seqLt } from "../wire/seqnum";
import { TCP_HEADER_SIZE, TcpView } from "../wire/tcp";
import { TCP_TIMESTAMPS_SIZE } from "../wire/tcp-options";
import { arrivalRefused } from "./arrival";
import { F_TIMESTAMPS, has, Tcp } from "./conn";
import { resendAll } from "./recovery";

/** Smallest path MTU we believe (RFC 1191 §3 practice: 576 less is a weapon). */
const PATH_MTU_FLOOR: u32 = 576;
/** Of a segment that is quoted at least: ports and sequence number. */
const QUOTE_SIZE_MIN: u32 = 8;

/** The flow whose segment in flight is quoted, or none (counted). */
function quoted(guest: u32, peer: u32, segment: usize): Tcp {
  const view = TcpView.at(segment);
  const ports = (view.destinationPort << 16) | view.sourcePort;
  const flow = changetype<Tcp>(flowFind(abi.KIND_TCP, guest, peer, ports));
  const sequence = view.sequence;
  if (isNone(flow) || seqLt(sequence, flow.sndUna) || seqGe(sequence, flow.sndMax)) {
    drop(abi.DROP_ICMP_QUOTE);
    return changetype<Tcp>(0);
  }
  count(abi.STAT_ICMP_ERRORS_FROM_GUEST);
  count(abi.STAT_CONSUMED_LOCAL);
  return flow;
}

/** Nobody takes the segments: the end of a connection that is still opening. */
function refused(flow: Tcp, now: i64): void {
  if (flow.state == <u8>abi.STATE_SYN_SENT) arrivalRefused(flow, now);
}

/** Takes the packet under way, an error; what it quotes is `length` octets at `quote`. */
export function tcpIcmp(quote: usize, length: u32, now: i64): void {
  const header = Ipv4View.at(quote);
  const offset = header.headerLength;
  const guest = header.destination;
  const peer = header.source;
  if (
    header.protocol != PROTOCOL_TCP ||
    length < offset + QUOTE_SIZE_MIN ||
    isIpv6(guest) ||
    isIpv6(peer)
  ) {
    drop(abi.DROP_ICMP_QUOTE);
    return;
  }
  const flow = quoted(guest, peer, quote + offset);
  const error = Icmpv4View.at(packet.data);
  if (isNone(flow) || error.type != ICMP_UNREACHABLE) return;
  if (error.code == ICMP_FRAGMENTATION_NEEDED) lowerMss(flow, error.mtu);
  else if (error.code == ICMP_PROTOCOL || error.code == ICMP_PORT) refused(flow, now);
}

/** The same for ICMPv6; our packets have no extension headers, so quotes have none either. */
export function tcpIcmp6(quote: usize, length: u32, now: i64): void {
  const header = Ipv6View.at(quote);
  if (
    length < IPV6_HEADER_SIZE + QUOTE_SIZE_MIN ||
    header.version != IPV6_VERSION ||
    header.nextHeader != PROTOCOL_TCP
  ) {
    drop(abi.DROP_ICMP_QUOTE);
    return;
  }
  const guest = addressIntern(header.destination, 0);
  const flow = quoted(guest, addressIntern(header.source, 0), quote + IPV6_HEADER_SIZE);
  if (isNone(flow)) return;
  const error = Icmpv6View.at(packet.data);
  if (error.type == ICMPV6_PACKET_TOO_BIG) lowerMss(flow, error.rest);
  else if (error.type == ICMPV6_UNREACHABLE && error.code == UNREACHABLE_PORT) refused(flow, now);
}

function lowerMss(flow: Tcp, mtu: u32): void {
  const guest = flow.guestAddress;
  const floor = isIpv6(guest) ? IPV6_MTU_MIN : PATH_MTU_FLOOR;
  const options: u32 = has(flow, F_TIMESTAMPS) ? TCP_TIMESTAMPS_SIZE : 0;
  const mss = max(mtu, floor) - headerSize(guest) - TCP_HEADER_SIZE - options;
  if (mss >= flow.mss) return;
  flow.mss = mss;
  if (flow.state < <u8>abi.STATE_ESTABLISHED) return; // there is nothing but SYN to send again
  resendAll(flow);
  markDirty(flow);
}
