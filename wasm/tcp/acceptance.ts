/**
 * Whether a segment is one the connection has to do with: PAWS, the window, resets (RFC 9293
 * §3.10.7.4, RFC 7323 §5, RFC 5961), and what is answered where it is not.
 */
import * as abi from "../abi/index";
import { markDirty } from "../flow/table";
import { count, drop } from "../stats";
import { SECOND_US } from "../timer";
import { seqGe, seqInWindow, seqLt } from "../wire/seqnum";
import { TCP_SYN } from "../wire/tcp";
import { F_TIMESTAMPS, has, P_ACK, Tcp } from "./conn";
import { tcpEnd } from "./ending";
import { segment, segmentHas } from "./segment";

const CHALLENGES_PER_SECOND: u32 = 10;
/** RFC 7323 §5.5: after 24 days without a segment the timestamp tells nothing. */
const PAWS_IDLE_US: i64 = 24 * 86_400 * SECOND_US;

/** Asks the flush for an acknowledgment now. */
export function wantAck(flow: Tcp): void {
  flow.flags |= P_ACK;
  markDirty(flow);
}

/** RFC 5961: answers a suspicious segment with an ACK, at most ten a second and flow. */
export function challenge(flow: Tcp, now: i64): void {
  const second = <u32>(now / SECOND_US);
  if (flow.challengeAt != second) {
    flow.challengeAt = second;
    flow.challenges = 0;
  }
  if (<u32>flow.challenges >= CHALLENGES_PER_SECOND) return;
  flow.challenges++;
  count(abi.STAT_TCP_CHALLENGE_ACKS);
  wantAck(flow);
}

/** RFC 7323 §5: an old duplicate from before the sequence numbers wrapped. */
export function pawsFails(flow: Tcp, now: i64): bool {
  // A SYN in the window is answered by a challenge whatever it carries (RFC 5961 §4.2).
  // One without the option is taken although it was agreed on (RFC 7323 §3.2 says SHOULD drop):
  // Linux 3.10 to 4.14 send such, and Linux takes them.
  if (!segment.hasTimestamps || !has(flow, F_TIMESTAMPS) || segmentHas(TCP_SYN)) return false;
  if (<i32>(segment.tsValue - flow.tsRecent) >= 0 || now - flow.tsRecentAt > PAWS_IDLE_US)
    return false;
  drop(abi.DROP_TCP_PAWS);
  wantAck(flow);
  return true;
}

/** RFC 9293 §3.10.7.4 first check, for a segment that takes `span` sequence numbers. */
export function isAcceptable(flow: Tcp, span: u32): bool {
  const sequence = segment.sequence;
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

/**
 * RFC 5961 §3.2: a reset counts only when it hits the next sequence number exactly; elsewhere in
 * the window it is challenged. Its payload and its timestamp do not matter (RFC 9293 §3.5.3, 7323
 * §5.2).
 */
export function inputReset(flow: Tcp, now: i64): void {
  if (segment.sequence != flow.rcvAck && segment.sequence != flow.rcvNext) {
    drop(abi.DROP_TCP_RST);
    if (seqInWindow(segment.sequence, flow.rcvAck, flow.rcvEdge - flow.rcvAck))
      challenge(flow, now);
    return;
  }
  if (flow.state == <u8>abi.STATE_TIME_WAIT) {
    drop(abi.DROP_TCP_RST); // RFC 1337: a reset does not cut TIME-WAIT short
    return;
  }
  count(abi.STAT_TCP_RESET_RECEIVED);
  tcpEnd(flow, true);
}
