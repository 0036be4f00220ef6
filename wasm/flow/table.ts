/**
 * The flow table: fixed slots, generations, an open-addressed index, the lists of flows that may be
 * evicted, oldest first, and how many slots each share has.
 *
 * Theory of operation
 *   A flow is found by its tuple (kind, guest address and port, peer address and port as the guest
 *   sees them) or by its handle (generation << 16 | slot). The index is linear probing over a power
 *   of two at least twice the flows allowed, hashed with a secret key, deleted by shifting back, so
 *   probe lengths stay short for ever and a guest cannot aim at one bucket.
 *
 *   Life: FREE -> allocated (generation advanced, record zeroed, kind set) -> indexed -> ... ->
 *   released (out of index, timer heap and lists) -> FREE. The generation is never 0, so handle 0
 *   means "no flow". A stale handle is recognised by its generation.
 *
 *   Limits: `flowsMax` slots (CONFIG_FLOWS_MAX). Who may have how many of them, and who is evicted
 *   when they are short, is `shares`' business.
 */
import * as abi from "../abi/index";
import { FLOWS_MIN_COUNT, Flow } from "../layout";
import { config, FLOWS } from "../memory";
import { hashTuple } from "../prng";
import { timerRemove, turnNow } from "../timer";
import { traceFlow } from "../trace";
import { CHECKED, check } from "../trap";
import { isKind, LIST_COUNT, LIST_NONE, LIST_PARTY, SHARE_COUNT, shareOf } from "./kinds";

/** In place of the next one of a list: the flow is not in it (`Flow.dirtyNext`, `readyNext`). */
export const UNLISTED: i32 = -2;

const HANDLE_SLOT_MASK: u32 = (1 << abi.HANDLE_SLOT_BITS) - 1;
const INDEX_COUNT_MIN: u32 = 32;
/** Slot + 1; at least twice as many as there may be flows. */
const INDEX: usize = memory.data((2 * abi.FLOW_CAPACITY_COUNT) << 2, 16);
const LIST_HEADS: usize = memory.data(LIST_COUNT << 2, 16);
const LIST_TAILS: usize = memory.data(LIST_COUNT << 2, 16);
const LIST_SIZES: usize = memory.data(LIST_COUNT << 2, 16);
const SHARES_USED: usize = memory.data(SHARE_COUNT << 2, 16);

/** FLOW_SIZE is 7 << 6; and 7 times this is 1 modulo 2^32. */
const FLOW_SHIFT: i32 = 6;
const FLOW_FACTOR_INVERSE: u32 = 0xb6db6db7;

export let flowsMax: i32 = 0;
export let flowsUsed: i32 = 0;
/** What the index was made for: `flowsMax` may go down and up again below it. */
let flowsCeiling: i32 = 0;
let indexMask: u32 = 0;
let fresh: i32 = 0;
let freeHead: i32 = -1; // chained through readyNext
let dirtyHead: i32 = -1;
let dirtyTail: i32 = -1;
let readyHead: i32 = -1;
let readyTail: i32 = -1;

export function tableInit(): void {
  flowsCeiling = abi.FLOW_CAPACITY_COUNT;
  tableLimit();
  flowsCeiling = flowsMax;
  let size = INDEX_COUNT_MIN;
  while (size < <u32>flowsMax * 2) size <<= 1;
  indexMask = size - 1;
  memory.fill(INDEX, 0, (<usize>size) << 2);
  if (fresh > 0) memory.fill(FLOWS, 0, <usize>fresh * abi.FLOW_SIZE);
  for (let i = 0; i < LIST_COUNT; i++) {
    store<i32>(LIST_HEADS + ((<usize>i) << 2), -1);
    store<i32>(LIST_TAILS + ((<usize>i) << 2), -1);
    store<i32>(LIST_SIZES + ((<usize>i) << 2), 0);
  }
  memory.fill(SHARES_USED, 0, SHARE_COUNT << 2);
  flowsUsed = 0;
  fresh = 0;
  freeHead = -1;
  dirtyHead = -1;
  dirtyTail = -1;
  readyHead = -1;
  readyTail = -1;
}

/** Takes the limit from the configuration. */
export function tableLimit(): void {
  const asked = config(abi.CONFIG_FLOWS_MAX_OFFSET);
  flowsMax = <i32>min<u32>(max<u32>(asked, FLOWS_MIN_COUNT), flowsCeiling);
}

