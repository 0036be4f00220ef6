/**
 * What an engine gives out, as marks that can be kept and compared: see `format.ts` for what is
 * kept of a frame and of an operation.
 */
import * as abi from "../../wasm/abi.ts";
import { Hash64 } from "../lib/hash64.ts";
import { CopyBuffer, type NativeCopy } from "../link/copy-buffer.ts";
import { gatherTx, txSize } from "../link/frames.ts";
import { HEAD_SIZE } from "./format.ts";
import type { EngineMemory } from "./memory.ts";
import type { RecordReader } from "./record-reader.ts";
import type { RecordWriter } from "./record-writer.ts";

/** A frame for the guest. */
export interface FrameMark {
  readonly kind: "frame";
  readonly length: number;
  /** The first octets, at most HEAD_SIZE, virtio_net_hdr included. */
  readonly head: Uint8Array;
  /** Both halves of the hash. */
  readonly low: number;
  readonly high: number;
}

/** An operation on a host socket, `OP_*`. */
export interface OperationMark {
  readonly kind: "operation";
  readonly code: number;
  readonly handle: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly count: number;
  /** Octets it sends, addresses included. */
  readonly length: number;
  readonly low: number;
  readonly high: number;
}

const SCRATCH_SIZE = abi.RX_SLOT_SIZE;
const SOCKADDR_IN6_SIZE = 28;

/**
 * Makes marks of what waits in engine memory. What it returns is valid until the next call. To
 * write marks allocates nothing: a recording sees every frame and every operation.
 */
export class Outputs {
  readonly #memory: EngineMemory;
  readonly #hash = new Hash64();
  readonly #scratch: CopyBuffer;
  readonly #words: Int32Array;

  /** @param native copies where there are system calls */
  constructor(memory: EngineMemory, native?: NativeCopy) {
    this.#memory = memory;
    this.#scratch = new CopyBuffer(SCRATCH_SIZE, native);
    this.#words = new Int32Array(this.#scratch.octets.buffer);
  }

  /** Frame `i` of those that wait. */
  frame(i: number): FrameMark {
    const length = this.#hashFrame(i);
    const head = this.#scratch.octets.subarray(0, Math.min(length, HEAD_SIZE));
    const { low, high } = this.#hash;
    return { kind: "frame", length, head, low, high };
  }

  /** The operation at word `at`. */
  operation(at: number): OperationMark {
    const code = this.#field(at, abi.OP_KIND_OFFSET);
    const count = this.#field(at, abi.OP_COUNT_OFFSET);
    const length = this.#hashOperation(at);
    return {
      kind: "operation",
      code,
      handle: this.#field(at, abi.OP_HANDLE_OFFSET),
      a: this.#field(at, abi.OP_A_OFFSET),
      b: this.#field(at, abi.OP_B_OFFSET),
      c: this.#field(at, abi.OP_C_OFFSET),
      count,
      length,
      low: this.#hash.low,
      high: this.#hash.high,
    };
  }

