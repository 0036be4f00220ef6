/**
 * What an acknowledgment from the guest means for what we send: the retransmission queue, SACK
 * reports (RFC 2018), and the congestion window's growth (RFC 5681). What is lost, and how it is
 * repaired, is in `recovery`.
 */
import { chunkLength, chunkNext, chunkRelease, chunkSequence, chunkTrim } from "../memory";
import { txCount } from "../ring";
import { seqGe, seqGt, seqLe, seqLt } from "../wire/seqnum";
import {
  boardClose,
  boardFirst,
  boardMark,
  boardTakesReports,
  boardTrim,
  runBits,
  runOverlap,
  runStamp,
  SACKED,
} from "./board";
import {
  CWND_MAX,
  F_FIN_ACKED,
  F_FIN_SENT,
  F_PERSIST,
  F_RECOVERY,
  F_RTT,
  F_SACK,
  has,
  initialWindow,
  P_OUTPUT,
  REPAIR_FORCE,
  REPAIR_TIMEOUT,
  Tcp,
  tcpProgress,
} from "./conn";
import { armRetransmit, startRetransmit } from "./deadline";
import {
  deliveredSet,
  detectLoss,
  newsBegin,
  probeAnswered,
  probeNeedless,
  proportion,
  reach,
  undo,
  watch,
} from "./recovery";
import { sampleEcho, sampleTimed } from "./round-trip";
import { segment } from "./segment";

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

/** Octets of [left, right) that the guest had not reported yet. */
function unreported(flow: Tcp, left: u32, right: u32): u32 {
  let sum: u32 = 0;
  for (let i = 0; i < <i32>flow.runCount; i++) {
    if (runBits(flow, i) != SACKED) sum += runOverlap(flow, i, left, right);
  }
  return sum;
}

function reachAll(flow: Tcp, left: u32, right: u32, cumulative: bool, now: i64): void {
  for (let i = 0; i < <i32>flow.runCount; i++) reach(flow, i, left, right, cumulative, now);
}

/**
 * Takes the acknowledgment's SACK blocks, of the segment under way; true when they said something
 * new. Must be called before `ackAdvance` and `ackDuplicate`, for every acknowledgment.
 */
export function sackInput(flow: Tcp, ack: u32, now: i64): bool {
  newsBegin(flow);
  if (!has(flow, F_SACK)) return false;
  let news = false;
  for (let i = 0; i < segment.sackCount; i++) {
    const left = segment.sackLeft(i);
    const right = segment.sackRight(i);
    // D-SACK: it had these octets already (RFC 2883 §4).
    if (i == 0 && seqLe(right, ack) && seqLt(left, flow.probeEnd)) probeNeedless(flow);
    // A block outside what is in flight, or one below the acknowledgment, tells nothing here. By
    // distances, since what is half of all numbers away would be both before and behind.
    const from = left - flow.sndUna;
    const to = right - flow.sndUna;
    if (from >= to || to > flow.sndMax - flow.sndUna || seqLe(left, ack)) continue;
    watch(flow, now);
    if (unreported(flow, left, right) == 0 || !boardTakesReports(flow)) continue;
    reachAll(flow, left, right, false, now);
    boardMark(flow, left, right, runStamp(flow, 0), SACKED);
    news = true;
  }
  return news;
}

function grow(flow: Tcp, acked: u32): void {
  // Slow start counts octets (RFC 3465) but does not jump over the threshold.
  if (flow.cwnd < flow.ssthresh) {
    flow.cwnd = min(flow.cwnd + acked, max(flow.ssthresh, flow.cwnd + flow.mss));
  } else flow.cwnd += max<u32>(<u32>((<u64>flow.mss * <u64>min(acked, flow.cwnd)) / flow.cwnd), 1);
  flow.cwnd = min(flow.cwnd, CWND_MAX);
}

/** After a pause of more than the timeout what was learned is stale (RFC 5681 §4.1). */
export function restartIdle(flow: Tcp, now: i64): void {
  if (flow.rttAt == 0 || now - flow.rttAt <= <i64>flow.rto) return;
  flow.cwnd = min(flow.cwnd, initialWindow(flow.mss));
}

/** Octets that an acknowledgment without reports tells of, less those that duplicates told of. */
function deliveredBy(flow: Tcp, acked: u32): u32 {
  const known = <u32>flow.dupAcks * flow.mss;
  return acked > known ? acked - known : min(acked, flow.mss);
}

/** A repair has ended: all that was out when it began has arrived. */
function repaired(flow: Tcp): void {
  if (has(flow, F_RECOVERY)) flow.cwnd = max(flow.ssthresh, 2 * flow.mss);
  flow.flags &= ~F_RECOVERY;
  flow.repair &= ~(REPAIR_TIMEOUT | REPAIR_FORCE);
  flow.partials = 0;
}

/** An acknowledgment of new octets: SND.UNA < ack <= SND.MAX. */
export function ackAdvance(flow: Tcp, ack: u32, now: i64): void {
  const acked = ack - flow.sndUna;
  const flight = flow.sndMax - flow.sndUna;
  const open = !has(flow, F_RECOVERY);
  if (has(flow, F_RTT)) {
    if (seqGe(ack, flow.rttSequence)) sampleTimed(flow, now);
  } else if (flow.runCount > 0) sampleEcho(flow, now);
  if (flow.runCount > 0) {
    reachAll(flow, flow.sndUna, ack, true, now);
    if (!has(flow, F_SACK)) deliveredSet(deliveredBy(flow, acked));
    undo(flow, now);
    probeAnswered(flow, ack);
  }
  trimQueue(flow, ack);
  tcpProgress(flow, now);
  flow.sndUna = ack;
  flow.retransmits = 0;
  flow.probes = 0;
  flow.probesOut = 0;
  flow.dupAcks = 0;
  if (has(flow, F_FIN_SENT) && ack == flow.sndEnd + 1) flow.flags |= F_FIN_ACKED;
  if (flow.runCount > 0) boardTrim(flow);
  const repairing = has(flow, F_RECOVERY) || (flow.repair & REPAIR_TIMEOUT) != 0;
  if (repairing && seqGe(ack, flow.recover)) repaired(flow);
  if (open && flight >= flow.cwnd >> 1) grow(flow, acked);
  // Kept close behind: half the sequence space away it would look like the future.
  if (!repairing && seqGt(ack, flow.recover)) flow.recover = ack;
  flow.flags = (flow.flags | P_OUTPUT) & ~F_PERSIST;
  flow.rtoAt = 0;
  if (flow.sndUna != flow.sndMax) startRetransmit(flow, now); // RFC 6298 §5.3
  if (flow.runCount > 0) followUp(flow, now);
}

/** Looks for losses, and how much may be sent. */
function followUp(flow: Tcp, now: i64): void {
  detectLoss(flow, now);
  proportion(flow);
  if (!has(flow, F_RECOVERY)) boardClose(flow);
}

/** An acknowledgment of nothing new while data is out, or news from SACK (RFC 5681 §3.2). */
export function ackDuplicate(flow: Tcp, news: bool, now: i64): void {
  if (flow.dupAcks < u8.MAX_VALUE) flow.dupAcks++;
  if (news) {
    flow.probesOut = 0;
    armRetransmit(flow, now);
  } else {
    probeNeedless(flow);
    if (boardFirst(flow, SACKED) < 0) deliveredSet(flow.mss);
  }
  flow.flags |= P_OUTPUT;
  followUp(flow, now);
}
