/**
 * Which octets are lost, and how fast they go again.
 *
 * Theory of operation
 *  What has arrived (`reach`) tells what was sent before it and should have arrived, too (RACK, RFC
 *  8985 §6): the link keeps the order. That holds for what was sent again as well, so a lost
 *  retransmission is found by anything sent after it. Loss is called at once when three segments
 *  have arrived past it or a repair is under way, else after a quarter of a round trip.
 *  Guests without SACK name only the next hole: they get one segment for each acknowledgment that
 *  does so, more when it acknowledges no more than what went again, and all that is out when that
 *  happens for the PARTIALS_MAX-th time in a row (a guest that keeps nothing behind a hole).
 *
 *      open --loss--> RECOVERY (F_RECOVERY, PRR)  --`recover` acknowledged--> open
 *      open --probe--> PROBED --answered: it was lost--> open with a smaller window
 *      any  --timeout--> TIMEOUT (all lost, slow start) --`recover` acknowledged--> open
 *
 *  The window falls once for each of these; while one lasts, more losses are repaired within it.
 *  In recovery what goes out follows what arrives (PRR, RFC 6937: slow start bound, so that losses
 *  in bursts do not end in a burst). An acknowledgment that echoes a timestamp from before the
 *  repair says that it was not needed, and takes it back (Eifel, RFC 3522, 4015).
 */
import * as abi from "../abi/index";
import { count } from "../stats";
import { MILLISECOND_US } from "../timer";
import { seqGe, seqLe, seqLt } from "../wire/seqnum";
import {
  AGAIN,
  boardAllLost,
  boardFirst,
  boardHighest,
  boardLose,
  boardMark,
  boardNoneLost,
  boardOctets,
  boardOpen,
  LOST,
  pipeOf,
  runBits,
  runEnd,
  runOverlap,
  runStamp,
  runStart,
  SACKED,
  stampDiff,
  stampOf,
} from "./board";
import {
  F_RECOVERY,
  F_RTT,
  F_SACK,
  F_TIMESTAMPS,
  has,
  P_OUTPUT,
  REPAIR_FORCE,
  REPAIR_PROBED,
  REPAIR_REORDERED,
  REPAIR_TIMEOUT,
  REPAIR_UNDO,
  RTO_MAX_US,
  Tcp,
  TIMER_REORDER,
  TIMER_RETRANSMIT,
  timestamp,
} from "./conn";
import { armRetransmit } from "./deadline";
import { echoAge } from "./round-trip";
import { segment } from "./segment";

const DUPLICATES: u32 = 3;
/** What a loop may be late by before order is doubted. */
const REORDER_SLACK_US: u32 = 2000;
const PARTIALS_MAX: u8 = 3;
/** What of the window is left after a loss, as in CUBIC (RFC 9438 §4.6). */
const BETA_PERCENT: u64 = 70;
const PERCENT: u64 = 100;

/** What the acknowledgment under way tells. */
@unmanaged
class News {
  /** Octets that have arrived by it. */
  delivered: u32;
  /** Right edge of what the guest had reported before it. */
  highest: u32;
}

const news: News = changetype<News>(memory.data(<i32>offsetof<News>(), 4));

export function deliveredSet(octets: u32): void {
  news.delivered = octets;
}

/** A segment with news begins. */
export function newsBegin(flow: Tcp): void {
  news.delivered = 0;
  if (flow.runCount > 0) news.highest = boardHighest(flow);
  else news.highest = flow.sndUna;
}

/** Octets in flight are written down from now on, sent a round trip ago. */
export function watch(flow: Tcp, now: i64): void {
  if (flow.runCount > 0) return;
  boardOpen(flow, now - <i64>flow.srtt);
  flow.rackRtt = 0;
}

