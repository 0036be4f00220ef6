/**
 * A segment from the guest, in the order of RFC 9293 §3.10.7: is it for a connection, is it in the
 * window, RST, SYN, ACK, payload, FIN. Nothing is sent from here but resets that belong to no flow;
 * what a segment calls for is noted in the flow (P_*), and the flow is marked dirty.
 */
import * as abi from "../abi";
import { enterState } from "../flow/kinds";
import { natUnusable } from "../flow/nat";
import { packetDestination, packetSource, packetTos, transportChecksumOk } from "../flow/packet";
import { flowFind, isNone, markDirty, markReady } from "../flow/table";
import { count, drop } from "../stats";
import { PROTOCOL_TCP, WIRE_OK } from "../wire/ipv4";
import { seqGe, seqGt, seqInWindow, seqLe, seqLt } from "../wire/seqnum";
import {
  TCP_ACK,
  TCP_DATA_OFFSET,
  TCP_FIN,
  TCP_HEADER_SIZE,
  TCP_RST,
  TCP_SYN,
  TCP_URG,
  TcpView,
  tcpCheck,
} from "../wire/tcp";
import { optionTimestamps, optionTsValue, tcpOptionsParse } from "../wire/tcp-options";
import { arrivalRefused } from "./arrival";
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
  RTO_AFTER_SYN_LOSS,
  startAbove,
  Tcp,
  TOS_DSCP,
  tcpArm,
  tcpEnd,
  tcpEstablished,
  tcpTimeWait,
} from "./conn";
import { takeSynOptions, tcpOpen } from "./open";
import { sendResetFor } from "./output";
import { takeText, truncate } from "./reassembly";
import { sampleTimed } from "./round-trip";
import { urgentInput } from "./urgent";
import { windowActive } from "./window";

const CHALLENGES_PER_SECOND: u32 = 10;
/** RFC 7323 §5.5: after 24 days without a segment the timestamp tells nothing. */
const PAWS_IDLE: i64 = 2073600000000;

/** The segment being handled; module state because a segment is handled to the end at once. */
let source: u32 = 0;
let destination: u32 = 0;
let segment: usize = 0;
let tos: u8 = 0;
let sequence: u32 = 0;
let acknowledgment: u32 = 0;
let flags: u32 = 0;
let payload: usize = 0;
let payloadLength: u32 = 0;

function parse(length: u32, trusted: bool): bool {
  const code = tcpCheck(segment, length);
  if (code != WIRE_OK) {
    drop(code == TCP_DATA_OFFSET ? abi.DROP_TCP_DATA_OFFSET : abi.DROP_TCP_TRUNCATED);
    return false;
  }
  if (!trusted && !transportChecksumOk(segment, length, source, destination, PROTOCOL_TCP)) {
    drop(abi.DROP_TCP_CHECKSUM);
    return false;
  }
  const view = TcpView.at(segment);
  if (view.sourcePort == 0 || view.destinationPort == 0) {
    drop(abi.DROP_TCP_PORT);
    return false;
  }
  flags = view.flags;
  const kinds = flags & (TCP_SYN | TCP_FIN | TCP_RST);
  // At most one of SYN, FIN, RST, and never nothing at all.
  if ((kinds & (kinds - 1)) != 0 || (flags & (TCP_ACK | kinds)) == 0) {
    drop(abi.DROP_TCP_FLAGS);
    return false;
  }
  if (natUnusable(destination)) {
    drop(abi.DROP_IP_DESTINATION);
    return false;
  }
  const offset = view.dataOffset;
  sequence = view.sequence;
  acknowledgment = view.acknowledgment;
  payload = segment + offset;
  payloadLength = length - offset;
  tcpOptionsParse(segment + TCP_HEADER_SIZE, offset - TCP_HEADER_SIZE);
  return true;
}

/** RFC 9293 §3.10.7.1: whoever sends to no connection is told so, unless it is a reset. */
function refuse(mac: u64): void {
  drop(abi.DROP_TCP_NO_FLOW);
  if ((flags & TCP_RST) != 0) return;
  const view = TcpView.at(segment);
  const withAck = (flags & TCP_ACK) != 0;
  const extra = (flags & (TCP_SYN | TCP_FIN)) != 0 ? 1 : 0;
  count(abi.STAT_TCP_RESET_SENT);
  sendResetFor(
    mac,
    destination,
    source,
    view.destinationPort,
    view.sourcePort,
    withAck ? acknowledgment : 0,
    withAck ? 0 : sequence + payloadLength + extra,
    withAck ? TCP_RST : TCP_RST | TCP_ACK,
  );
}

