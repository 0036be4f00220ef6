/**
 * What an acknowledgment from the guest means for what we send: the retransmission queue, round
 * trip and timer (RFC 6298), congestion window (RFC 5681, 6582), SACK scoreboard (RFC 2018).
 */
import * as abi from "../abi";
import { chunkLength, chunkNext, chunkRelease, chunkSequence, chunkTrim } from "../memory";
import { txCount } from "../ring";
import { count } from "../stats";
import { seqGe, seqGt, seqLe, seqLt } from "../wire/seqnum";
import { optionSackCount, optionSackLeft, optionSackRight } from "../wire/tcp-options";
import {
  CWND_MAX, F_FIN_ACKED, F_FIN_SENT, F_PERSIST, F_RECOVERY, F_RTT, F_SACK, P_OUTPUT,
  P_RETRANSMIT, RTO_MAX, RTO_MIN, SACK_RANGES, Tcp, has, initialWindow, tcpProgress,
} from "./conn";
import { sackLeft, sackPut, sackRight, startRetransmit } from "./output";

const DUPLICATES: u32 = 3;

/** Frees queued octets below `ack`. */
function trimQueue(flow: Tcp, ack: u32): void {
  const held = txCount > 0;
  while (flow.sendHead >= 0) {
    const chunk = flow.sendHead;
    const first = chunkSequence(chunk);
    if (seqLe(ack, first)) return;
    const length = chunkLength(chunk);
    if (seqLt(ack, first + length)) {
      chunkTrim(chunk, ack - first);
      return;
    }
    flow.sendHead = chunkNext(chunk);
    if (flow.sendHead < 0) flow.sendTail = -1;
    if (flow.sendCursor == chunk) flow.sendCursor = -1;
    flow.sendCount--;
    chunkRelease(chunk, held);
  }
}

/** RFC 6298 §2.2, 2.3 with a clock of one microsecond. */
export function sampleRtt(flow: Tcp, sample: i64): void {
  const rtt = <u32>max<i64>(min<i64>(sample, 60000000), 1);
  if (flow.srtt == 0) {
    flow.srtt = rtt;
    flow.rttVariance = rtt >> 1;
  } else {
    const delta = rtt > flow.srtt ? rtt - flow.srtt : flow.srtt - rtt;
    flow.rttVariance = <u32>((3 * <u64>flow.rttVariance + <u64>delta) >> 2);
    flow.srtt = max<u32>(<u32>((7 * <u64>flow.srtt + <u64>rtt) >> 3), 1);
  }
  flow.rto = min(max(flow.srtt + max<u32>(4 * flow.rttVariance, 1000), RTO_MIN), RTO_MAX);
}

/** Adds one reported range to the scoreboard, merging; the lowest ranges are kept. */
function sackAdd(flow: Tcp, left: u32, right: u32): bool {
  let n = <i32>flow.sackCount;
  let i = 0;
  while (i < n && seqLt(sackRight(flow, i), left)) i++;
  if (i < n && seqGe(left, sackLeft(flow, i)) && seqLe(right, sackRight(flow, i))) return false;
  let last = i;
  while (last < n && seqLe(sackLeft(flow, last), right)) {
    if (seqLt(sackLeft(flow, last), left)) left = sackLeft(flow, last);
    if (seqGt(sackRight(flow, last), right)) right = sackRight(flow, last);
    last++;
  }
  const merged = last - i;
  if (merged == 0) {
    if (n == SACK_RANGES) {
      if (i == n) return false;
      n--;
    }
    for (let j = n; j > i; j--) sackPut(flow, j, sackLeft(flow, j - 1), sackRight(flow, j - 1));
    n++;
  } else {
    for (let j = last; j < n; j++) {
      sackPut(flow, j - merged + 1, sackLeft(flow, j), sackRight(flow, j));
    }
    n -= merged - 1;
  }
  sackPut(flow, i, left, right);
  flow.sackCount = <u8>n;
  return true;
}

