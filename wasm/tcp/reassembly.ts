/**
 * Octets from the guest that the host socket has not taken: out of order, or in order but too many.
 *
 * A flow holds a list of chunks sorted by sequence number, never overlapping; what is there wins
 * over what comes later. The list covers [rcvAck + listed entries, ...) with gaps. Bounds: a flow
 * may hold half of what others leave of the pool but for what is kept (`flow/shares`), and at most
 * HELD_MAX chunks, so a guest that sends tiny scattered segments (SegmentSmack) costs 256 chunks
 * and a walk over them, no more. What does not fit is dropped and counted; the guest sends it
 * again, as it was never acknowledged (RFC 2018 §8). What is held may be taken away when memory is
 * short (`pressure`); a blocked flow then holds nothing new until the host takes something.
 */
import * as abi from "../abi/index";
import { HOLDS, heldCount, heldSpare, holderJoin, holderLeave } from "../flow/holders";
import { SHARE_OUTSIDE } from "../flow/kinds";
import { stakeOf } from "../layout";
import { lentCopy, lentRoom } from "../lent";
import {
  CHUNKS_GUARANTEED,
  chunkAllocate,
  chunkData,
  chunkLength,
  chunkNext,
  chunkRelease,
  chunkSequence,
  chunkSetLength,
  chunkSetNext,
  chunkStart,
  chunksFree,
  chunksKept,
  chunkTrim,
} from "../memory";
import { entryAlloc, entryAt } from "../ring";
import { count, drop } from "../stats";
import { seqGe, seqGt, seqLe, seqLt } from "../wire/seqnum";
import { F_BLOCKED, F_GUEST_FIN, F_SACK, has, P_ACK, Tcp } from "./conn";

const HELD_MAX: i32 = 256;

function chunkEnd(chunk: i32): u32 {
  return chunkSequence(chunk) + chunkLength(chunk);
}

/** Octets that still fit behind the last one of a chunk. */
function chunkRoom(chunk: i32): u32 {
  return <u32>abi.CHUNK_SIZE - chunkStart(chunk) - chunkLength(chunk);
}

/** Whether the flow had to give back what it held, and nothing has moved since. */
function isBarred(flow: Tcp): bool {
  return stakeOf(flow).holds > HOLDS && has(flow, F_BLOCKED);
}

/** Whether the flow may hold one chunk more. */
function mayHold(flow: Tcp): bool {
  if (isBarred(flow)) return false;
  const spare = heldSpare(flow);
  if (flow.heldCount >= CHUNKS_GUARANTEED) return flow.heldCount < (spare + flow.heldCount) >> 1;
  return spare > 0 || (flow.share != SHARE_OUTSIDE && chunksFree() > chunksKept() >> 1);
}

/** Gives back the last chunk that is held. */
function dropTail(flow: Tcp): void {
  const last = flow.heldTail;
  let before = -1;
  for (let chunk = flow.heldHead; chunk != last; chunk = chunkNext(chunk)) before = chunk;
  if (before < 0) flow.heldHead = -1;
  else chunkSetNext(before, -1);
  flow.heldTail = before;
  if (seqLt(chunkSequence(last), flow.rcvNext)) flow.rcvNext = chunkSequence(last);
  releaseOne(flow, last);
  drop(abi.DROP_TCP_POOL);
}

function chunkInsert(flow: Tcp, before: i32, sequence: u32): i32 {
  if (flow.heldCount >= HELD_MAX) {
    drop(abi.DROP_TCP_GAPS);
    return -1;
  }
  // What came early makes room for what is missing before it: the guest goes on from there.
  const missing = seqLe(sequence, flow.rcvNext) && !isBarred(flow);
  while (missing && flow.heldTail >= 0 && flow.heldTail != before && !mayHold(flow)) dropTail(flow);
  const chunk = mayHold(flow) ? chunkAllocate(sequence) : -1;
  if (chunk < 0) {
    drop(abi.DROP_TCP_POOL);
    return -1;
  }
  holderJoin(flow);
  flow.heldCount++;
  heldCount(flow, 1);
  const after = before < 0 ? flow.heldHead : chunkNext(before);
  chunkSetNext(chunk, after);
  if (before < 0) flow.heldHead = chunk;
  else chunkSetNext(before, chunk);
  if (after < 0) flow.heldTail = chunk;
  return chunk;
}

