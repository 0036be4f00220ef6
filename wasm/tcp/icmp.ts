/**
 * ICMP errors from the guest about segments we sent (RFC 9293 §3.9.2.2, RFC 5927, RFC 1191).
 *
 * A quote counts only when it names a live flow and a sequence number in flight. "Fragmentation
 * needed" lowers the segment size and sends again at once; protocol and port unreachable end a
 * connection that is still opening; everything else is soft and changes nothing. Source quench is
 * ignored.
 */
import * as abi from "../abi";
import { count, drop } from "../stats";
import { Ipv4View, PROTOCOL_TCP } from "../wire/ipv4";
import { Icmpv4View, ICMP_UNREACHABLE } from "../wire/icmpv4";
import { seqGe, seqLt } from "../wire/seqnum";
import { TcpView } from "../wire/tcp";
import { flowFind, isNone, markDirty } from "../flow/table";
import {
  F_RECOVERY, F_RTT, F_TIMESTAMPS, P_OUTPUT, P_RETRANSMIT, Tcp, has, tcpEnd,
} from "./conn";

/** Smallest path MTU we believe (RFC 1191 §3 practice: 576 less is a weapon). */
const PATH_MTU_FLOOR: u32 = 576;

/** Handles an error whose quoted packet starts at `quote` with `length` octets. */
export function tcpIcmp(icmp: usize, quote: usize, length: u32): void {
  const header = Ipv4View.at(quote);
  const offset = header.headerLength;
  if (header.protocol != PROTOCOL_TCP || length < offset + 8) {
    drop(abi.DROP_ICMP_QUOTE);
    return;
  }
  const view = TcpView.at(quote + offset);
  const ports = (view.destinationPort << 16) | view.sourcePort;
  const found = flowFind(abi.KIND_TCP, header.destination, header.source, ports);
  if (isNone(found)) {
    drop(abi.DROP_ICMP_QUOTE);
    return;
  }
  const flow = changetype<Tcp>(found);
  const sequence = view.sequence;
  if (seqLt(sequence, flow.sndUna) || seqGe(sequence, flow.sndMax)) {
    drop(abi.DROP_ICMP_QUOTE);
    return;
  }
  count(abi.STAT_ICMP_ERRORS_FROM_GUEST);
  count(abi.STAT_CONSUMED_LOCAL);
  const error = Icmpv4View.at(icmp);
  if (error.type != ICMP_UNREACHABLE) return;
  if (error.code == 4) lowerMss(flow, error.mtu);
  else if ((error.code == 2 || error.code == 3) && flow.state == <u8>abi.STATE_SYN_SENT) {
    tcpEnd(flow, true);
  }
}

function lowerMss(flow: Tcp, mtu: u32): void {
  const mss = max(mtu, PATH_MTU_FLOOR) - 40 - (has(flow, F_TIMESTAMPS) ? 12 : 0);
  if (mss >= flow.mss) return;
  flow.mss = mss;
  if (flow.state < <u8>abi.STATE_ESTABLISHED) return; // there is nothing but SYN to send again
  flow.sndNext = flow.sndUna;
  flow.sendCursor = -1;
  flow.flags = (flow.flags | P_OUTPUT) & ~(F_RTT | F_RECOVERY | P_RETRANSMIT);
  markDirty(flow);
}