/** Asks the flush for an acknowledgment now. */
function wantAck(flow: Tcp): void {
  flow.flags |= P_ACK;
  markDirty(flow);
}

/** RFC 5961: answers a suspicious segment with an ACK, at most ten a second and flow. */
function challenge(flow: Tcp, now: i64): void {
  const second = <u32>(now / 1000000);
  if (flow.challengeAt != second) {
    flow.challengeAt = second;
    flow.challenges = 0;
  }
  if (<u32>flow.challenges >= CHALLENGES_PER_SECOND) return;
  flow.challenges++;
  count(abi.STAT_TCP_CHALLENGE_ACKS);
  wantAck(flow);
}

/** Handles one segment; `length` octets from the TCP header on, checksum verified if `trusted`. */
export function tcpInput(
  packet: usize,
  tcp: usize,
  length: u32,
  mac: u64,
  trusted: bool,
  now: i64,
): void {
  source = packetSource(packet);
  destination = packetDestination(packet);
  segment = tcp;
  tos = <u8>packetTos(packet) & TOS_DSCP;
  if (!parse(length, trusted)) return;
  const ports = (TcpView.at(tcp).sourcePort << 16) | TcpView.at(tcp).destinationPort;
  let found = flowFind(abi.KIND_TCP, source, destination, ports);
  if (!isNone(found) && found.state == <u8>abi.STATE_TIME_WAIT && reopens(changetype<Tcp>(found))) {
    const last = changetype<Tcp>(found).sndMax;
    tcpEnd(changetype<Tcp>(found), false);
    tcpOpen(packet, tcp, mac, now);
    found = flowFind(abi.KIND_TCP, source, destination, ports);
    if (!isNone(found)) startAbove(changetype<Tcp>(found), last);
    return;
  }
  if (isNone(found)) {
    if ((flags & (TCP_SYN | TCP_ACK)) == TCP_SYN) tcpOpen(packet, tcp, mac, now);
    else refuse(mac);
    return;
  }
  const flow = changetype<Tcp>(found);
  flow.guestMac = mac;
  if (flow.state == <u8>abi.STATE_CONNECTING) inputConnecting(flow);
  else if (flow.state == <u8>abi.STATE_SYN_SENT) inputSynSent(flow, now);
  else inputSynchronized(flow, now);
}

/** RFC 6191, 1122 §4.2.2.13: a SYN that is clearly newer may take over from TIME-WAIT. */
function reopens(flow: Tcp): bool {
  if ((flags & (TCP_SYN | TCP_ACK)) != TCP_SYN) return false;
  if (has(flow, F_TIMESTAMPS) && optionTimestamps) {
    const newer = <i32>(optionTsValue - flow.tsRecent);
    if (newer != 0) return newer > 0;
  }
  return seqGt(sequence, flow.rcvNext);
}

/** The host has not answered yet: the guest may repeat or give up. */
function inputConnecting(flow: Tcp): void {
  if ((flags & TCP_RST) != 0) {
    if (sequence == flow.irs + 1) {
      count(abi.STAT_TCP_RESET_RECEIVED);
      tcpEnd(flow, true);
    } else drop(abi.DROP_TCP_RST);
    return;
  }
  drop((flags & TCP_SYN) != 0 ? abi.DROP_TCP_DUPLICATE : abi.DROP_TCP_WINDOW);
}

/** Inbound connection: we have sent SYN (RFC 9293 §3.10.7.3). */
function inputSynSent(flow: Tcp, now: i64): void {
  const ackOk = (flags & TCP_ACK) != 0 && acknowledgment == flow.iss + 1;
  if ((flags & TCP_ACK) != 0 && !ackOk) {
    drop(abi.DROP_TCP_ACK);
    if ((flags & TCP_RST) != 0) return;
    count(abi.STAT_TCP_RESET_SENT);
    const view = TcpView.at(segment);
    sendResetFor(
      flow.guestMac,
      destination,
      source,
      view.destinationPort,
      view.sourcePort,
      acknowledgment,
      0,
      TCP_RST,
    );
    return;
  }
  if ((flags & TCP_RST) != 0) {
    if (!ackOk) {
      drop(abi.DROP_TCP_RST);
      return;
    }
    count(abi.STAT_TCP_RESET_RECEIVED);
    arrivalRefused(flow, now);
    return;
  }
  if ((flags & TCP_SYN) == 0) {
    drop(abi.DROP_TCP_FLAGS);
    return;
  }
  flow.irs = sequence;
  flow.rcvAck = sequence + 1;
  flow.rcvNext = flow.rcvAck;
  flow.rcvEdge = flow.rcvAck + 65535;
  takeSynOptions(flow, now);
  flow.sndWindow = TcpView.at(segment).window;
  flow.sndWindowMax = flow.sndWindow;
  flow.sndWl1 = sequence;
  flow.sndWl2 = acknowledgment;
  if (ackOk) {
    established(flow, now);
    wantAck(flow);
  } else {
    enterState(flow, abi.STATE_SYN_RECEIVED); // simultaneous open
    flow.flags |= P_SYN;
    markDirty(flow);
  }
}