/** Keeps the octets [sequence, sequence + length) at `from`; false when some found no room. */
export function hold(flow: Tcp, sequence: u32, from: usize, length: u32): bool {
  let before = -1;
  let at = flow.heldHead;
  if (flow.heldTail >= 0 && seqGe(sequence, chunkEnd(flow.heldTail))) {
    before = flow.heldTail;
    at = -1;
  }
  while (length > 0) {
    while (at >= 0 && seqLe(chunkEnd(at), sequence)) {
      before = at;
      at = chunkNext(at);
    }
    let n = length;
    if (at >= 0 && seqLe(chunkSequence(at), sequence)) {
      n = min(n, chunkEnd(at) - sequence); // held already
    } else {
      if (at >= 0) n = min(n, chunkSequence(at) - sequence);
      if (!lentRoom(from)) {
        drop(abi.DROP_TCP_POOL);
        return false;
      }
      let chunk = before;
      if (before < 0 || chunkEnd(before) != sequence || chunkRoom(before) == 0) {
        chunk = chunkInsert(flow, before, sequence);
        if (chunk < 0) return false;
      }
      n = min(n, chunkRoom(chunk));
      lentCopy(chunkData(chunk) + chunkLength(chunk), from, n);
      chunkSetLength(chunk, chunkLength(chunk) + n);
      before = chunk;
      at = chunkNext(chunk);
    }
    sequence += n;
    from += n;
    length -= n;
  }
  return true;
}

/** How many of `length` octets from `sequence`, below all that is held, reach to what is held. */
export function gapBefore(flow: Tcp, sequence: u32, length: u32): u32 {
  return flow.heldHead < 0 ? length : min(length, chunkSequence(flow.heldHead) - sequence);
}

/** Moves rcvNext over what is held without a gap. */
export function advance(flow: Tcp): void {
  let chunk = flow.heldHead;
  while (chunk >= 0 && seqLe(chunkSequence(chunk), flow.rcvNext)) {
    const end = chunkEnd(chunk);
    if (seqGt(end, flow.rcvNext)) flow.rcvNext = end;
    chunk = chunkNext(chunk);
  }
}

/** Forgets the first `count` held octets: the host has taken them. */
export function consume(flow: Tcp, count: u32): void {
  while (count > 0 && flow.heldHead >= 0) {
    const chunk = flow.heldHead;
    const length = chunkLength(chunk);
    if (count < length) {
      chunkTrim(chunk, count);
      return;
    }
    count -= length;
    flow.heldHead = chunkNext(chunk);
    if (flow.heldHead < 0) {
      flow.heldTail = -1;
      holderLeave(flow);
    }
    releaseOne(flow, chunk);
  }
}

function releaseOne(flow: Tcp, chunk: i32): void {
  flow.heldCount--;
  heldCount(flow, -1);
  chunkRelease(chunk, false);
}

/** Gives back a chunk and all behind it. */
function releaseRest(flow: Tcp, first: i32): void {
  let chunk = first;
  while (chunk >= 0) {
    const next = chunkNext(chunk);
    releaseOne(flow, chunk);
    chunk = next;
  }
}

/**
 * Gives back all that is held, but for the first chunk if `keepFirst` and nothing is missing before
 * it; true when it was kept.
 */
export function releaseFrom(flow: Tcp, keepFirst: bool): bool {
  const first = flow.heldHead;
  const keep = keepFirst && first >= 0 && chunkSequence(first) == flow.rcvAck + flow.batchBytes;
  const rest = keep ? chunkNext(first) : first;
  if (keep) chunkSetNext(first, -1);
  else flow.heldHead = -1;
  flow.heldTail = keep ? first : -1;
  releaseRest(flow, rest);
  return keep;
}

/** Forgets held octets from `sequence` on, after the guest's FIN. */
export function truncate(flow: Tcp, sequence: u32): void {
  let before = -1;
  let chunk = flow.heldHead;
  while (chunk >= 0 && seqLe(chunkEnd(chunk), sequence)) {
    before = chunk;
    chunk = chunkNext(chunk);
  }
  if (chunk >= 0 && seqLt(chunkSequence(chunk), sequence)) {
    chunkSetLength(chunk, sequence - chunkSequence(chunk));
    before = chunk;
    chunk = chunkNext(chunk);
  }
  if (before < 0) flow.heldHead = -1;
  else chunkSetNext(before, -1);
  flow.heldTail = before;
  releaseRest(flow, chunk);
  if (before < 0) holderLeave(flow);
}

