/**
 * Deadlines: one binary heap over all flows, ordered by time, with lazy postponement.
 *
 * A flow names the earliest time it wants attention (`flow.deadline`, microseconds). Moving that
 * later - what every acknowledgment does to a retransmission timer - touches only the flow; the
 * heap entry stays and is re-inserted when it comes up too early. Only an earlier deadline moves
 * the entry at once. So re-arming is free in the common case, and `timerNext` may be early, never
 * late.
 */
import { FLOW_CAPACITY_COUNT, FLOW_SIZE } from "./abi/index";
import { Flow } from "./layout";
import { FLOWS } from "./memory";
import { CHECKED } from "./trap";

/** {deadline i64, slot i32, pad}, one for each flow. */
const ENTRY_SHIFT: i32 = 4;
const ENTRY_SLOT_OFFSET: usize = 8;
const ENTRIES: usize = memory.data(FLOW_CAPACITY_COUNT << ENTRY_SHIFT, 16);
let size: i32 = 0;

export const MILLISECOND_US: i64 = 1000;
export const SECOND_US: i64 = 1_000_000;

/** Time of the turn under way, microseconds. */
export let turnNow: i64 = 0;

export function timerTurn(now: i64): void {
  if (CHECKED) assert(now >= turnNow, "time never goes back");
  turnNow = now;
}

function key(i: i32): i64 {
  return load<i64>(ENTRIES + ((<usize>i) << ENTRY_SHIFT));
}
function slot(i: i32): i32 {
  return load<i32>(ENTRIES + ((<usize>i) << ENTRY_SHIFT), ENTRY_SLOT_OFFSET);
}
function flowAt(s: i32): Flow {
  return changetype<Flow>(FLOWS + <usize>s * FLOW_SIZE);
}

function put(i: i32, deadline: i64, s: i32): void {
  const p = ENTRIES + ((<usize>i) << ENTRY_SHIFT);
  store<i64>(p, deadline);
  store<i32>(p, s, ENTRY_SLOT_OFFSET);
  flowAt(s).heapIndex = i;
}

function siftUp(from: i32, deadline: i64, s: i32): void {
  let i = from;
  while (i > 0) {
    const parent = (i - 1) >> 1;
    if (key(parent) <= deadline) break;
    put(i, key(parent), slot(parent));
    i = parent;
  }
  put(i, deadline, s);
}

function siftDown(from: i32, deadline: i64, s: i32): void {
  let i = from;
  while (true) {
    let child = (i << 1) + 1;
    if (child >= size) break;
    if (child + 1 < size && key(child + 1) < key(child)) child++;
    if (key(child) >= deadline) break;
    put(i, key(child), slot(child));
    i = child;
  }
  put(i, deadline, s);
}

export function timerInit(): void {
  size = 0;
  turnNow = 0;
}

/** Wants attention at `deadline` (microseconds; 0 = not at all). */
export function timerSet(flow: Flow, flowSlot: i32, deadline: i64): void {
  flow.deadline = deadline;
  if (deadline == 0) return;
  const i = flow.heapIndex;
  if (CHECKED) {
    assert(flowAt(flowSlot) == flow && flow.kind != 0, "deadlines are of flows, not of free slots");
    assert(i < 0 || (i < size && slot(i) == flowSlot), "the heap has the flow where it says");
  }
  if (i < 0) siftUp(size++, deadline, flowSlot);
  else if (deadline < key(i)) siftUp(i, deadline, flowSlot);
}

/** Takes the flow out of the heap. */
export function timerRemove(flow: Flow): void {
  const i = flow.heapIndex;
  if (i < 0) return;
  if (CHECKED) assert(i < size && flowAt(slot(i)) == flow, "the heap has the flow where it says");
  flow.heapIndex = -1;
  size--;
  if (i == size) return;
  const deadline = key(size);
  const s = slot(size);
  if (i > 0 && key((i - 1) >> 1) > deadline) siftUp(i, deadline, s);
  else siftDown(i, deadline, s);
}

/** When the engine wants to be called next; 0 = no deadline. */
export function timerNext(): i64 {
  return size > 0 ? key(0) : 0;
}

/** Slot of a flow whose deadline has come (it is out of the heap then), or -1. */
export function timerPop(now: i64): i32 {
  while (size > 0 && key(0) <= now) {
    const s = slot(0);
    const flow = flowAt(s);
    const due = flow.deadline;
    if (due != 0 && due > now) {
      siftDown(0, due, s);
      continue;
    }
    timerRemove(flow);
    if (due != 0) return s;
  }
  return -1;
}

/** The earlier of two deadlines, 0 = none. */
export function earlier(a: i64, b: i64): i64 {
  if (a == 0) return b;
  return b != 0 && b < a ? b : a;
}

/** The heap is a heap, of flows that know their places (checked build only). */
export function timerAudit(): void {
  for (let i = 0; i < size; i++) {
    const flow = flowAt(slot(i));
    assert(flow.kind != 0 && flow.heapIndex == i, "the heap has the flow where it says");
    assert(flow.deadline == 0 || key(i) <= flow.deadline, "nobody is called too late");
    if (i > 0) assert(key((i - 1) >> 1) <= key(i), "the heap is in order");
  }
}
