/**
 * Static regions: all the memory the engine ever uses, reserved when it is compiled.
 *
 * Linear memory is fixed and starts zeroed; pages that were never touched cost the host nothing, so
 * the ceilings of `abi.ts` are generous while the configured limits decide what is really used.
 * Payload lives in one pool of 16 KiB chunks. A chunk record is
 *
 *     0 next i32 | 4 sequence u32 | 8 start u32 (offset of the first octet) | 12 length u32
 *
 * Chunks are handed out last-freed-first, so a light load keeps to few pages. While frames that
 * refer to chunk memory wait for the link, freed chunks rest in a limbo list (`chunkReclaim`).
 */
import * as abi from "./abi/index";
import { CHECKED } from "./trap";

const CHUNK_SHIFT: i32 = 14;
const CHUNK_RECORD_SIZE: i32 = 16;
const CHUNK_RECORD_SHIFT: i32 = 4;
const CHUNK_SEQUENCE_OFFSET: usize = 4;
const CHUNK_START_OFFSET: usize = 8;
const CHUNK_LENGTH_OFFSET: usize = 12;
/** A region of the control block: {base u32, size u32}. */
const REGION_SHIFT: usize = 3;
const REGION_SIZE_OFFSET: usize = 4;
/** Counters have 64 bits. */
export const COUNTER_SHIFT: i32 = 3;
const COUNTERS_SIZE: i32 = (abi.STAT_COUNT + abi.DROP_COUNT) << COUNTER_SHIFT;
const PAGE_SIZE: i32 = 4096;
/** The pool is never smaller. */
const CHUNKS_MIN: u32 = 16;

export const CONTROL: usize = memory.data(abi.CONTROL_SIZE, 16);
export const CONFIG: usize = memory.data(abi.CONFIG_SIZE, 16);
export const STATS: usize = memory.data(COUNTERS_SIZE, 16);
/** And behind them the marks of their frames, see `trace`. */
export const RX_DESCRIPTORS: usize = memory.data(
  abi.TRACE_MARKS_OFFSET + (abi.RX_SLOT_COUNT + 1) * abi.TRACE_MARK_SIZE,
  16,
);
export const RX_BUFFERS: usize = memory.data(abi.RX_SLOT_COUNT * abi.RX_SLOT_SIZE, PAGE_SIZE);
export const TX_RECORDS: usize = memory.data(abi.TX_CAPACITY_COUNT * abi.TX_RECORD_SIZE, 16);
export const TX_BUFFERS: usize = memory.data(abi.TX_CAPACITY_COUNT * abi.TX_SLOT_SIZE, PAGE_SIZE);
export const FLOWS: usize = memory.data(abi.FLOW_CAPACITY_COUNT * abi.FLOW_SIZE, PAGE_SIZE);
export const CHUNKS: usize = memory.data(abi.CHUNK_CAPACITY_COUNT * abi.CHUNK_SIZE, PAGE_SIZE);
export const SCRATCH: usize = memory.data(
  abi.SCRATCH_SLOT_COUNT * abi.SCRATCH_SLOT_SIZE,
  PAGE_SIZE,
);
export const ADDRESSES: usize = memory.data(
  abi.ADDRESS_CAPACITY_COUNT * abi.ADDRESS_SIZE,
  PAGE_SIZE,
);
const CHUNK_RECORDS: usize = memory.data(abi.CHUNK_CAPACITY_COUNT * CHUNK_RECORD_SIZE, 16);

/** Address of engine memory in the host process, added to every address a system call sees. */
export let hostBase: u64 = 0;

/** What a flow may hold whatever the others do, as long as there is any. */
export const CHUNKS_GUARANTEED: i32 = 2;

export let chunksMax: i32 = abi.CHUNKS_DEFAULT_COUNT;
export let chunksUsed: i32 = 0;
let chunkFresh: i32 = 0;
let chunkFree: i32 = -1;
let chunkLimbo: i32 = -1;

export function absolute(p: usize): u64 {
  return hostBase + <u64>p;
}

export function config(offset: i32): u32 {
  return load<u32>(CONFIG + offset);
}

function region(index: i32, base: usize, size: u32): void {
  const entry = CONTROL + abi.CONTROL_REGIONS_OFFSET + ((<usize>index) << REGION_SHIFT);
  store<u32>(entry, <u32>base);
  store<u32>(entry, size, REGION_SIZE_OFFSET);
}