/** Slots that have ever been in use: all flows lie below. */
export function flowsFresh(): i32 {
  return fresh;
}

export function flowAt(slot: i32): Flow {
  if (CHECKED) assert(slot >= 0 && slot < abi.FLOW_CAPACITY_COUNT, "a slot has a number");
  return changetype<Flow>(FLOWS + <usize>slot * abi.FLOW_SIZE);
}
/** Where a flow is, is a multiple of FLOW_SIZE from the first, so a product divides by it. */
export function slotOf(flow: Flow): i32 {
  return <i32>((<u32>(changetype<usize>(flow) - FLOWS) >>> FLOW_SHIFT) * FLOW_FACTOR_INVERSE);
}
export function handleOf(flow: Flow): u32 {
  return ((<u32>flow.generation) << abi.HANDLE_SLOT_BITS) | <u32>slotOf(flow);
}
export function isNone(flow: Flow): bool {
  return changetype<usize>(flow) == 0;
}

/** The flow a handle means, or address 0 when it is stale. */
export function flowOf(handle: u32): Flow {
  const slot = <i32>(handle & HANDLE_SLOT_MASK);
  const flow = flowAt(slot);
  if (slot >= fresh || flow.kind == <u8>abi.KIND_FREE) return changetype<Flow>(0);
  if (<u32>flow.generation != handle >> abi.HANDLE_SLOT_BITS) return changetype<Flow>(0);
  return flow;
}

function bucket(i: u32): usize {
  return INDEX + ((<usize>i) << 2);
}

/** Finds the flow of a guest's packet, or address 0. `ports` = guest port << 16 | peer port. */
export function flowFind(kind: u32, guest: u32, peer: u32, ports: u32): Flow {
  let i = hashTuple(kind, guest, peer, ports) & indexMask;
  for (let n: u32 = 0; n <= indexMask; n++) {
    const entry = load<u32>(bucket(i));
    if (entry == 0) return changetype<Flow>(0);
    const flow = flowAt(entry - 1);
    if (
      flow.guestAddress == guest &&
      flow.peerAddress == peer &&
      <u32>flow.kind == kind &&
      (((<u32>flow.guestPort) << 16) | <u32>flow.peerPort) == ports
    ) {
      traceFlow(((<u32>flow.generation) << abi.HANDLE_SLOT_BITS) | (entry - 1));
      return flow;
    }
    i = (i + 1) & indexMask;
  }
  return changetype<Flow>(0);
}

function shareAt(share: u8): usize {
  return SHARES_USED + ((<usize>share) << 2);
}

/** Slots that a share has in use. */
export function shareUsed(share: u8): i32 {
  return load<i32>(shareAt(share));
}

/** Counts the flow against another share from now on. */
export function shareMove(flow: Flow, share: u8): void {
  if (CHECKED) assert(shareUsed(flow.share) > 0, "the flow counts against its share");
  store<i32>(shareAt(flow.share), shareUsed(flow.share) - 1);
  flow.share = share;
  store<i32>(shareAt(share), shareUsed(share) + 1);
}

/** A new flow with its tuple, in the index; address 0 when the table is full (evict first). */
export function flowAllocate(kind: u32, guest: u32, peer: u32, ports: u32): Flow {
  if (flowsUsed >= flowsMax) return changetype<Flow>(0);
  let slot = freeHead;
  if (slot >= 0) freeHead = flowAt(slot).readyNext;
  else slot = fresh++;
  flowsUsed++;
  const flow = flowAt(slot);
  if (CHECKED) {
    assert(isKind(kind), "a flow is of a kind");
    assert(flow.kind == <u8>abi.KIND_FREE, "only free slots are given away");
    assert(isNone(flowFind(kind, guest, peer, ports)), "no two flows have the same tuple");
  }
  let generation = (<u32>flow.generation + 1) & 0xffff;
  if (generation == 0) generation = 1;
  memory.fill(changetype<usize>(flow), 0, abi.FLOW_SIZE);
  flow.generation = <u16>generation;
  flow.kind = <u8>kind;
  flow.share = shareOf(kind);
  flow.began = <u32>(turnNow >> abi.TRACE_BEGAN_SHIFT);
  store<i32>(shareAt(flow.share), shareUsed(flow.share) + 1);
  flow.guestAddress = guest;
  flow.peerAddress = peer;
  flow.guestPort = <u16>(ports >> 16);
  flow.peerPort = <u16>ports;
  flow.heapIndex = -1;
  flow.dirtyNext = UNLISTED;
  flow.readyNext = UNLISTED;
  flow.lruNext = -1;
  flow.lruPrevious = -1;
  flow.batchHead = -1;
  flow.batchTail = -1;
  index(flow, slot);
  traceFlow((generation << abi.HANDLE_SLOT_BITS) | <u32>slot);
  return flow;
}

