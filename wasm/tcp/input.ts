/**
 * A segment from the guest, in the order of RFC 9293 §3.10.7: is it for a connection (`handshake`
 * has those that are only beginning), is it in the window (`acceptance`), RST, SYN, ACK, payload,
 * FIN. Nothing is sent from here but resets that belong to no flow; what a segment calls for is
 * noted in the flow (P_*), and the flow is marked dirty.
 */
import * as abi from "../abi/index";
import { enterState } from "../flow/kinds";
import { packet } from "../flow/packet";
import { flowFind, isNone, markDirty, markReady } from "../flow/table";
import { drop } from "../stats";
import { seqGe, seqGt, seqLe, seqLt } from "../wire/seqnum";
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN, TCP_URG } from "../wire/tcp";
import { challenge, inputReset, isAcceptable, pawsFails, wantAck } from "./acceptance";
import { ackAdvance, ackDuplicate, sackInput } from "./congestion";
import {
  F_FIN_ACKED,
  F_GUEST_FIN,
  F_TIMESTAMPS,
  has,
  P_ACK,
  P_OUTPUT,
  P_SYN,
  P_TOS,
  startAbove,
  Tcp,
  TIME_WAIT_US,
  tcpArm,
} from "./conn";
import { tcpEnd, tcpTimeWait } from "./ending";
import { established, inputConnecting, inputSynReceived, inputSynSent } from "./handshake";
import { tcpOpen } from "./open";
import { takeText, truncate } from "./reassembly";
import { resetSegment } from "./reset";
import { segment, segmentHas, segmentIsSyn, segmentRead, segmentSpan } from "./segment";
import { urgentInput } from "./urgent";
import { windowActive } from "./window";

/** RFC 9293 §3.10.7.1: whoever sends to no connection is told so, unless it is a reset. */
function refuse(): void {
  drop(abi.DROP_TCP_NO_FLOW);
  if (segmentHas(TCP_RST)) return;
  if (segmentHas(TCP_ACK)) resetSegment(segment.acknowledgment, 0, TCP_RST);
  else resetSegment(0, segment.sequence + segmentSpan(), TCP_RST | TCP_ACK);
}

/** Handles the packet under way, a segment. */
export function tcpInput(now: i64): void {
  if (!segmentRead()) return;
  const source = packet.source;
  const destination = packet.destination;
  const ports = segment.ports;
  let found = flowFind(abi.KIND_TCP, source, destination, ports);
  if (!isNone(found) && found.state == <u8>abi.STATE_TIME_WAIT && reopens(changetype<Tcp>(found))) {
    const last = changetype<Tcp>(found).sndMax;
    tcpEnd(changetype<Tcp>(found), false);
    tcpOpen(now);
    found = flowFind(abi.KIND_TCP, source, destination, ports);
    if (!isNone(found)) startAbove(changetype<Tcp>(found), last);
    return;
  }
  if (isNone(found)) {
    if (segmentIsSyn()) tcpOpen(now);
    else refuse();
    return;
  }
  const flow = changetype<Tcp>(found);
  flow.guestMac = packet.mac;
  if (flow.state == <u8>abi.STATE_CONNECTING) inputConnecting(flow);
  else if (flow.state == <u8>abi.STATE_SYN_SENT) inputSynSent(flow, now);
  else inputSynchronized(flow, now);
}

/** RFC 6191, 1122 §4.2.2.13: a SYN that is clearly newer may take over from TIME-WAIT. */
function reopens(flow: Tcp): bool {
  if (!segmentIsSyn()) return false;
  if (has(flow, F_TIMESTAMPS) && segment.hasTimestamps) {
    const newer = <i32>(segment.tsValue - flow.tsRecent);
    if (newer != 0) return newer > 0;
  }
  return seqGt(segment.sequence, flow.rcvNext);
}

function inputSynchronized(flow: Tcp, now: i64): void {
  if (segmentHas(TCP_RST)) {
    inputReset(flow, now);
    return;
  }
  if (pawsFails(flow, now)) return;
  if (!isAcceptable(flow, segmentSpan())) {
    handleOutOfWindow(flow, now);
    return;
  }
  if (segmentHas(TCP_SYN)) {
    if (flow.state == <u8>abi.STATE_SYN_RECEIVED && segment.sequence == flow.irs) {
      flow.flags |= P_SYN;
      markDirty(flow);
    } else challenge(flow, now);
    drop(abi.DROP_TCP_DUPLICATE);
    return;
  }
  if (!segmentHas(TCP_ACK)) {
    drop(abi.DROP_TCP_FLAGS);
    return;
  }
  flow.lastActive = now;
  flow.probes = 0;
  if (flow.state == <u8>abi.STATE_SYN_RECEIVED && !inputSynReceived(flow, now)) return;
  if (!inputAck(flow, now)) return;
  if (segment.tos != flow.tos) {
    flow.tos = segment.tos;
    flow.flags |= P_TOS;
    markDirty(flow);
  }
  if (segment.payloadLength > 0 || segmentHas(TCP_FIN)) inputText(flow, now);
  if (flow.kind != 0 && flow.state != <u8>abi.STATE_TIME_WAIT) tcpArm(flow);
}

/**
 * Out of the window: an ACK tells the guest where we are. Its acknowledgment still counts (T44).
 */
