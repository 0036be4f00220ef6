/**
 * A stand-in for engine memory: the same regions, filled and read by hand.
 *
 * Without a native address it lies at an invented one whose lower half is about to overflow, so
 * that 64-bit arithmetic that loses the carry is found out.
 */

import type { LinkLoans, LinkMemory } from "../../src/link/link.ts";
import * as abi from "../../wasm/abi.ts";

const INVENTED_BASE = 0x7f12_ffff_f000;
const TX_FRAMES = abi.TX_CAPACITY_COUNT;
const IOVECS_PER_FRAME = 4;
const TX_BYTES = 1024 * 1024;

const RX_DESCRIPTORS = 64;
const RX_BUFFERS =
  RX_DESCRIPTORS + abi.TRACE_MARKS_OFFSET + (abi.RX_SLOT_COUNT + 1) * abi.TRACE_MARK_SIZE;
const TX_RECORDS = RX_BUFFERS + abi.RX_SLOT_COUNT * abi.RX_SLOT_SIZE;
const TX_IOVECS = TX_RECORDS + TX_FRAMES * abi.TX_RECORD_SIZE;
const TX_DATA = TX_IOVECS + TX_FRAMES * IOVECS_PER_FRAME * abi.IOV_SIZE;

export class TestMemory implements LinkMemory {
  readonly buffer = new ArrayBuffer(TX_DATA + TX_BYTES);
  readonly base: number;
  readonly u32 = new Uint32Array(this.buffer);
  readonly rxDescriptors = RX_DESCRIPTORS;
  readonly rxBuffers = RX_BUFFERS;
  readonly txRecords = TX_RECORDS;
  loans: LinkLoans | undefined;
  private readonly bytes = new Uint8Array(this.buffer);
  private readonly view = new DataView(this.buffer);

  constructor(address?: (buffer: ArrayBuffer) => number) {
    this.base = address?.(this.buffer) ?? INVENTED_BASE;
  }

  /** Fills the TX records from 0 on; each frame is given in the parts its iovecs are to have. */
  putFrames(frames: readonly (readonly Uint8Array[])[]): number {
    let data = TX_DATA;
    frames.forEach((parts, i) => {
      const iovecs = TX_IOVECS + i * IOVECS_PER_FRAME * abi.IOV_SIZE;
      const record = TX_RECORDS + i * abi.TX_RECORD_SIZE;
      let length = 0;
      parts.forEach((part, j) => {
        this.bytes.set(part, data);
        this.putIovec(iovecs + j * abi.IOV_SIZE, this.base + data, part.length);
        data += part.length;
        length += part.length;
      });
      this.view.setUint32(record + abi.TX_IOV_OFFSET, iovecs, true);
      this.view.setUint32(record + abi.TX_IOV_COUNT_OFFSET, parts.length, true);
      this.view.setUint32(record + abi.TX_LENGTH_OFFSET, length, true);
    });
    return frames.length;
  }

  /** Notes what has become of received frame `i`. */
  mark(i: number, reason: number, handle: number): void {
    const mark = RX_DESCRIPTORS + abi.TRACE_MARKS_OFFSET + i * abi.TRACE_MARK_SIZE;
    this.view.setUint32(mark + abi.TRACE_MARK_REASON_OFFSET, reason, true);
    this.view.setUint32(mark + abi.TRACE_MARK_HANDLE_OFFSET, handle, true);
  }

  /** Says which flow frame `i` of the TX records is of. */
  setFlow(i: number, handle: number): void {
    this.view.setUint32(TX_RECORDS + i * abi.TX_RECORD_SIZE + abi.TX_HANDLE_OFFSET, handle, true);
  }

  /** Points the only part of frame `i` elsewhere. */
  misdirect(i: number, address: number): void {
    const iovec = TX_IOVECS + i * IOVECS_PER_FRAME * abi.IOV_SIZE;
    this.putIovec(iovec, address, this.view.getUint32(iovec + abi.IOV_LENGTH_OFFSET, true));
  }

  /** The frame RX descriptor `i` tells of. */
  frame(i: number): Uint8Array {
    const at = RX_DESCRIPTORS + i * abi.RX_DESCRIPTOR_SIZE;
    const pointer = this.view.getUint32(at + abi.RX_DESCRIPTOR_POINTER_OFFSET, true);
    const word = this.view.getUint32(at + abi.RX_DESCRIPTOR_LENGTH_OFFSET, true);
    const length = word & abi.LENT_LENGTH_MASK;
    return this.bytes.slice(pointer, pointer + length);
  }

  private putIovec(iovec: number, address: number, length: number): void {
    this.view.setBigUint64(iovec + abi.IOV_BASE_OFFSET, BigInt(address), true);
    this.view.setBigUint64(iovec + abi.IOV_LENGTH_OFFSET, BigInt(length), true);
  }
}