function index(flow: Flow, slot: i32): void {
  const ports = ((<u32>flow.guestPort) << 16) | <u32>flow.peerPort;
  flow.hash = hashTuple(flow.kind, flow.guestAddress, flow.peerAddress, ports);
  let i = flow.hash & indexMask;
  while (load<u32>(bucket(i)) != 0) i = (i + 1) & indexMask;
  store<u32>(bucket(i), slot + 1);
}

/** Gives the flow another tuple, which no other flow has; its handle stays. */
export function flowRename(flow: Flow, guest: u32, peer: u32, ports: u32): void {
  const slot = slotOf(flow);
  if (CHECKED) {
    assert(isNone(flowFind(flow.kind, guest, peer, ports)), "no two flows have the same tuple");
  }
  unindex(flow, slot);
  flow.guestAddress = guest;
  flow.peerAddress = peer;
  flow.guestPort = <u16>(ports >> 16);
  flow.peerPort = <u16>ports;
  index(flow, slot);
}

/** Out of the index, closing the gap so that no probe chain breaks. */
function unindex(flow: Flow, slot: i32): void {
  let i = flow.hash & indexMask;
  while (load<u32>(bucket(i)) != <u32>slot + 1) i = (i + 1) & indexMask;
  let hole = i;
  while (true) {
    i = (i + 1) & indexMask;
    const entry = load<u32>(bucket(i));
    if (entry == 0) break;
    const home = flowAt(entry - 1).hash & indexMask;
    // Movable when its home does not lie cyclically in (hole, i].
    if (((i - home) & indexMask) >= ((i - hole) & indexMask)) {
      store<u32>(bucket(hole), entry);
      hole = i;
    }
  }
  store<u32>(bucket(hole), 0);
}

/** Ends a flow. It must be in neither the dirty nor the ready list's middle: both are unlinked. */
export function flowRelease(flow: Flow): void {
  const slot = slotOf(flow);
  if (CHECKED) assert(flow.kind != <u8>abi.KIND_FREE, "a flow ends once");
  unindex(flow, slot);
  timerRemove(flow);
  listRemove(flow);
  if (flow.dirtyNext != UNLISTED) dirtyUnlink(slot);
  if (flow.readyNext != UNLISTED) readyUnlink(slot);
  store<i32>(shareAt(flow.share), shareUsed(flow.share) - 1);
  flow.kind = <u8>abi.KIND_FREE;
  flow.state = 0;
  flow.readyNext = freeHead;
  freeHead = slot;
  flowsUsed--;
}

// ---------------------------------------------------------------- eviction lists

export function listSize(list: u8): i32 {
  return load<i32>(LIST_SIZES + ((<usize>list) << 2));
}

/** Oldest member of a list, or address 0. */
export function listOldest(list: u8): Flow {
  const slot = load<i32>(LIST_HEADS + ((<usize>list) << 2));
  return slot < 0 ? changetype<Flow>(0) : flowAt(slot);
}

export function listRemove(flow: Flow): void {
  const list = (<usize>flow.list) << 2;
  if (list == 0) return;
  check(flow.list != LIST_PARTY); // who is in a party leaves it first
  const before = flow.lruPrevious;
  const after = flow.lruNext;
  if (CHECKED) {
    const slot = slotOf(flow);
    assert(before < 0 ? load<i32>(LIST_HEADS + list) == slot : flowAt(before).lruNext == slot);
    assert(after < 0 ? load<i32>(LIST_TAILS + list) == slot : flowAt(after).lruPrevious == slot);
  }
  if (before < 0) store<i32>(LIST_HEADS + list, after);
  else flowAt(before).lruNext = after;
  if (after < 0) store<i32>(LIST_TAILS + list, before);
  else flowAt(after).lruPrevious = before;
  store<i32>(LIST_SIZES + list, load<i32>(LIST_SIZES + list) - 1);
  flow.list = LIST_NONE;
  flow.lruNext = -1;
  flow.lruPrevious = -1;
}