/** Trims text that has come to what is new and allowed, then lists it (in order) or holds it. */
export function takeText(flow: Tcp, sequence: u32, payload: usize, length: u32): void {
  if (seqLt(sequence, flow.rcvNext)) {
    const known = flow.rcvNext - sequence;
    if (known >= length) {
      drop(abi.DROP_TCP_DUPLICATE);
      flow.flags |= P_ACK;
      return;
    }
    flow.flags |= P_ACK;
    payload += known;
    length -= known;
    sequence = flow.rcvNext;
  }
  let edge = flow.rcvEdge;
  if (has(flow, F_GUEST_FIN) && seqLt(flow.finSequence, edge)) edge = flow.finSequence;
  if (seqGe(sequence, edge)) {
    drop(has(flow, F_GUEST_FIN) ? abi.DROP_TCP_AFTER_FIN : abi.DROP_TCP_WINDOW);
    flow.flags |= P_ACK;
    return;
  }
  if (seqGt(sequence + length, edge)) length = edge - sequence;
  const direct =
    sequence == flow.rcvNext &&
    !has(flow, F_BLOCKED) &&
    flow.rcvNext - flow.rcvAck == flow.batchBytes;
  if (direct) {
    // Entries and held octets must not overlap: they go to the host side by side.
    const n = gapBefore(flow, sequence, length);
    const index = entryAlloc(payload, n);
    if (index >= 0) {
      if (flow.batchTail < 0) flow.batchHead = index;
      else entryAt(flow.batchTail).next = index;
      flow.batchTail = index;
      flow.batchCount++;
      flow.batchBytes += n;
      flow.rcvNext += n;
      if (flow.heldHead >= 0) {
        flow.flags |= P_ACK; // a gap is filled: RFC 5681 §4.2
        if (n < length) hold(flow, sequence + n, payload + n, length - n);
        advance(flow);
      }
      return;
    }
  }
  if (sequence != flow.rcvNext) {
    count(abi.STAT_TCP_OUT_OF_ORDER);
    flow.recentSack = sequence;
    if (!has(flow, F_SACK) && flow.gapAcks < u8.MAX_VALUE) flow.gapAcks++;
    flow.flags |= P_ACK;
  }
  hold(flow, sequence, payload, length);
  advance(flow);
}

const BLOCKS_MAX: i32 = 8;
/** {left edge u32, right edge u32} */
const BLOCK_SHIFT: i32 = 3;
const BLOCK_RIGHT_OFFSET: usize = 4;
const BLOCKS: usize = memory.data(BLOCKS_MAX << BLOCK_SHIFT, 8);

export function blockLeft(i: i32): u32 {
  return load<u32>(BLOCKS + ((<usize>i) << BLOCK_SHIFT));
}
export function blockRight(i: i32): u32 {
  return load<u32>(BLOCKS + ((<usize>i) << BLOCK_SHIFT), BLOCK_RIGHT_OFFSET);
}

/**
 * Collects SACK blocks, the one with the newest octets first (RFC 2018 §4), then by sequence.
 * Returns how many there are, at most `limit`.
 */
export function blocks(flow: Tcp, limit: i32): i32 {
  let n = 0;
  let chunk = flow.heldHead;
  while (chunk >= 0) {
    const left = chunkSequence(chunk);
    let right = chunkEnd(chunk);
    chunk = chunkNext(chunk);
    while (chunk >= 0 && chunkSequence(chunk) == right) {
      right = chunkEnd(chunk);
      chunk = chunkNext(chunk);
    }
    if (seqLe(left, flow.rcvNext)) continue;
    const recent = seqLe(left, flow.recentSack) && seqLt(flow.recentSack, right);
    if (n == BLOCKS_MAX && !recent) continue;
    let at = n < BLOCKS_MAX ? n++ : n - 1;
    if (recent) {
      for (; at > 0; at--) {
        const to = BLOCKS + ((<usize>at) << BLOCK_SHIFT);
        store<u64>(to, load<u64>(to - (1 << BLOCK_SHIFT)));
      }
    }
    store<u32>(BLOCKS + ((<usize>at) << BLOCK_SHIFT), left);
    store<u32>(BLOCKS + ((<usize>at) << BLOCK_SHIFT), right, BLOCK_RIGHT_OFFSET);
  }
  return min(n, limit);
}

/** How many held chunks are in order from `from` on, at most `limit`. */
export function heldPieces(flow: Tcp, from: u32, limit: i32): i32 {
  let n = 0;
  let chunk = flow.heldHead;
  let expected = from;
  while (chunk >= 0 && n < limit && chunkSequence(chunk) == expected) {
    expected += chunkLength(chunk);
    n++;
    chunk = chunkNext(chunk);
  }
  return n;
}
