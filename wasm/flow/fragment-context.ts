/**
 * The datagrams that are being put together (`fragments` tells how): what is known of each, its
 * buffer, its bitmaps, and which buffers are free or handed out.
 */
import * as abi from "../abi/index";
import { count, drop, dropMany } from "../stats";
import { SECOND_US } from "../timer";
import { addressMark } from "./addresses";

/** How long a datagram is held, microseconds. */
const LIFETIME_US: i64 = 60 * SECOND_US;

/** Room for the longest header, then the payload. */
const HEADROOM: usize = 64;
const BUFFER_SIZE: usize = 65600;
/** What a batch can complete at most, beside those that are under way (`fragments`). */
const COMPLETED_MAX: i32 =
  abi.FRAGMENT_CONTEXT_COUNT + ((abi.RX_SLOT_COUNT - abi.FRAGMENT_CONTEXT_COUNT) >> 1);
const BUFFER_COUNT: i32 = abi.FRAGMENT_CONTEXT_COUNT + COMPLETED_MAX;
const BUFFERS: usize = memory.data(<i32>(<usize>BUFFER_COUNT * BUFFER_SIZE), 64);
/** Numbers of the buffers: the free ones, and those handed out in this batch. */
const FREE: usize = memory.data(BUFFER_COUNT, 4);
const HANDED: usize = memory.data(BUFFER_COUNT, 4);

/** Two bitmaps per context, 8,192 bits each: units received, units that begin a fragment. */
export const BITMAP_SIZE: usize = 1024;
const BITMAPS: usize = memory.data(<i32>(<usize>abi.FRAGMENT_CONTEXT_COUNT * 2 * BITMAP_SIZE), 16);

export const STATE_FREE: u8 = 0;
export const STATE_COLLECTING: u8 = 1;
/** Overlapped: whatever still comes is dropped. */
export const STATE_CONDEMNED: u8 = 2;

@unmanaged
export class Context {
  state: u8;
  protocol: u8;
  spare: u16;
  ident: u32;
  source: u32;
  destination: u32;
  buffer: i32;
  /** Octets of the first fragment's header; 0 = it has not come yet. */
  headerLength: u32;
  /** Octets of payload in all; 0 = the last fragment has not come yet. */
  total: u32;
  /** End of the farthest fragment, octets. */
  end: u32;
  /** Units of 8 octets received. */
  units: u32;
  /** Fragments that will be dropped if this is never completed. */
  frames: u32;
  deadline: i64;
}

const CONTEXT_SIZE: usize = 56;
const CONTEXTS: usize = memory.data(<i32>(<usize>abi.FRAGMENT_CONTEXT_COUNT * CONTEXT_SIZE), 16);

let freeCount: i32 = 0;
let handedCount: i32 = 0;
/** Contexts in use, so that nothing is looked at when there are none. */
let used: i32 = 0;

export function contextAt(index: i32): Context {
  return changetype<Context>(CONTEXTS + <usize>index * CONTEXT_SIZE);
}
export function payloadOf(context: Context): usize {
  return BUFFERS + <usize>context.buffer * BUFFER_SIZE + HEADROOM;
}
export function receivedOf(context: Context): usize {
  return BITMAPS + ((changetype<usize>(context) - CONTEXTS) / CONTEXT_SIZE) * 2 * BITMAP_SIZE;
}

/** Forgets everything. */
export function fragmentInit(): void {
  memory.fill(CONTEXTS, 0, <usize>abi.FRAGMENT_CONTEXT_COUNT * CONTEXT_SIZE);
  for (let i = 0; i < BUFFER_COUNT; i++) store<u8>(FREE + i, <u8>i);
  freeCount = BUFFER_COUNT;
  handedCount = 0;
  used = 0;
}

/** A new batch: datagrams handed out in the one before are gone. */
export function fragmentBatchReset(): void {
  while (handedCount > 0) {
    handedCount--;
    store<u8>(FREE + freeCount, load<u8>(HANDED + handedCount));
    freeCount++;
  }
}

// ---------------------------------------------------------------- contexts

function give(context: Context): void {
  if (context.buffer < 0) return;
  store<u8>(FREE + freeCount, <u8>context.buffer);
  freeCount++;
  context.buffer = -1;
}

/** Drops what a context holds, if anything, and frees it. */
export function discard(context: Context, reason: i32): void {
  dropMany(reason, context.frames);
  give(context);
  context.state = STATE_FREE;
  used--;
}

/** An overlap came, itself not counted yet. The context stays, to catch the rest. */
export function condemn(context: Context): void {
  dropMany(abi.DROP_FRAGMENT_OVERLAP, context.frames);
  drop(abi.DROP_FRAGMENT_OVERLAP);
  context.frames = 0;
  give(context);
  context.state = STATE_CONDEMNED;
}

/** The context of a fragment's datagram, a new one if need be; address 0 when no buffer is left. */
export function contextOf(
  source: u32,
  destination: u32,
  protocol: u32,
  ident: u32,
  now: i64,
): Context {
  let chosen = contextAt(0);
  for (let i = 0; i < abi.FRAGMENT_CONTEXT_COUNT; i++) {
    const context = contextAt(i);
    if (
      context.state != STATE_FREE &&
      context.ident == ident &&
      context.source == source &&
      context.destination == destination &&
      <u32>context.protocol == protocol
    )
      return context;
    if (chosen.state == STATE_FREE) continue;
    if (context.state == STATE_FREE || context.deadline < chosen.deadline) chosen = context;
  }
  if (chosen.state != STATE_FREE) discard(chosen, abi.DROP_FRAGMENT_LIMIT);
  if (freeCount == 0) return changetype<Context>(0);
  memory.fill(changetype<usize>(chosen), 0, CONTEXT_SIZE);
  memory.fill(receivedOf(chosen), 0, 2 * BITMAP_SIZE);
  freeCount--;
  chosen.buffer = load<u8>(FREE + freeCount);
  chosen.state = STATE_COLLECTING;
  chosen.protocol = <u8>protocol;
  chosen.ident = ident;
  chosen.source = source;
  chosen.destination = destination;
  chosen.deadline = now + LIFETIME_US;
  used++;
  return chosen;
}

/** The context is free, its buffer is the caller's until the next batch. */
export function handOut(context: Context, ip: usize): usize {
  store<u8>(HANDED + handedCount, <u8>context.buffer);
  handedCount++;
  context.state = STATE_FREE;
  used--;
  count(abi.STAT_DATAGRAMS_REASSEMBLED);
  return ip;
}

/** Whether any datagram is held. */
export function contextsUsed(): bool {
  return used > 0;
}

/** When the oldest datagram has to be given up, absolute microseconds; 0 = none is held. */
export function fragmentNext(): i64 {
  if (used == 0) return 0;
  let earliest: i64 = 0;
  for (let i = 0; i < abi.FRAGMENT_CONTEXT_COUNT; i++) {
    const context = contextAt(i);
    if (context.state == STATE_FREE) continue;
    if (earliest == 0 || context.deadline < earliest) earliest = context.deadline;
  }
  return earliest;
}

/** Marks the addresses of all datagrams, see `addresses`. */
export function fragmentMark(): void {
  if (used == 0) return;
  for (let i = 0; i < abi.FRAGMENT_CONTEXT_COUNT; i++) {
    const context = contextAt(i);
    if (context.state == STATE_FREE) continue;
    addressMark(context.source);
    addressMark(context.destination);
  }
}

if (offsetof<Context>() > CONTEXT_SIZE) ERROR("a context does not fit its size");