/** Puts the flow at the young end of a list, taking it out of the one it was in. */
export function listTouch(flow: Flow, list: u8): void {
  const slot = slotOf(flow);
  const tailAt = LIST_TAILS + ((<usize>list) << 2);
  if (flow.list == list && load<i32>(tailAt) == slot) return;
  if (CHECKED) {
    assert(list > LIST_NONE && <i32>list < LIST_COUNT, "there is such a list");
    assert(flow.kind != <u8>abi.KIND_FREE, "lists have flows, not free slots");
  }
  listRemove(flow);
  const tail = load<i32>(tailAt);
  flow.list = list;
  flow.lruPrevious = tail;
  flow.lruNext = -1;
  if (tail < 0) store<i32>(LIST_HEADS + ((<usize>list) << 2), slot);
  else flowAt(tail).lruNext = slot;
  store<i32>(tailAt, slot);
  store<i32>(LIST_SIZES + ((<usize>list) << 2), listSize(list) + 1);
}

// ---------------------------------------------------------------- dirty and ready lists

/** Something about this flow has to be sent or asked before the turn ends. */
export function markDirty(flow: Flow): void {
  if (flow.dirtyNext != UNLISTED) return;
  if (CHECKED) assert(flow.kind != <u8>abi.KIND_FREE, "a free slot has nothing to send");
  const slot = slotOf(flow);
  flow.dirtyNext = -1;
  if (dirtyTail < 0) dirtyHead = slot;
  else flowAt(dirtyTail).dirtyNext = slot;
  dirtyTail = slot;
}

export function dirtyFirst(): i32 {
  return dirtyHead;
}

/** Takes the first dirty flow off the list; the list must not be empty. */
export function dirtyTake(): Flow {
  const flow = flowAt(dirtyHead);
  if (CHECKED) assert(flow.kind != <u8>abi.KIND_FREE, "no free slot is listed as dirty");
  dirtyHead = flow.dirtyNext;
  if (dirtyHead < 0) dirtyTail = -1;
  flow.dirtyNext = UNLISTED;
  return flow;
}

function dirtyUnlink(slot: i32): void {
  let before = -1;
  let i = dirtyHead;
  while (i >= 0 && i != slot) {
    before = i;
    i = flowAt(i).dirtyNext;
  }
  if (i < 0) return;
  const after = flowAt(slot).dirtyNext;
  if (before < 0) dirtyHead = after;
  else flowAt(before).dirtyNext = after;
  if (after < 0) dirtyTail = before;
  flowAt(slot).dirtyNext = UNLISTED;
}

/** The flow's socket has something to read and the flow is able to take it. */
export function markReady(flow: Flow): void {
  if (flow.readyNext != UNLISTED) return;
  if (CHECKED) assert(flow.kind != <u8>abi.KIND_FREE, "a free slot has no socket");
  const slot = slotOf(flow);
  flow.readyNext = -1;
  if (readyTail < 0) readyHead = slot;
  else flowAt(readyTail).readyNext = slot;
  readyTail = slot;
}

export function readyFirst(): i32 {
  return readyHead;
}

export function readyTake(): Flow {
  const flow = flowAt(readyHead);
  if (CHECKED) assert(flow.kind != <u8>abi.KIND_FREE, "no free slot is listed as ready");
  readyHead = flow.readyNext;
  if (readyHead < 0) readyTail = -1;
  flow.readyNext = UNLISTED;
  return flow;
}

function readyUnlink(slot: i32): void {
  let before = -1;
  let i = readyHead;
  while (i >= 0 && i != slot) {
    before = i;
    i = flowAt(i).readyNext;
  }
  if (i < 0) return;
  const after = flowAt(slot).readyNext;
  if (before < 0) readyHead = after;
  else flowAt(before).readyNext = after;
  if (after < 0) readyTail = before;
  flowAt(slot).readyNext = UNLISTED;
}

if (<u32>abi.FLOW_SIZE * FLOW_FACTOR_INVERSE != 1 << FLOW_SHIFT) {
  ERROR("table.ts divides by the wrong size");
}