/** The part of run `i` in [left, right) has arrived; `cumulative` = by an acknowledgment. */
export function reach(flow: Tcp, i: i32, left: u32, right: u32, cumulative: bool, now: i64): void {
  const octets = runOverlap(flow, i, left, right);
  const bits = runBits(flow, i);
  if (octets == 0 || bits == SACKED) return;
  news.delivered += octets;
  const stamp = runStamp(flow, i);
  const end = seqLt(right, runEnd(flow, i)) ? right : runEnd(flow, i);
  const age = max(stampDiff(stampOf(now), stamp), 1);
  if ((bits & AGAIN) != 0) {
    // Which of the two has arrived (RFC 8985 §6.2 step 2)?
    if (<u32>age < flow.rttMin) return;
    if (cumulative && echoAge(flow, now) > age / <i32>MILLISECOND_US + 1) return;
  } else if (has(flow, F_SACK) && (flow.repair & REPAIR_TIMEOUT) == 0 && seqLt(end, news.highest))
    flow.repair |= REPAIR_REORDERED;
  const later = stampDiff(stamp, flow.rackStamp);
  if (flow.rackRtt != 0 && (later < 0 || (later == 0 && seqLe(end, flow.rackEnd)))) return;
  flow.rackStamp = stamp;
  flow.rackEnd = end;
  flow.rackRtt = <u32>age;
}

/** How long what was overtaken may still come, microseconds (RFC 8985 §6.2 step 4). */
function reorderWindow(flow: Tcp): u32 {
  if ((flow.repair & REPAIR_REORDERED) == 0) {
    if (has(flow, F_RECOVERY) || (flow.repair & REPAIR_TIMEOUT) != 0) return 0;
    if (!has(flow, F_SACK) || <u32>flow.dupAcks >= DUPLICATES) return 0;
    if (boardOctets(flow, SACKED) >= DUPLICATES * flow.mss) return 0;
  }
  return (flow.rttMin >> 2) + REORDER_SLACK_US;
}

function isOvertaken(flow: Tcp, i: i32): bool {
  const later = stampDiff(flow.rackStamp, runStamp(flow, i));
  return later > 0 || (later == 0 && seqGe(flow.rackEnd, runEnd(flow, i)));
}

/** Takes for lost what was overtaken; true when something was. Else the timer may be set for it. */
function overtakenLost(flow: Tcp, now: i64): bool {
  if (flow.rackRtt == 0) return false;
  const window = reorderWindow(flow);
  let found = false;
  let wait = 0;
  for (let i = <i32>flow.runCount - 1; i >= 0; i--) {
    if ((runBits(flow, i) & (SACKED | LOST)) != 0 || !isOvertaken(flow, i)) continue;
    const left = stampDiff(runStamp(flow, i), stampOf(now)) + <i32>(flow.rackRtt + window);
    if (window > 0 && left > 0) {
      wait = max(wait, left);
      continue;
    }
    boardLose(flow, i);
    found = true;
  }
  if (wait > 0 && !found) {
    flow.timer = TIMER_REORDER;
    flow.rtoAt = now + <i64>wait;
  }
  return found;
}

/** The next hole of a guest that does not say what it holds. */
function nextLost(flow: Tcp, octets: u32): bool {
  if (runBits(flow, 0) != 0) return false;
  const from = flow.sndUna;
  const end = runEnd(flow, 0);
  const to = from + min(octets, end - from);
  boardMark(flow, from, to, runStamp(flow, 0), LOST);
  return true;
}

/** An acknowledgment of a part, of a guest without SACK (RFC 6582 §3.2 step 3). */
function nextHole(flow: Tcp): bool {
  if ((runBits(flow, 0) & LOST) != 0) flow.repair |= REPAIR_FORCE; // it was to go already
  if (runBits(flow, 0) != 0 || !isOvertaken(flow, 0)) return false;
  if (flow.sndUna != flow.rackEnd) flow.partials = 0;
  const all = flow.partials >= PARTIALS_MAX;
  const found = nextLost(flow, all ? flow.sndMax - flow.sndUna : flow.mss << flow.partials);
  if (!all) flow.partials++;
  flow.repair |= REPAIR_FORCE;
  return found;
}

/** Duplicate acknowledgments after which the first segment is lost (RFC 5681, 5827 §3.1). */
function duplicatesEnough(flow: Tcp): bool {
  const duplicates = <u32>flow.dupAcks;
  if (duplicates >= DUPLICATES) return true;
  if (duplicates == 0 || has(flow, F_SACK)) return false;
  const segments = (flow.sndMax - flow.sndUna + flow.mss - 1) / flow.mss;
  return segments <= DUPLICATES && duplicates + 1 >= segments;
}

