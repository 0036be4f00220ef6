/**
 * The scoreboard: what became of the octets in flight, kept only while something is missing.
 *
 * Theory of operation
 *  [sndUna, sndMax) is cut into runs. A run has a right edge, the time it was last sent, and bits:
 *
 *      0        sent once, nothing known       SACKED   the guest holds it
 *      AGAIN    sent again, nothing known      LOST     taken for lost, to be sent again
 *
 *  Without loss there is no board (`runCount` 0) and nothing is done for it: all that is in flight
 *  is one run that nobody writes down. `boardOpen` writes it down when the guest reports a range,
 *  says the same thing three times, or a timer goes off; `boardClose` forgets it when all of it is
 *  of the first kind again. Runs of the first kind merge as long as nothing was sent again between
 *  them: a link keeps the order, so sequence numbers tell the order of what was sent once.
 *
 *  Which of two was sent later (RFC 8985 §4: "xmit_ts") is told by time, then by sequence number.
 *  Times are microseconds modulo 2^29 (268 s each way).
 *
 *  Bound: RUNS_MAX runs of 8 octets for each flow, in a region of its own whose pages cost nothing
 *  until a flow there loses something. When it is full, neighbours of one kind merge, then the
 *  highest report is forgotten; the guest repeats it, or gets the octets twice.
 *
 * Source: RFC 2018, RFC 6675 §3-4, RFC 8985 §5-6.
 */
import * as abi from "../abi/index";
import { slotOf } from "../flow/table";
import { CHECKED } from "../trap";
import { seqGe, seqGt, seqLe, seqLt } from "../wire/seqnum";
import { Tcp } from "./conn";

export const RUNS_MAX: i32 = 24;
/** Runs that reports may fill; what is sent again must find room to be noted. */
const RUNS_REPORTED: i32 = RUNS_MAX - 4;
/** A run: {right edge u32, stamp and bits u32}. */
const RUN_SHIFT: usize = 3;
const RUN_STAMP_OFFSET: usize = 4;
const BOARD_SIZE: usize = (<usize>RUNS_MAX) << RUN_SHIFT;
const BOARDS: usize = memory.data(<i32>(<usize>abi.FLOW_CAPACITY_COUNT * BOARD_SIZE), 4096);

export const SACKED: u32 = 1;
export const LOST: u32 = 2;
export const AGAIN: u32 = 4;
/** Bits of state, below the 29 of time. */
const STATE_BITS: u32 = 3;
const BITS: u32 = (1 << STATE_BITS) - 1;

function entry(flow: Tcp, i: i32): usize {
  return BOARDS + <usize>slotOf(flow) * BOARD_SIZE + ((<usize>i) << RUN_SHIFT);
}
/** Right edge of run `i`. */
export function runEnd(flow: Tcp, i: i32): u32 {
  return load<u32>(entry(flow, i));
}
/** Left edge of run `i`. */
export function runStart(flow: Tcp, i: i32): u32 {
  return i == 0 ? flow.sndUna : runEnd(flow, i - 1);
}
export function runBits(flow: Tcp, i: i32): u32 {
  return load<u32>(entry(flow, i), RUN_STAMP_OFFSET) & BITS;
}
/** When run `i` was last sent, see `stampOf`. */
export function runStamp(flow: Tcp, i: i32): u32 {
  return load<u32>(entry(flow, i), RUN_STAMP_OFFSET) & ~BITS;
}
function runPut(flow: Tcp, i: i32, end: u32, stamp: u32, bits: u32): void {
  store<u32>(entry(flow, i), end);
  store<u32>(entry(flow, i), stamp | bits, RUN_STAMP_OFFSET);
}

/** A time as runs keep it: 29 bits of microseconds, above the three of state. */
export function stampOf(now: i64): u32 {
  return (<u32>now) << STATE_BITS;
}
/** Microseconds from one stamp to the other; negative when `to` is earlier. */
export function stampDiff(to: u32, from: u32): i32 {
  return <i32>(to - from) >> STATE_BITS;
}

