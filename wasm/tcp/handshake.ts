/**
 * Segments for a connection that is not established yet (RFC 9293 §3.10.7.3 and 3.10.7.4): the
 * guest waits for the host's answer, answers our SYN, or acknowledges our SYN-ACK.
 */
import * as abi from "../abi/index";
import { enterState } from "../flow/kinds";
import { markDirty, markReady } from "../flow/table";
import { count, drop } from "../stats";
import { TCP_ACK, TCP_RST, TCP_SYN, TCP_WINDOW_MAX } from "../wire/tcp";
import { wantAck } from "./acceptance";
import { arrivalRefused } from "./arrival";
import { P_OUTPUT, P_SYN, RTO_AFTER_SYN_LOSS_US, Tcp, tcpEstablished } from "./conn";
import { tcpEnd } from "./ending";
import { takeSynOptions } from "./open";
import { resetSegment } from "./reset";
import { sampleTimed } from "./round-trip";
import { segment, segmentHas } from "./segment";

export function established(flow: Tcp, now: i64): void {
  tcpEstablished(flow, now);
  flow.sndUna = flow.iss + 1;
  flow.sndMax = flow.sndUna;
  flow.recover = flow.sndUna;
  flow.rtoAt = 0;
  if (flow.retransmits > 0) flow.rto = RTO_AFTER_SYN_LOSS_US;
  else sampleTimed(flow, now);
  flow.retransmits = 0;
  if ((flow.events & abi.EVENT_READABLE) != 0) markReady(flow);
}

/** The host has not answered yet: the guest may repeat or give up. */
export function inputConnecting(flow: Tcp): void {
  if (segmentHas(TCP_RST)) {
    if (segment.sequence == flow.irs + 1) {
      count(abi.STAT_TCP_RESET_RECEIVED);
      tcpEnd(flow, true);
    } else drop(abi.DROP_TCP_RST);
    return;
  }
  drop(segmentHas(TCP_SYN) ? abi.DROP_TCP_DUPLICATE : abi.DROP_TCP_WINDOW);
}

/** Inbound connection: we have sent SYN (RFC 9293 §3.10.7.3). */
export function inputSynSent(flow: Tcp, now: i64): void {
  const ackOk = segmentHas(TCP_ACK) && segment.acknowledgment == flow.iss + 1;
  if (segmentHas(TCP_ACK) && !ackOk) {
    drop(abi.DROP_TCP_ACK);
    if (segmentHas(TCP_RST)) return;
    resetSegment(segment.acknowledgment, 0, TCP_RST);
    return;
  }
  if (segmentHas(TCP_RST)) {
    if (!ackOk) {
      drop(abi.DROP_TCP_RST);
      return;
    }
    count(abi.STAT_TCP_RESET_RECEIVED);
    arrivalRefused(flow, now);
    return;
  }
  if (!segmentHas(TCP_SYN)) {
    drop(abi.DROP_TCP_FLAGS);
    return;
  }
  flow.irs = segment.sequence;
  flow.rcvAck = segment.sequence + 1;
  flow.rcvNext = flow.rcvAck;
  flow.rcvEdge = flow.rcvAck + TCP_WINDOW_MAX;
  takeSynOptions(flow, now);
  flow.sndWindow = segment.window;
  flow.sndWindowMax = flow.sndWindow;
  flow.sndWl1 = segment.sequence;
  flow.sndWl2 = segment.acknowledgment;
  if (ackOk) {
    established(flow, now);
    wantAck(flow);
  } else {
    enterState(flow, abi.STATE_SYN_RECEIVED); // simultaneous open
    flow.flags |= P_SYN;
    markDirty(flow);
  }
}

/** The guest answers our SYN-ACK; false when the segment was of no use. */
export function inputSynReceived(flow: Tcp, now: i64): bool {
  if (segment.acknowledgment != flow.iss + 1) {
    drop(abi.DROP_TCP_ACK);
    resetSegment(segment.acknowledgment, 0, TCP_RST);
    return false;
  }
  established(flow, now);
  const window = segment.window << flow.sndScale;
  flow.sndWindow = window;
  flow.sndWindowMax = window;
  flow.sndWl1 = segment.sequence;
  flow.sndWl2 = segment.acknowledgment;
  flow.flags |= P_OUTPUT;
  markDirty(flow);
  return true;
}