function handleOutOfWindow(flow: Tcp, now: i64): void {
  const sequence = segment.sequence;
  if (flow.state == <u8>abi.STATE_SYN_RECEIVED && segmentHas(TCP_SYN) && sequence == flow.irs) {
    if (segmentHas(TCP_ACK) && segment.acknowledgment == flow.iss + 1) {
      // The SYNs have crossed, and this answers ours (RFC 9293 §3.5); its window is not scaled.
      established(flow, now);
      flow.sndWindow = segment.window;
      flow.sndWl2 = segment.acknowledgment;
      wantAck(flow);
      return;
    }
    drop(abi.DROP_TCP_DUPLICATE);
    flow.flags |= P_SYN;
    markDirty(flow);
    return;
  }
  drop(seqLt(sequence, flow.rcvAck) ? abi.DROP_TCP_DUPLICATE : abi.DROP_TCP_WINDOW);
  if (segmentHas(TCP_SYN)) {
    challenge(flow, now);
    return;
  }
  flow.lastActive = now;
  if (flow.state == <u8>abi.STATE_TIME_WAIT && segmentHas(TCP_FIN)) {
    flow.rtoAt = now + TIME_WAIT_US;
    tcpArm(flow);
  }
  const probe = sequence == flow.rcvEdge; // the window is used up, the guest asks for more
  if (probe && segmentHas(TCP_ACK) && flow.state >= <u8>abi.STATE_ESTABLISHED) {
    if (!inputAck(flow, now)) return;
  }
  if (segment.payloadLength == 0 && !probe && !segmentHas(TCP_FIN) && sequence != flow.rcvAck - 1) {
    challenge(flow, now);
  } else wantAck(flow);
}

/** RFC 9293 §3.10.7.4 fifth check; false when the segment ends here. */
function inputAck(flow: Tcp, now: i64): bool {
  const acknowledgment = segment.acknowledgment;
  const sequence = segment.sequence;
  if (seqGt(acknowledgment, flow.sndMax)) {
    drop(abi.DROP_TCP_ACK);
    challenge(flow, now); // limited: an end that takes ours for wrong would answer for ever
    return false;
  }
  // RFC 5961 §5.2: older than any window it ever had.
  if (seqLt(acknowledgment, flow.sndUna - flow.sndWindowMax)) {
    drop(abi.DROP_TCP_ACK);
    challenge(flow, now);
    return false;
  }
  if (segment.hasTimestamps && has(flow, F_TIMESTAMPS) && seqLe(sequence, flow.lastAckSent)) {
    flow.tsRecent = segment.tsValue; // RFC 7323 §4.3
    flow.tsRecentAt = now;
  }
  const news = sackInput(flow, acknowledgment, now);
  const window = segment.window << flow.sndScale;
  const duplicate =
    acknowledgment == flow.sndUna &&
    segment.payloadLength == 0 &&
    !segmentHas(TCP_FIN) &&
    flow.sndMax != flow.sndUna &&
    window == flow.sndWindow;
  // WL1 alone would keep the old window where the guest sends an old segment again (its FIN, a tail
  // loss probe) with a newer acknowledgment: what came with that is what holds.
  const newest = seqGt(acknowledgment, flow.sndUna);
  if (newest) {
    ackAdvance(flow, acknowledgment, now);
    markDirty(flow);
  } else if (duplicate || news) {
    ackDuplicate(flow, news, now);
    markDirty(flow);
  }
  if (
    newest ||
    (seqLe(flow.sndUna, acknowledgment) &&
      (seqLt(flow.sndWl1, sequence) ||
        (flow.sndWl1 == sequence && seqLe(flow.sndWl2, acknowledgment))))
  ) {
    if (window != flow.sndWindow) {
      flow.flags |= P_OUTPUT;
      markDirty(flow);
    }
    flow.sndWindow = window;
    if (window > flow.sndWindowMax) flow.sndWindowMax = window;
    flow.sndWl1 = sequence;
    flow.sndWl2 = acknowledgment;
  }
  if ((flow.events & abi.EVENT_READABLE) != 0) markReady(flow);
  if (has(flow, F_FIN_ACKED)) return finAcked(flow, now);
  return true;
}

/** Our FIN has arrived; false when that ended the flow. */
function finAcked(flow: Tcp, now: i64): bool {
  if (flow.state == <u8>abi.STATE_FIN_WAIT_1) enterState(flow, abi.STATE_FIN_WAIT_2);
  else if (flow.state == <u8>abi.STATE_CLOSING) tcpTimeWait(flow, now);
  else if (flow.state == <u8>abi.STATE_LAST_ACK) {
    tcpEnd(flow, false);
    return false;
  }
  return true;
}

/** Payload and FIN (RFC 9293 §3.10.7.4 seventh and eighth check). */
function inputText(flow: Tcp, now: i64): void {
  const state = flow.state;
  if (
    state != <u8>abi.STATE_ESTABLISHED &&
    state != <u8>abi.STATE_FIN_WAIT_1 &&
    state != <u8>abi.STATE_FIN_WAIT_2
  ) {
    drop(abi.DROP_TCP_AFTER_FIN);
    wantAck(flow);
    return;
  }
  markDirty(flow);
  const end = segment.sequence + segment.payloadLength;
  if (segmentHas(TCP_URG)) urgentInput(flow, segment.sequence, segment.urgent);
  if (segment.payloadLength > 0) {
    windowActive(flow, now);
    takeText(flow, segment.sequence, segment.payload, segment.payloadLength);
  }
  if (segmentHas(TCP_FIN)) {
    // A FIN is believed once and only where it does not contradict what has been received.
    if (!has(flow, F_GUEST_FIN) && seqGe(end, flow.rcvNext) && seqLe(end, flow.rcvEdge)) {
      flow.flags |= F_GUEST_FIN;
      flow.finSequence = end;
      truncate(flow, end);
    }
    flow.flags |= P_ACK;
  }
}