/** Looks for losses after news from the guest. */
export function detectLoss(flow: Tcp, now: i64): void {
  if (flow.runCount == 0) {
    if (!duplicatesEnough(flow)) return;
    watch(flow, now);
  }
  let found = false;
  if (has(flow, F_SACK)) found = overtakenLost(flow, now);
  else if (flow.rackRtt != 0) found = nextHole(flow);
  if (!found && duplicatesEnough(flow) && boardFirst(flow, SACKED) < 0) {
    found = nextLost(flow, flow.mss);
  }
  if (found) enter(flow, now);
}

/** The timer for what may have been overtaken went off. */
export function reorderOver(flow: Tcp, now: i64): void {
  news.delivered = 0;
  detectLoss(flow, now);
  proportion(flow);
}

/** What to go back to when an acknowledgment shows that nothing was lost. */
function remember(flow: Tcp, now: i64): void {
  const both = REPAIR_PROBED | REPAIR_UNDO;
  if ((flow.repair & both) == both) return; // the probe was the first of what went again
  flow.undoCwnd = flow.cwnd;
  flow.undoSsthresh = flow.ssthresh;
  flow.repairEcho = timestamp(flow, now);
  flow.repair |= REPAIR_UNDO;
}

/** The threshold after a loss: what a local link loses says less than congestion does. */
function reduced(flow: Tcp): u32 {
  const out = max(min(flow.sndMax - flow.sndUna, flow.cwnd), flow.mss);
  return max(<u32>((<u64>out * BETA_PERCENT) / PERCENT), 2 * flow.mss);
}

/** Fast recovery begins (RFC 6675 §5, RFC 6937 §3), unless a repair is under way. */
function enter(flow: Tcp, now: i64): void {
  flow.flags |= P_OUTPUT;
  if (has(flow, F_RECOVERY) || (flow.repair & REPAIR_TIMEOUT) != 0) return;
  count(abi.STAT_TCP_FAST_RETRANSMITS);
  remember(flow, now);
  flow.ssthresh = reduced(flow);
  flow.recoverFlight = max(flow.sndMax - flow.sndUna, flow.mss);
  flow.prrDelivered = 0;
  flow.prrOut = 0;
  flow.recover = flow.sndMax;
  flow.repair = (flow.repair | REPAIR_FORCE) & ~REPAIR_PROBED;
  flow.flags |= F_RECOVERY;
}

/** How much may be out, after what has arrived (RFC 6937 §3). */
export function proportion(flow: Tcp): void {
  if (!has(flow, F_RECOVERY)) return;
  flow.prrDelivered += news.delivered;
  const pipe = pipeOf(flow);
  let room: i32;
  if (pipe > flow.ssthresh) {
    const due =
      (<u64>flow.prrDelivered * flow.ssthresh + flow.recoverFlight - 1) / flow.recoverFlight;
    room = <i32>(<u32>due - flow.prrOut);
  } else {
    const limit = max(<i32>(flow.prrDelivered - flow.prrOut), <i32>news.delivered) + <i32>flow.mss;
    room = min(<i32>(flow.ssthresh - pipe), limit);
  }
  flow.cwnd = max(pipe + <u32>max(room, 0), flow.mss);
}

/** Takes a repair back when the acknowledgment of its first octets is older than it. */
export function undo(flow: Tcp, now: i64): void {
  if ((flow.repair & REPAIR_UNDO) == 0) return;
  flow.repair &= ~REPAIR_UNDO;
  if (echoAge(flow, now) < 0 || <i32>(segment.tsEcho - flow.repairEcho) >= 0) return;
  boardNoneLost(flow);
  flow.cwnd = max(flow.cwnd, flow.undoCwnd);
  flow.ssthresh = flow.undoSsthresh;
  flow.repair &= ~(REPAIR_TIMEOUT | REPAIR_PROBED | REPAIR_FORCE);
  flow.flags &= ~F_RECOVERY;
}