/** Writes down what is in flight as one run; `since` = when it was sent, at the latest. */
export function boardOpen(flow: Tcp, since: i64): void {
  if (flow.runCount > 0 || flow.sndUna == flow.sndMax) return;
  runPut(flow, 0, flow.sndMax, stampOf(since), 0);
  flow.runCount = 1;
  flow.againStamp = stampOf(since);
}

/** Forgets the board when it says no more than that all is in flight. */
export function boardClose(flow: Tcp): void {
  for (let i = 0; i < <i32>flow.runCount; i++) {
    if (runBits(flow, i) != 0) return;
  }
  flow.runCount = 0;
}

function removeRuns(flow: Tcp, from: i32, number: i32): void {
  const n = <i32>flow.runCount - number;
  memory.copy(entry(flow, from), entry(flow, from + number), (<usize>(n - from)) << RUN_SHIFT);
  flow.runCount = <u8>n;
}

/** Merges run `i` with the next; what is known of it is `bits`, and the later of their times. */
function merge(flow: Tcp, i: i32, bits: u32): void {
  const a = runStamp(flow, i);
  const b = runStamp(flow, i + 1);
  runPut(flow, i, runEnd(flow, i + 1), stampDiff(a, b) > 0 ? a : b, bits);
  removeRuns(flow, i + 1, 1);
}

/** Frees one run of a board that is full; see the head of this file for what is given up. */
function makeRoom(flow: Tcp): void {
  const n = <i32>flow.runCount;
  for (let i = n - 2; i >= 0; i--) {
    const bits = runBits(flow, i);
    if (bits == runBits(flow, i + 1)) {
      merge(flow, i, bits);
      return;
    }
  }
  for (let i = n - 1; i > 0; i--) {
    if (runBits(flow, i) == SACKED) {
      merge(flow, i - 1, runBits(flow, i - 1));
      return;
    }
  }
  merge(flow, n - 2, LOST | AGAIN);
}

/** Index of the run that begins at `sequence`, which lies in [sndUna, sndMax); cuts one there. */
function cut(flow: Tcp, sequence: u32): i32 {
  let i = 0;
  while (seqLe(runEnd(flow, i), sequence)) i++;
  if (runStart(flow, i) == sequence) return i;
  const n = <i32>flow.runCount;
  memory.copy(entry(flow, i + 1), entry(flow, i), (<usize>(n - i)) << RUN_SHIFT);
  store<u32>(entry(flow, i), sequence);
  flow.runCount = <u8>(n + 1);
  return i + 1;
}

/** Says of [left, right), which lies in [sndUna, sndMax), what is known of it from now on. */
export function boardMark(flow: Tcp, left: u32, right: u32, stamp: u32, bits: u32): void {
  if (CHECKED) {
    const from = left - flow.sndUna;
    const to = right - flow.sndUna;
    assert(from < to && to <= flow.sndMax - flow.sndUna, "a mark is of what is in flight");
  }
  while (<i32>flow.runCount > RUNS_MAX - 2) makeRoom(flow);
  let i = cut(flow, left);
  let last = i;
  if (right == flow.sndMax) last = <i32>flow.runCount - 1;
  else last = cut(flow, right) - 1;
  runPut(flow, i, right, stamp, bits);
  if (last > i) removeRuns(flow, i + 1, last - i);
  // Neighbours that say the same are one; of what was sent again only what was sent at once.
  if (i > 0 && alike(flow, i - 1)) {
    merge(flow, i - 1, bits);
    i--;
  }
  if (i + 1 < <i32>flow.runCount && alike(flow, i)) merge(flow, i, bits);
}

function alike(flow: Tcp, i: i32): bool {
  const bits = runBits(flow, i);
  if (bits != runBits(flow, i + 1)) return false;
  return (bits & (SACKED | LOST)) != 0 || runStamp(flow, i) == runStamp(flow, i + 1);
}

/** New octets were sent, up to `end`; `sndMax` still says where they begin. */
export function boardExtend(flow: Tcp, end: u32, now: i64): void {
  const n = <i32>flow.runCount;
  if (n == 0) return;
  const isOne = runBits(flow, n - 1) == 0 && stampDiff(runStamp(flow, n - 1), flow.againStamp) >= 0;
  if (isOne) {
    store<u32>(entry(flow, n - 1), end);
    return;
  }
  if (n == RUNS_MAX) makeRoom(flow);
  runPut(flow, <i32>flow.runCount, end, stampOf(now), 0);
  flow.runCount++;
}

