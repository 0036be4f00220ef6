/**
 * Engine memory as links see it: RX slots and descriptors, TX records and their iovecs.
 */

import {
  IOV_BASE_OFFSET,
  IOV_LENGTH_OFFSET,
  IOV_SIZE,
  LENT_LENGTH_MASK,
  LENT_SHIFT,
  RX_DESCRIPTOR_LENGTH_OFFSET,
  RX_DESCRIPTOR_POINTER_OFFSET,
  RX_DESCRIPTOR_SIZE,
  RX_SLOT_SIZE,
  TRACE_MARK_HANDLE_OFFSET,
  TRACE_MARK_REASON_OFFSET,
  TRACE_MARK_SIZE,
  TRACE_MARKS_OFFSET,
  TX_HANDLE_OFFSET,
  TX_IOV_COUNT_OFFSET,
  TX_IOV_OFFSET,
  TX_RECORD_SIZE,
} from "../../wasm/abi.ts";
import type { LinkMemory } from "./link.ts";

const SIZE_32 = 2 ** 32;

/** Engine offset of RX slot `i`. */
export function rxSlot(memory: LinkMemory, i: number): number {
  return memory.rxBuffers + i * RX_SLOT_SIZE;
}

/**
 * Says that frame `i` lies at `pointer`.
 * @param lent octets after which the rest of it is lent; 0 = none is
 */
export function writeRxDescriptor(
  memory: LinkMemory,
  i: number,
  pointer: number,
  length: number,
  lent = 0,
): void {
  const at = memory.rxDescriptors + i * RX_DESCRIPTOR_SIZE;
  memory.u32[(at + RX_DESCRIPTOR_POINTER_OFFSET) >>> 2] = pointer;
  memory.u32[(at + RX_DESCRIPTOR_LENGTH_OFFSET) >>> 2] = length + (lent << LENT_SHIFT);
}

export function rxPointer(memory: LinkMemory, i: number): number {
  const at = memory.rxDescriptors + i * RX_DESCRIPTOR_SIZE + RX_DESCRIPTOR_POINTER_OFFSET;
  return memory.u32[at >>> 2] ?? 0;
}

export function rxLength(memory: LinkMemory, i: number): number {
  const at = memory.rxDescriptors + i * RX_DESCRIPTOR_SIZE + RX_DESCRIPTOR_LENGTH_OFFSET;
  return (memory.u32[at >>> 2] ?? 0) & LENT_LENGTH_MASK;
}

/** Octets of frame `i` in its slot where the rest is lent; 0 = it is all there. */
export function rxLent(memory: LinkMemory, i: number): number {
  const at = memory.rxDescriptors + i * RX_DESCRIPTOR_SIZE + RX_DESCRIPTOR_LENGTH_OFFSET;
  return (memory.u32[at >>> 2] ?? 0) >>> LENT_SHIFT;
}

/** Why frame `i` of those that the engine saw last went no further, DROP_*; 0 = it did. */
export function rxDropReason(memory: LinkMemory, i: number): number {
  const mark = memory.rxDescriptors + TRACE_MARKS_OFFSET + i * TRACE_MARK_SIZE;
  return memory.u32[(mark + TRACE_MARK_REASON_OFFSET) >>> 2] ?? 0;
}

/** Handle of the flow that it is of, 0 = none. */
export function rxFlow(memory: LinkMemory, i: number): number {
  const mark = memory.rxDescriptors + TRACE_MARKS_OFFSET + i * TRACE_MARK_SIZE;
  return memory.u32[(mark + TRACE_MARK_HANDLE_OFFSET) >>> 2] ?? 0;
}

/** The same of frame `i` of the TX records. */
export function txFlow(memory: LinkMemory, i: number): number {
  return memory.u32[(memory.txRecords + i * TX_RECORD_SIZE + TX_HANDLE_OFFSET) >>> 2] ?? 0;
}

/** Engine offset of the iovec array of TX record `i`. */
export function txIovecs(memory: LinkMemory, i: number): number {
  return memory.u32[(memory.txRecords + i * TX_RECORD_SIZE + TX_IOV_OFFSET) >>> 2] ?? 0;
}

export function txIovecCount(memory: LinkMemory, i: number): number {
  return memory.u32[(memory.txRecords + i * TX_RECORD_SIZE + TX_IOV_COUNT_OFFSET) >>> 2] ?? 0;
}

/** Absolute address of the iovec at engine offset `iovec`. */
export function iovecBase(memory: LinkMemory, iovec: number): number {
  const word = (iovec + IOV_BASE_OFFSET) >>> 2;
  // Both halves as numbers: the address of a part may differ from the base in the upper one.
  return (memory.u32[word] ?? 0) + (memory.u32[word + 1] ?? 0) * SIZE_32;
}

export function iovecLength(memory: LinkMemory, iovec: number): number {
  return memory.u32[(iovec + IOV_LENGTH_OFFSET) >>> 2] ?? 0;
}

/** Octets of frame `i` as its iovecs have them, whatever the record says. */
export function txSize(memory: LinkMemory, i: number): number {
  const start = txIovecs(memory, i);
  const end = start + txIovecCount(memory, i) * IOV_SIZE;
  let size = 0;
  for (let iovec = start; iovec < end; iovec += IOV_SIZE) size += iovecLength(memory, iovec);
  return size;
}

/** What takes copies of parts of engine memory. */
export interface CopyTarget {
  /** Copies `length` octets from offset `from` of the memory to `at`. */
  copy(memory: LinkMemory, from: number, length: number, at: number): void;
}

/**
 * Copies at most `limit` octets of frame `i` of the TX records, from octet `skip` on, to `offset`
 * of `target`: for links without a kernel behind them, captures and recordings.
 * @returns octets copied, or -1 where an iovec does not lie inside the memory
 */
export function gatherTx(
  memory: LinkMemory,
  i: number,
  skip: number,
  target: CopyTarget,
  offset: number,
  limit: number,
): number {
  const start = txIovecs(memory, i);
  const end = start + txIovecCount(memory, i) * IOV_SIZE;
  let copied = 0;
  let toSkip = skip;
  for (let iovec = start; iovec < end; iovec += IOV_SIZE) {
    const from = iovecBase(memory, iovec) - memory.base;
    const length = iovecLength(memory, iovec);
    if (from < 0 || from + length > memory.buffer.byteLength) return -1;
    const skipped = Math.min(toSkip, length);
    toSkip -= skipped;
    const part = Math.min(length - skipped, limit - copied);
    if (part > 0) {
      target.copy(memory, from + skipped, part, offset + copied);
      copied += part;
    }
  }
  return copied;
}
