/**
 * Test module of what every part of the engine stands on: payload pool, flow table, timer heap,
 * rings, counters, random numbers, traps.
 */
import { FLOW_KIND_BYTES, Flow, Op } from "../../../wasm/layout";
import * as memory_ from "../../../wasm/memory";
import * as prng from "../../../wasm/prng";
import * as ring from "../../../wasm/ring";
import * as stats from "../../../wasm/stats";
import * as table from "../../../wasm/flow/table";
import * as timer from "../../../wasm/timer";
import * as trap from "../../../wasm/trap";

export { chunkAllocate, chunkReclaim, chunkRelease } from "../../../wasm/memory";
export { hashIsn, hashTuple, next, prngInit } from "../../../wasm/prng";
export {
  batchReset, entryAlloc, iovAlloc, msgAlloc, msgSetName4, ringInit, ringPublish, ringTurn, txBegin,
  txCommit, txEnd, txHeader, txOffload, txPiece, txReset,
} from "../../../wasm/ring";
export { timerInit, timerNext, timerPop, timerRemove, timerSet } from "../../../wasm/timer";
export {
  flowAllocate, flowFind, flowOf, flowRelease, listOldest, listRemove, listTouch,
  markDirty, markReady, tableInit,
} from "../../../wasm/flow/table";

export function configBase(): usize {
  return memory_.CONFIG;
}

export function controlBase(): usize {
  return memory_.CONTROL;
}

export function statsBase(): usize {
  return memory_.STATS;
}

export function txRecords(): usize {
  return memory_.TX_RECORDS;
}

export function init(): void {
  memory_.memoryInit();
  prng.prngInit();
  ring.ringInit();
  timer.timerInit();
  table.tableInit();
}

// ---------------------------------------------------------------- payload pool

export function chunksFree(): i32 {
  return memory_.chunksFree();
}

export function chunksUsed(): i32 {
  return memory_.chunksUsed;
}

export function chunksMax(): i32 {
  return memory_.chunksMax;
}

export function chunkData(chunk: i32): usize {
  return memory_.chunkData(chunk);
}

export function chunkSequence(chunk: i32): u32 {
  return memory_.chunkSequence(chunk);
}

export function chunkLength(chunk: i32): u32 {
  return memory_.chunkLength(chunk);
}

export function chunkSetLength(chunk: i32, length: u32): void {
  memory_.chunkSetLength(chunk, length);
}

export function chunkTrim(chunk: i32, octets: u32): void {
  memory_.chunkTrim(chunk, octets);
}

export function chunkNext(chunk: i32): i32 {
  return memory_.chunkNext(chunk);
}

// ---------------------------------------------------------------- rings

export function absolute(p: usize): u64 {
  return memory_.absolute(p);
}

export function opsFree(): i32 {
  return ring.opsFree();
}

export function iovsFree(): i32 {
  return ring.iovsFree();
}

export function msgsFree(): i32 {
  return ring.msgsFree();
}

export function opAlloc(kind: i32, handle: u32): usize {
  return changetype<usize>(ring.opAlloc(kind, handle));
}

export function opResult(op: usize): i32 {
  return changetype<Op>(op).result;
}

export function resultBase(): usize {
  return ring.resultBase;
}

export function resultCount(): i32 {
  return ring.resultCount;
}

export function iovSet(iov: usize, index: i32, p: usize, length: u32): void {
  ring.iovSet(iov, index, p, length);
}

export function msgName(msg: usize): usize {
  return ring.msgName(msg);
}

export function msgControl(msg: usize): usize {
  return ring.msgControl(msg);
}

export function msgSetIov(msg: usize, iov: usize, n: i32): void {
  ring.msgSetIov(msg, iov, n);
}

export function txFree(): i32 {
  return ring.txFree();
}

export function entryPointer(index: i32): u32 {
  return ring.entryAt(index).pointer;
}

export function entryLength(index: i32): u32 {
  return ring.entryAt(index).length;
}

export function entryNext(index: i32): i32 {
  return ring.entryAt(index).next;
}

// ---------------------------------------------------------------- counters

export function countOne(index: i32): void {
  stats.count(index);
}

export function countMany(index: i32, n: u64): void {
  stats.countMany(index, n);
}

export function dropOne(reason: i32): void {
  stats.drop(reason);
}

export function dropMany(reason: i32, n: u64): void {
  stats.dropMany(reason, n);
}

// ---------------------------------------------------------------- flows

export function flowAt(slot: i32): usize {
  return changetype<usize>(table.flowAt(slot));
}

export function slotOf(flow: Flow): i32 {
  return table.slotOf(flow);
}

export function handleOf(flow: Flow): u32 {
  return table.handleOf(flow);
}

export function flowsUsed(): i32 {
  return table.flowsUsed;
}

export function flowsMax(): i32 {
  return table.flowsMax;
}

export function listSize(list: u8): i32 {
  return table.listSize(list);
}

export function dirtyFirst(): i32 {
  return table.dirtyFirst();
}

/** Slot of the first dirty flow, taken off the list, or -1. */
export function dirtyTake(): i32 {
  return table.dirtyFirst() < 0 ? -1 : table.slotOf(table.dirtyTake());
}

/** Slot of the first ready flow, taken off the list, or -1. */
export function readyTake(): i32 {
  return table.readyFirst() < 0 ? -1 : table.slotOf(table.readyTake());
}

/** A flow is in the heap. */
export function isTimed(flow: Flow): bool {
  return flow.heapIndex >= 0;
}

/** Where what belongs to a flow's kind begins. */
export function kindOffset(): usize {
  return FLOW_KIND_BYTES;
}

// ---------------------------------------------------------------- traps

export function trapCheck(condition: bool): void {
  trap.check(condition);
}

export function trapLine(): u32 {
  return trap.trapLine;
}