/** An acknowledgment of new octets, after a probe: was what it repeated lost (RFC 8985 §7.4)? */
export function probeAnswered(flow: Tcp, ack: u32): void {
  if ((flow.repair & REPAIR_PROBED) == 0 || seqLt(ack, flow.probeEnd)) return;
  if (has(flow, F_RECOVERY)) {
    flow.repair &= ~REPAIR_PROBED;
    return;
  }
  // Of what was acknowledged up to its end nobody knows; what follows tells.
  if (ack == flow.probeEnd && !has(flow, F_TIMESTAMPS)) return;
  flow.repair &= ~REPAIR_PROBED;
  flow.ssthresh = reduced(flow);
  flow.cwnd = min(flow.cwnd, flow.ssthresh);
}

/** Same acknowledgment once more, and no news: both of a segment have arrived. */
export function probeNeedless(flow: Tcp): void {
  flow.repair &= ~REPAIR_PROBED;
}

/** The probe timer went off: one segment goes out again, whatever the window says. */
export function probe(flow: Tcp, now: i64): void {
  count(abi.STAT_TCP_TAIL_PROBES);
  watch(flow, now);
  if (flow.probesOut < u8.MAX_VALUE) flow.probesOut++;
  armRetransmit(flow, now);
  flow.flags = (flow.flags | P_OUTPUT) & ~F_RTT;
  if (runBits(flow, 0) == SACKED) {
    boardAllLost(flow, false); // the guest has forgotten what it had (RFC 2018 §8)
    return;
  }
  const repairing = has(flow, F_RECOVERY) || (flow.repair & REPAIR_TIMEOUT) != 0;
  const fits = flow.sndMax - flow.sndUna <= flow.sndWindow;
  const isTail = has(flow, F_SACK) && flow.probesOut == 1 && !repairing && fits;
  let i = isTail ? <i32>flow.runCount - 1 : 0;
  while (isTail && i > 0 && runBits(flow, i) == SACKED) i--;
  let from = runStart(flow, i);
  let to = runEnd(flow, i);
  if (to - from > flow.mss) {
    if (isTail) from = to - flow.mss;
    else to = from + flow.mss;
  }
  boardMark(flow, from, to, runStamp(flow, i), LOST | (runBits(flow, i) & AGAIN));
  flow.repair |= REPAIR_FORCE;
  if (repairing || (flow.repair & REPAIR_PROBED) != 0) return;
  flow.probeEnd = to;
  flow.repair |= REPAIR_PROBED;
  remember(flow, now);
}

/** The retransmission timer went off: all is lost (RFC 6298 §5.4-5.6, 5681 §3.1). */
export function timeoutRetransmit(flow: Tcp, now: i64): void {
  count(abi.STAT_TCP_TIMEOUTS);
  watch(flow, now);
  if (flow.retransmits == 0) {
    if ((flow.repair & REPAIR_TIMEOUT) == 0) {
      remember(flow, now);
      flow.ssthresh = max(min(flow.sndMax - flow.sndUna, flow.cwnd) >> 1, 2 * flow.mss);
    }
  }
  if (flow.retransmits < u8.MAX_VALUE) flow.retransmits++;
  flow.cwnd = flow.mss;
  flow.recover = flow.sndMax;
  // RFC 6675 §5.1: reports stay, unless the guest shows that it has forgotten them.
  boardAllLost(flow, flow.retransmits < 2 && runBits(flow, 0) != SACKED);
  flow.dupAcks = 0;
  flow.partials = 0;
  flow.repair = (flow.repair | REPAIR_TIMEOUT) & ~(REPAIR_FORCE | REPAIR_PROBED);
  flow.flags = (flow.flags | P_OUTPUT) & ~(F_RTT | F_RECOVERY);
  flow.rto = min(flow.rto << 1, RTO_MAX_US);
  flow.rtoAt = now + <i64>flow.rto;
  flow.timer = TIMER_RETRANSMIT;
}

/** All that is in flight goes again, in segments of another size. */
export function resendAll(flow: Tcp): void {
  boardOpen(flow, 0);
  boardAllLost(flow, true);
  flow.flags = (flow.flags | P_OUTPUT) & ~F_RTT;
}