  /** All frames that wait. */
  writeFrames(writer: RecordWriter): void {
    const count = this.#memory.frameCount;
    writer.word(count);
    for (let i = 0; i < count; i += 1) {
      const length = this.#hashFrame(i);
      writer.word(length);
      writer.word(this.#hash.low);
      writer.word(this.#hash.high);
      writer.words(this.#words, Math.min(length, HEAD_SIZE));
    }
  }

  /** The operation at word `at`. */
  writeOperation(writer: RecordWriter, at: number): void {
    const length = this.#hashOperation(at);
    writer.word(this.#field(at, abi.OP_KIND_OFFSET));
    writer.word(this.#field(at, abi.OP_HANDLE_OFFSET));
    writer.word(this.#field(at, abi.OP_A_OFFSET));
    writer.word(this.#field(at, abi.OP_B_OFFSET));
    writer.word(this.#field(at, abi.OP_C_OFFSET));
    writer.word(this.#field(at, abi.OP_COUNT_OFFSET));
    writer.word(length);
    writer.word(this.#hash.low);
    writer.word(this.#hash.high);
  }

  #field(at: number, offset: number): number {
    return this.#memory.words[at + (offset >> 2)] ?? 0;
  }

  /** Hashes frame `i`, which is in the scratch buffer then; returns its octets. */
  #hashFrame(i: number): number {
    const { link } = this.#memory;
    const length = Math.min(txSize(link, i), SCRATCH_SIZE);
    const copied = Math.max(gatherTx(link, i, 0, this.#scratch, 0, length), 0);
    this.#hash.reset();
    this.#add(copied);
    return copied;
  }

  /** Hashes what an operation sends or names; returns the octets. */
  #hashOperation(at: number): number {
    const memory = this.#memory;
    const code = this.#field(at, abi.OP_KIND_OFFSET);
    const count = this.#field(at, abi.OP_COUNT_OFFSET);
    const pointer = this.#field(at, abi.OP_POINTER_OFFSET);
    this.#hash.reset();
    const isOpening = code === abi.OP_TCP_CONNECT || code === abi.OP_UDP_OPEN;
    if (isOpening && count === abi.FAMILY_SIX && pointer !== 0) {
      return this.#part(memory.inside(pointer, SOCKADDR_IN6_SIZE), SOCKADDR_IN6_SIZE);
    }
    if (code === abi.OP_TCP_SEND) return this.#message(pointer);
    if (code !== abi.OP_UDP_SEND) return 0;
    let length = 0;
    for (let i = 0; i < Math.min(count, abi.MSG_CAPACITY_COUNT); i += 1) {
      const message = pointer + i * abi.MSG_SIZE;
      length += this.#referred(message, abi.MSG_NAME_OFFSET, abi.MSG_NAME_LENGTH_OFFSET);
      length += this.#referred(message, abi.MSG_CONTROL_OFFSET, abi.MSG_CONTROL_LENGTH_OFFSET);
      length += this.#message(message);
    }
    return length;
  }

  #referred(message: number, pointer: number, lengthAt: number): number {
    const length = this.#memory.field(message, lengthAt);
    return this.#part(this.#memory.offsetOf(message, pointer, length), length);
  }

  #message(message: number): number {
    const memory = this.#memory;
    const count = memory.pieceCount(message);
    let sum = 0;
    for (let i = 0; i < count; i += 1) {
      sum += this.#part(memory.pieceAt(message, i), memory.pieceLength(message, i));
    }
    return sum;
  }

  /** Adds a part of engine memory, which counts as empty at offset 0; returns its octets. */
  #part(offset: number, length: number): number {
    if (offset === 0) return 0;
    for (let at = 0; at < length; at += SCRATCH_SIZE) {
      const part = Math.min(SCRATCH_SIZE, length - at);
      this.#scratch.copy(this.#memory.link, offset + at, part, 0);
      this.#add(part);
    }
    return length;
  }

  /** Adds the first octets of the scratch buffer and their number. */
  #add(length: number): void {
    const size = (length + 3) & ~3;
    this.#scratch.octets.fill(0, length, size);
    this.#hash.mixWords(this.#words, 0, size >> 2);
    this.#hash.mix(length);
  }
}

export function readFrame(reader: RecordReader): FrameMark {
  const length = reader.word();
  const low = reader.integer();
  const high = reader.integer();
  return { kind: "frame", length, low, high, head: reader.blob(HEAD_SIZE) };
}

export function readOperation(reader: RecordReader): OperationMark {
  const code = reader.word();
  const handle = reader.word();
  const a = reader.word();
  const b = reader.word();
  const c = reader.word();
  const count = reader.word();
  const length = reader.word();
  const low = reader.integer();
  const high = reader.integer();
  return { kind: "operation", code, handle, a, b, c, count, length, low, high };
}

export function isSameFrame(one: FrameMark, other: FrameMark): boolean {
  return one.length === other.length && one.low === other.low && one.high === other.high;
}

export function isSameOperation(one: OperationMark, other: OperationMark): boolean {
  return (
    one.code === other.code &&
    one.handle === other.handle &&
    one.a === other.a &&
    one.b === other.b &&
    one.c === other.c &&
    one.count === other.count &&
    one.length === other.length &&
    one.low === other.low &&
    one.high === other.high
  );
}