/** The runs below `sndUna`, which has moved, go. */
export function boardTrim(flow: Tcp): void {
  let gone = 0;
  while (gone < <i32>flow.runCount && seqLe(runEnd(flow, gone), flow.sndUna)) gone++;
  if (gone > 0) removeRuns(flow, 0, gone);
}

/** Room for one more report. */
export function boardTakesReports(flow: Tcp): bool {
  return <i32>flow.runCount < RUNS_REPORTED;
}

/** Octets thought to be on their way (RFC 6675 §4 "pipe"; nothing is counted twice here). */
export function boardPipe(flow: Tcp): u32 {
  let sum: u32 = 0;
  for (let i = 0; i < <i32>flow.runCount; i++) {
    if ((runBits(flow, i) & (SACKED | LOST)) == 0) sum += runEnd(flow, i) - runStart(flow, i);
  }
  return sum;
}

/** Octets in runs that have all of `bits`. */
export function boardOctets(flow: Tcp, bits: u32): u32 {
  let sum: u32 = 0;
  for (let i = 0; i < <i32>flow.runCount; i++) {
    if ((runBits(flow, i) & bits) == bits) sum += runEnd(flow, i) - runStart(flow, i);
  }
  return sum;
}

/** The first run that has all of `bits`, -1 = none. */
export function boardFirst(flow: Tcp, bits: u32): i32 {
  for (let i = 0; i < <i32>flow.runCount; i++) {
    if ((runBits(flow, i) & bits) == bits) return i;
  }
  return -1;
}

/** Right edge of the highest run that the guest has reported; `sndUna` when there is none. */
export function boardHighest(flow: Tcp): u32 {
  for (let i = <i32>flow.runCount - 1; i >= 0; i--) {
    if (runBits(flow, i) == SACKED) return runEnd(flow, i);
  }
  return flow.sndUna;
}

/** All that the guest has not reported is lost; with `reports` false, that too. */
export function boardAllLost(flow: Tcp, reports: bool): void {
  for (let i = 0; i < <i32>flow.runCount; i++) {
    const bits = runBits(flow, i);
    if (reports && bits == SACKED) continue;
    runPut(flow, i, runEnd(flow, i), runStamp(flow, i), LOST | (bits & AGAIN));
  }
  for (let i = <i32>flow.runCount - 2; i >= 0; i--) {
    if (alike(flow, i)) merge(flow, i, runBits(flow, i));
  }
}

/** What was taken for lost and not sent again is in flight after all. */
export function boardNoneLost(flow: Tcp): void {
  for (let i = 0; i < <i32>flow.runCount; i++) {
    const bits = runBits(flow, i);
    if ((bits & LOST) != 0) runPut(flow, i, runEnd(flow, i), runStamp(flow, i), bits & AGAIN);
  }
}

/** Takes run `i` for lost. */
export function boardLose(flow: Tcp, i: i32): void {
  runPut(flow, i, runEnd(flow, i), runStamp(flow, i), LOST | (runBits(flow, i) & AGAIN));
}

/** The part of run `i` that lies in [left, right), as octets; 0 = none. */
export function runOverlap(flow: Tcp, i: i32, left: u32, right: u32): u32 {
  const start = runStart(flow, i);
  const end = runEnd(flow, i);
  const from = seqGt(left, start) ? left : start;
  const to = seqLt(right, end) ? right : end;
  return seqGe(from, to) ? 0 : to - from;
}

/**
 * Octets on their way, with or without a board. Where the guest says the same again and does not
 * say what it holds, each time stands for a segment that has arrived (RFC 5681 §3.2, 3042).
 */
export function pipeOf(flow: Tcp): u32 {
  const n = flow.runCount;
  const pipe = n == 0 ? flow.sndMax - flow.sndUna : boardPipe(flow);
  if (flow.dupAcks == 0 || (n > 0 && boardFirst(flow, SACKED) >= 0)) return pipe;
  const arrived = <u32>flow.dupAcks * flow.mss;
  return pipe > arrived ? pipe - arrived : 0;
}