function established(flow: Tcp, now: i64): void {
  tcpEstablished(flow, now);
  flow.sndUna = flow.iss + 1;
  flow.sndMax = flow.sndUna;
  flow.recover = flow.sndUna;
  flow.rtoAt = 0;
  if (flow.retransmits > 0) flow.rto = RTO_AFTER_SYN_LOSS;
  else sampleTimed(flow, now);
  flow.retransmits = 0;
  if ((flow.events & abi.EVENT_READABLE) != 0) markReady(flow);
}

/** RFC 7323 §5: an old duplicate from before the sequence numbers wrapped. */
function pawsFails(flow: Tcp, now: i64): bool {
  // A SYN in the window is answered by a challenge whatever it carries (RFC 5961 §4.2).
  // One without the option is taken although it was agreed on (RFC 7323 §3.2 says SHOULD drop):
  // Linux 3.10 to 4.14 send such, and Linux takes them.
  if (!optionTimestamps || !has(flow, F_TIMESTAMPS) || (flags & TCP_SYN) != 0) return false;
  if (<i32>(optionTsValue - flow.tsRecent) >= 0 || now - flow.tsRecentAt > PAWS_IDLE) return false;
  drop(abi.DROP_TCP_PAWS);
  wantAck(flow);
  return true;
}

/** RFC 9293 §3.10.7.4 first check, for a segment that takes `span` sequence numbers. */
function acceptable(flow: Tcp, span: u32): bool {
  const window = flow.rcvEdge - flow.rcvAck;
  if (span == 0) {
    return window == 0
      ? sequence == flow.rcvAck
      : seqInWindow(sequence, flow.rcvAck, window) || sequence == flow.rcvEdge;
  }
  if (window == 0) return false;
  return (
    seqInWindow(sequence, flow.rcvAck, window) ||
    seqInWindow(sequence + span - 1, flow.rcvAck, window) ||
    (seqLt(sequence, flow.rcvAck) && seqGe(sequence + span, flow.rcvEdge))
  );
}

function inputSynchronized(flow: Tcp, now: i64): void {
  if ((flags & TCP_RST) != 0) {
    inputReset(flow, now);
    return;
  }
  if (pawsFails(flow, now)) return;
  const span = payloadLength + ((flags & (TCP_SYN | TCP_FIN)) != 0 ? 1 : 0);
  if (!acceptable(flow, span)) {
    outside(flow, now);
    return;
  }
  if ((flags & TCP_SYN) != 0) {
    if (flow.state == <u8>abi.STATE_SYN_RECEIVED && sequence == flow.irs) {
      flow.flags |= P_SYN;
      markDirty(flow);
    } else challenge(flow, now);
    drop(abi.DROP_TCP_DUPLICATE);
    return;
  }
  if ((flags & TCP_ACK) == 0) {
    drop(abi.DROP_TCP_FLAGS);
    return;
  }
  flow.lastActive = now;
  flow.probes = 0;
  if (flow.state == <u8>abi.STATE_SYN_RECEIVED && !inputSynReceived(flow, now)) return;
  if (!inputAck(flow, now)) return;
  if (tos != flow.tos) {
    flow.tos = tos;
    flow.flags |= P_TOS;
    markDirty(flow);
  }
  if (payloadLength > 0 || (flags & TCP_FIN) != 0) inputText(flow, now);
  if (flow.kind != 0 && flow.state != <u8>abi.STATE_TIME_WAIT) tcpArm(flow);
}

/**
 * Out of the window: an ACK tells the guest where we are. Its acknowledgment still counts (T44).
 */