/** Fills the control block so that the host can find everything. */
export function memoryDescribe(ops: usize, opsSize: u32): void {
  store<u32>(CONTROL + abi.CONTROL_MAGIC_OFFSET, abi.ABI_MAGIC);
  store<u32>(CONTROL + abi.CONTROL_VERSION_OFFSET, abi.ABI_VERSION);
  region(abi.REGION_CONTROL, CONTROL, abi.CONTROL_SIZE);
  region(abi.REGION_CONFIG, CONFIG, abi.CONFIG_SIZE);
  region(abi.REGION_STATS, STATS, COUNTERS_SIZE);
  region(abi.REGION_RX_DESCRIPTORS, RX_DESCRIPTORS, abi.RX_SLOT_COUNT * abi.RX_DESCRIPTOR_SIZE);
  region(abi.REGION_RX_BUFFERS, RX_BUFFERS, abi.RX_SLOT_COUNT * abi.RX_SLOT_SIZE);
  region(abi.REGION_TX_RECORDS, TX_RECORDS, abi.TX_CAPACITY_COUNT * abi.TX_RECORD_SIZE);
  region(abi.REGION_TX_BUFFERS, TX_BUFFERS, abi.TX_CAPACITY_COUNT * abi.TX_SLOT_SIZE);
  region(abi.REGION_OPS, ops, opsSize);
  region(abi.REGION_FLOWS, FLOWS, abi.FLOW_CAPACITY_COUNT * abi.FLOW_SIZE);
  region(abi.REGION_CHUNKS, CHUNKS, abi.CHUNK_CAPACITY_COUNT * abi.CHUNK_SIZE);
  region(abi.REGION_ADDRESSES, ADDRESSES, abi.ADDRESS_CAPACITY_COUNT * abi.ADDRESS_SIZE);
  region(abi.REGION_SCRATCH, SCRATCH, abi.SCRATCH_SLOT_COUNT * abi.SCRATCH_SLOT_SIZE);
}

/** Takes the pool's limit from the configuration; it may be below what is in use. */
export function memoryLimit(): void {
  const asked = config(abi.CONFIG_CHUNKS_MAX_OFFSET);
  chunksMax = <i32>min<u32>(max<u32>(asked, CHUNKS_MIN), abi.CHUNK_CAPACITY_COUNT);
}

/** Empties the pool and takes its limit from the configuration. */
export function memoryInit(): void {
  hostBase =
    <u64>config(abi.CONFIG_HOST_BASE_LO_OFFSET) |
    ((<u64>config(abi.CONFIG_HOST_BASE_HI_OFFSET)) << 32);
  memoryLimit();
  if (CHECKED) memory.fill(CHUNK_STATES, CHUNK_FREE, abi.CHUNK_CAPACITY_COUNT);
  chunksUsed = 0;
  chunkFresh = 0;
  chunkFree = -1;
  chunkLimbo = -1;
}

/** What a chunk is, in the checked build: a byte each. */
const CHUNK_STATES: usize = memory.data(abi.CHUNK_CAPACITY_COUNT, 16);
const CHUNK_FREE: u8 = 0;
const CHUNK_USED: u8 = 1;
const CHUNK_RESTS: u8 = 2;
/** In use, and met by the audit that is under way. */
const CHUNK_MET: u8 = 3;

function chunkBecomes(chunk: i32, from: u8, to: u8): void {
  assert(chunk >= 0 && chunk < chunkFresh, "there is such a chunk");
  assert(load<u8>(CHUNK_STATES + <usize>chunk) == from, "a chunk is free, in use, or at rest");
  store<u8>(CHUNK_STATES + <usize>chunk, to);
}

/** The audit meets a chunk in a queue: it is in use, and in no other one. */
export function chunkMeet(chunk: i32): void {
  chunkBecomes(chunk, CHUNK_USED, CHUNK_MET);
  assert(chunkStart(chunk) + chunkLength(chunk) <= <u32>abi.CHUNK_SIZE, "octets end in the chunk");
}

/** All queues have been looked at: `met` chunks. What is in use is in one of them, or rests. */
export function chunksAudit(met: i32): void {
  let resting = 0;
  for (let chunk = chunkLimbo; chunk >= 0; chunk = chunkNext(chunk)) resting++;
  assert(met + resting == chunksUsed, "chunks in use are in a queue or at rest");
  let free = 0;
  for (let chunk = chunkFree; chunk >= 0; chunk = chunkNext(chunk)) {
    assert(load<u8>(CHUNK_STATES + <usize>chunk) == CHUNK_FREE, "the free list has free chunks");
    free++;
  }
  assert(free + chunksUsed == chunkFresh, "each chunk is free or in use");
  for (let chunk = 0; chunk < chunkFresh; chunk++) {
    const state = CHUNK_STATES + <usize>chunk;
    if (load<u8>(state) == CHUNK_MET) store<u8>(state, CHUNK_USED);
    else assert(load<u8>(state) != CHUNK_USED, "no chunk is in use that nobody has");
  }
}