/** Takes the SACK blocks of the segment just parsed; true when they said something new. */
export function sackInput(flow: Tcp, ack: u32): bool {
  if (!has(flow, F_SACK)) return false;
  let news = false;
  for (let i = 0; i < optionSackCount; i++) {
    const left = optionSackLeft(i);
    const right = optionSackRight(i);
    // A block outside what is in flight, or a D-SACK below the acknowledgment, tells nothing here.
    if (!seqLt(left, right) || seqLe(left, ack) || seqGt(right, flow.sndMax)) continue;
    if (seqLt(left, flow.sndUna)) continue; // an acknowledgment that was overtaken
    if (sackAdd(flow, left, right)) news = true;
  }
  return news;
}

function sackPrune(flow: Tcp): void {
  let kept = 0;
  for (let i = 0; i < <i32>flow.sackCount; i++) {
    if (seqLe(sackRight(flow, i), flow.sndUna)) continue;
    const left = sackLeft(flow, i);
    sackPut(flow, kept++, seqLt(left, flow.sndUna) ? flow.sndUna : left, sackRight(flow, i));
  }
  flow.sackCount = <u8>kept;
}

function sackedBytes(flow: Tcp): u32 {
  let sum: u32 = 0;
  for (let i = 0; i < <i32>flow.sackCount; i++) sum += sackRight(flow, i) - sackLeft(flow, i);
  return sum;
}

function grow(flow: Tcp, acked: u32): void {
  // Slow start counts octets (RFC 3465) but does not jump over the threshold.
  if (flow.cwnd < flow.ssthresh) {
    flow.cwnd = min(flow.cwnd + acked, max(flow.ssthresh, flow.cwnd + flow.mss));
  }
  else flow.cwnd += max<u32>(<u32>((<u64>flow.mss * <u64>min(acked, flow.cwnd)) / flow.cwnd), 1);
  flow.cwnd = min(flow.cwnd, CWND_MAX);
}

/** After a pause of more than the timeout what was learned is stale (RFC 5681 §4.1). */
export function restartIdle(flow: Tcp, now: i64): void {
  if (flow.rttAt == 0 || now - flow.rttAt <= <i64>flow.rto) return;
  flow.cwnd = min(flow.cwnd, initialWindow(flow.mss));
}

/**
 * A partial acknowledgment of a guest that reports what it holds, and reports nothing: all that was
 * sent before the segment sent again is lost, as a link keeps the order. One segment for each round
 * trip would take for ever (RFC 6582 §4), so it all goes again, in slow start.
 */
function restLost(flow: Tcp, ack: u32): void {
  flow.flags &= ~(F_RECOVERY | P_RETRANSMIT | F_RTT);
  flow.cwnd = min(flow.ssthresh, initialWindow(flow.mss));
  flow.sndNext = ack;
  flow.sendCursor = -1;
}

/**
 * An acknowledgment in fast recovery that does not end it (RFC 6582 §3.2 step 3). True when the
 * retransmission timer is to run on: it is restarted by the first one only, so that after many
 * losses it ends the recovery (the "impatient" variant of §4).
 */
function partialAck(flow: Tcp, ack: u32, acked: u32): bool {
  if (has(flow, F_SACK) && flow.sackCount == 0) {
    restLost(flow, ack);
    return false;
  }
  if (flow.sackCount == 0) flow.retransmitNext = ack;
  // What duplicates added to the window goes again with the octets they stood for.
  const rest = flow.cwnd > acked ? flow.cwnd - acked : 0;
  flow.cwnd = max(rest, flow.ssthresh) + flow.mss;
  flow.flags |= P_RETRANSMIT; // the next hole goes out at once
  if (flow.partials < 255) flow.partials++;
  return flow.partials > 1;
}