function outside(flow: Tcp, now: i64): void {
  if (flow.state == <u8>abi.STATE_SYN_RECEIVED && (flags & TCP_SYN) != 0 && sequence == flow.irs) {
    if ((flags & TCP_ACK) != 0 && acknowledgment == flow.iss + 1) {
      // The SYNs have crossed, and this answers ours (RFC 9293 §3.5); its window is not scaled.
      established(flow, now);
      flow.sndWindow = TcpView.at(segment).window;
      flow.sndWl2 = acknowledgment;
      wantAck(flow);
      return;
    }
    drop(abi.DROP_TCP_DUPLICATE);
    flow.flags |= P_SYN;
    markDirty(flow);
    return;
  }
  drop(seqLt(sequence, flow.rcvAck) ? abi.DROP_TCP_DUPLICATE : abi.DROP_TCP_WINDOW);
  if ((flags & TCP_SYN) != 0) {
    challenge(flow, now);
    return;
  }
  flow.lastActive = now;
  if (flow.state == <u8>abi.STATE_TIME_WAIT && (flags & TCP_FIN) != 0) {
    flow.rtoAt = now + 60000000;
    tcpArm(flow);
  }
  const probe = sequence == flow.rcvEdge; // the window is used up, the guest asks for more
  if (probe && (flags & TCP_ACK) != 0 && flow.state >= <u8>abi.STATE_ESTABLISHED) {
    if (!inputAck(flow, now)) return;
  }
  if (payloadLength == 0 && !probe && (flags & TCP_FIN) == 0 && sequence != flow.rcvAck - 1) {
    challenge(flow, now);
  } else wantAck(flow);
}

/**
 * RFC 5961 §3.2: a reset counts only when it hits the next sequence number exactly; elsewhere in
 * the window it is challenged. Its payload and its timestamp do not matter (RFC 9293 §3.5.3, 7323
 * §5.2).
 */
function inputReset(flow: Tcp, now: i64): void {
  if (sequence != flow.rcvAck && sequence != flow.rcvNext) {
    drop(abi.DROP_TCP_RST);
    if (seqInWindow(sequence, flow.rcvAck, flow.rcvEdge - flow.rcvAck)) challenge(flow, now);
    return;
  }
  if (flow.state == <u8>abi.STATE_TIME_WAIT) {
    drop(abi.DROP_TCP_RST); // RFC 1337: a reset does not cut TIME-WAIT short
    return;
  }
  count(abi.STAT_TCP_RESET_RECEIVED);
  tcpEnd(flow, true);
}

/** The guest answers our SYN-ACK; false when the segment was of no use. */
function inputSynReceived(flow: Tcp, now: i64): bool {
  if (acknowledgment != flow.iss + 1) {
    drop(abi.DROP_TCP_ACK);
    const view = TcpView.at(segment);
    count(abi.STAT_TCP_RESET_SENT);
    sendResetFor(
      flow.guestMac,
      flow.peerAddress,
      flow.guestAddress,
      view.destinationPort,
      view.sourcePort,
      acknowledgment,
      0,
      TCP_RST,
    );
    return false;
  }
  established(flow, now);
  const window = TcpView.at(segment).window << flow.sndScale;
  flow.sndWindow = window;
  flow.sndWindowMax = window;
  flow.sndWl1 = sequence;
  flow.sndWl2 = acknowledgment;
  flow.flags |= P_OUTPUT;
  markDirty(flow);
  return true;
}

/** RFC 9293 §3.10.7.4 fifth check; false when the segment ends here. */
function inputAck(flow: Tcp, now: i64): bool {
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
  if (optionTimestamps && has(flow, F_TIMESTAMPS) && seqLe(sequence, flow.lastAckSent)) {
    flow.tsRecent = optionTsValue; // RFC 7323 §4.3
    flow.tsRecentAt = now;
  }
  const news = sackInput(flow, acknowledgment, now);
  const window = TcpView.at(segment).window << flow.sndScale;
  const duplicate =
    acknowledgment == flow.sndUna &&
    payloadLength == 0 &&
    (flags & TCP_FIN) == 0 &&
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
  const end = sequence + payloadLength;
  if ((flags & TCP_URG) != 0) urgentInput(flow, sequence, TcpView.at(segment).urgent);
  if (payloadLength > 0) {
    windowActive(flow, now);
    takeText(flow, sequence, payload, payloadLength);
  }
  if ((flags & TCP_FIN) != 0) {
    // A FIN is believed once and only where it does not contradict what has been received.
    if (!has(flow, F_GUEST_FIN) && seqGe(end, flow.rcvNext) && seqLe(end, flow.rcvEdge)) {
      flow.flags |= F_GUEST_FIN;
      flow.finSequence = end;
      truncate(flow, end);
    }
    flow.flags |= P_ACK;
  }
}