export function chunkRecord(chunk: i32): usize {
  if (CHECKED) assert(chunk >= 0 && chunk < abi.CHUNK_CAPACITY_COUNT, "a chunk has a number");
  return CHUNK_RECORDS + ((<usize>chunk) << CHUNK_RECORD_SHIFT);
}
export function chunkNext(chunk: i32): i32 {
  return load<i32>(chunkRecord(chunk));
}
export function chunkSetNext(chunk: i32, next: i32): void {
  store<i32>(chunkRecord(chunk), next);
}
export function chunkSequence(chunk: i32): u32 {
  return load<u32>(chunkRecord(chunk), CHUNK_SEQUENCE_OFFSET);
}
export function chunkStart(chunk: i32): u32 {
  return load<u32>(chunkRecord(chunk), CHUNK_START_OFFSET);
}
export function chunkLength(chunk: i32): u32 {
  return load<u32>(chunkRecord(chunk), CHUNK_LENGTH_OFFSET);
}
export function chunkSetLength(chunk: i32, length: u32): void {
  if (CHECKED) {
    assert(load<u8>(CHUNK_STATES + <usize>chunk) == CHUNK_USED, "only chunks in use are filled");
    assert(chunkStart(chunk) + length <= <u32>abi.CHUNK_SIZE, "octets end in the chunk");
  }
  store<u32>(chunkRecord(chunk), length, CHUNK_LENGTH_OFFSET);
}
/** Where the octets of the chunk begin. */
export function chunkData(chunk: i32): usize {
  return CHUNKS + ((<usize>chunk) << CHUNK_SHIFT) + chunkStart(chunk);
}
/** Drops `count` octets from the front. */
export function chunkTrim(chunk: i32, count: u32): void {
  const record = chunkRecord(chunk);
  if (CHECKED)
    assert(count <= load<u32>(record, CHUNK_LENGTH_OFFSET), "no more is dropped than there is");
  store<u32>(record, load<u32>(record, CHUNK_SEQUENCE_OFFSET) + count, CHUNK_SEQUENCE_OFFSET);
  store<u32>(record, load<u32>(record, CHUNK_START_OFFSET) + count, CHUNK_START_OFFSET);
  store<u32>(record, load<u32>(record, CHUNK_LENGTH_OFFSET) - count, CHUNK_LENGTH_OFFSET);
}

export function chunksFree(): i32 {
  return max(chunksMax - chunksUsed, 0);
}

/** Chunks that are kept for flows which hold fewer than CHUNKS_GUARANTEED (`flow/shares`). */
export function chunksKept(): i32 {
  return chunksMax >> 3;
}

/** Free chunks beyond those that are kept. */
export function chunksSpare(): i32 {
  return max(chunksFree() - chunksKept(), 0);
}

/** A chunk for octets from `sequence` on, or -1 when the pool is spent. */
export function chunkAllocate(sequence: u32): i32 {
  if (chunksUsed >= chunksMax) return -1;
  let chunk = chunkFree;
  if (chunk >= 0) chunkFree = chunkNext(chunk);
  else {
    // Chunks in limbo count as used, so a fresh one exists whenever the limit is not reached.
    if (chunkFresh >= chunksMax) return -1;
    chunk = chunkFresh++;
  }
  chunksUsed++;
  if (CHECKED) chunkBecomes(chunk, CHUNK_FREE, CHUNK_USED);
  const record = chunkRecord(chunk);
  store<i32>(record, -1);
  store<u32>(record, sequence, CHUNK_SEQUENCE_OFFSET);
  store<u32>(record, 0, CHUNK_START_OFFSET);
  store<u32>(record, 0, CHUNK_LENGTH_OFFSET);
  return chunk;
}

/** Gives a chunk back; `held` = frames that may refer to it still wait for the link. */
export function chunkRelease(chunk: i32, held: bool): void {
  if (CHECKED) chunkBecomes(chunk, CHUNK_USED, held ? CHUNK_RESTS : CHUNK_FREE);
  if (held) {
    chunkSetNext(chunk, chunkLimbo);
    chunkLimbo = chunk;
    return;
  }
  chunkSetNext(chunk, chunkFree);
  chunkFree = chunk;
  chunksUsed--;
}

/** Gives back a chunk and all behind it, to which no frame refers. */
export function chunksRelease(first: i32): void {
  let chunk = first;
  while (chunk >= 0) {
    const next = chunkNext(chunk);
    chunkRelease(chunk, false);
    chunk = next;
  }
}

/** All frames have left: what rests in limbo is free again. */
export function chunkReclaim(): void {
  while (chunkLimbo >= 0) {
    const next = chunkNext(chunkLimbo);
    if (CHECKED) chunkBecomes(chunkLimbo, CHUNK_RESTS, CHUNK_FREE);
    chunkSetNext(chunkLimbo, chunkFree);
    chunkFree = chunkLimbo;
    chunksUsed--;
    chunkLimbo = next;
  }
}

if (abi.CHUNK_SIZE != 1 << CHUNK_SHIFT || CHUNK_RECORD_SIZE != 1 << CHUNK_RECORD_SHIFT) {
  ERROR("memory.ts and abi.ts disagree");
}