/** An acknowledgment of new octets: SND.UNA < ack <= SND.MAX. */
export function ackAdvance(flow: Tcp, ack: u32, now: i64): void {
  const acked = ack - flow.sndUna;
  const flight = flow.sndMax - flow.sndUna;
  let timerRuns = false;
  if (has(flow, F_RTT) && seqGe(ack, flow.rttSequence)) {
    flow.flags &= ~F_RTT;
    sampleRtt(flow, now - flow.rttAt);
  }
  trimQueue(flow, ack);
  tcpProgress(flow, now);
  flow.sndUna = ack;
  if (seqLt(flow.sndNext, ack)) flow.sndNext = ack;
  flow.retransmits = 0;
  flow.probes = 0;
  flow.dupAcks = 0;
  if (has(flow, F_FIN_SENT) && ack == flow.sndEnd + 1) flow.flags |= F_FIN_ACKED;
  if (flow.sackCount > 0) sackPrune(flow);
  if (has(flow, F_RECOVERY)) {
    if (seqGe(ack, flow.recover)) {
      flow.flags &= ~(F_RECOVERY | P_RETRANSMIT);
      flow.cwnd = max(flow.ssthresh, 2 * flow.mss);
      flow.sackCount = 0;
    } else timerRuns = partialAck(flow, ack, acked);
  } else if (flight >= flow.cwnd >> 1) grow(flow, acked);
  // Kept close behind: half the sequence space away it would look like the future.
  if (!has(flow, F_RECOVERY) && seqGt(ack, flow.recover)) flow.recover = ack;
  flow.flags &= ~F_PERSIST;
  if (!timerRuns) {
    flow.rtoAt = 0;
    if (flow.sndUna != flow.sndMax) startRetransmit(flow, now); // RFC 6298 §5.3
  }
  flow.flags |= P_OUTPUT;
}

/** An acknowledgment of nothing new while data is out, or news from SACK (RFC 5681 §3.2). */
export function ackDuplicate(flow: Tcp, news: bool): void {
  if (flow.dupAcks < 255) flow.dupAcks++;
  if (has(flow, F_RECOVERY)) {
    flow.flags |= P_RETRANSMIT | P_OUTPUT;
    flow.cwnd = min(flow.cwnd + flow.mss, CWND_MAX); // the segment has left the network
    return;
  }
  const lost = <u32>flow.dupAcks >= DUPLICATES ||
    (news && sackedBytes(flow) >= DUPLICATES * flow.mss);
  // RFC 6582 §3.2 step 2: not again for the same window of data.
  if (!lost || seqLt(flow.sndUna, flow.recover)) return;
  count(abi.STAT_TCP_FAST_RETRANSMITS);
  const flight = flow.sndMax - flow.sndUna;
  flow.ssthresh = max(flight >> 1, 2 * flow.mss);
  flow.cwnd = flow.ssthresh + DUPLICATES * flow.mss;
  flow.recover = flow.sndMax;
  flow.retransmitNext = flow.sndUna;
  flow.partials = 0;
  flow.flags = (flow.flags | F_RECOVERY | P_RETRANSMIT) & ~F_RTT;
}

/** The retransmission timer went off: go back to the first octet (RFC 6298 §5.4-5.6, 5681 §3.1). */
export function timeoutRetransmit(flow: Tcp, now: i64): void {
  count(abi.STAT_TCP_TIMEOUTS);
  if (flow.retransmits == 0) {
    const flight = flow.sndMax - flow.sndUna;
    flow.ssthresh = max(flight >> 1, 2 * flow.mss);
  }
  if (flow.retransmits < 255) flow.retransmits++;
  flow.cwnd = flow.mss;
  flow.recover = flow.sndMax;
  flow.sackCount = 0; // the guest may have reneged (RFC 2018 §8)
  flow.dupAcks = 0;
  flow.flags &= ~(F_RTT | F_RECOVERY | P_RETRANSMIT);
  flow.flags |= P_OUTPUT;
  flow.sndNext = flow.sndUna;
  flow.sendCursor = -1;
  flow.rto = min(flow.rto << 1, RTO_MAX);
  flow.rtoAt = now + <i64>flow.rto;
}
