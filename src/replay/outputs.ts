/**
 * What an engine gives out, as marks that can be kept and compared: see `format.ts` for what is
 * kept of a frame and of an operation.
 */
import * as abi from "../../wasm/abi.ts";
import { Hash64 } from "../lib/hash64.ts";
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

/** Makes marks of what waits in engine memory. What it returns is valid until the next call. */
export class Outputs {
  readonly #memory: EngineMemory;
  readonly #hash = new Hash64();
  readonly #scratch = new Uint8Array(SCRATCH_SIZE);
  readonly #words = new Int32Array(this.#scratch.buffer);

  constructor(memory: EngineMemory) {
    this.#memory = memory;
  }

  /** Frame `i` of those that wait. */
  frame(i: number): FrameMark {
    const { link } = this.#memory;
    const length = Math.min(txSize(link, i), SCRATCH_SIZE);
    const copied = Math.max(gatherTx(link, i, 0, this.#scratch, 0, length), 0);
    this.#hash.reset();
    this.#add(copied);
    const head = this.#scratch.subarray(0, Math.min(copied, HEAD_SIZE));
    const { low, high } = this.#hash;
    return { kind: "frame", length: copied, head, low, high };
  }

  /** The operation at word `at`. */
  operation(at: number): OperationMark {
    const { words } = this.#memory;
    const field = (offset: number): number => words[at + (offset >> 2)] ?? 0;
    const code = field(abi.OP_KIND_OFFSET);
    const count = field(abi.OP_COUNT_OFFSET);
    this.#hash.reset();
    const length = this.#payload(code, field(abi.OP_POINTER_OFFSET), count);
    return {
      kind: "operation",
      code,
      handle: field(abi.OP_HANDLE_OFFSET),
      a: field(abi.OP_A_OFFSET),
      b: field(abi.OP_B_OFFSET),
      c: field(abi.OP_C_OFFSET),
      count,
      length,
      low: this.#hash.low,
      high: this.#hash.high,
    };
  }

  /** Adds what an operation sends or names to the hash; returns the octets. */
  #payload(code: number, pointer: number, count: number): number {
    const memory = this.#memory;
    const isOpening = code === abi.OP_TCP_CONNECT || code === abi.OP_UDP_OPEN;
    if (isOpening && count === abi.FAMILY_SIX && pointer !== 0) {
      return this.#part(memory.at(pointer, SOCKADDR_IN6_SIZE));
    }
    if (code === abi.OP_TCP_SEND) return this.#message(pointer);
    if (code !== abi.OP_UDP_SEND) return 0;
    let length = 0;
    for (let i = 0; i < Math.min(count, abi.MSG_CAPACITY_COUNT); i += 1) {
      const message = pointer + i * abi.MSG_SIZE;
      const nameLength = memory.field(message, abi.MSG_NAME_LENGTH_OFFSET);
      const controlLength = memory.field(message, abi.MSG_CONTROL_LENGTH_OFFSET);
      length += this.#part(memory.referred(message, abi.MSG_NAME_OFFSET, nameLength));
      length += this.#part(memory.referred(message, abi.MSG_CONTROL_OFFSET, controlLength));
      length += this.#message(message);
    }
    return length;
  }

  #message(message: number): number {
    const pieces = this.#memory.pieces(message);
    return pieces.reduce((sum, piece) => sum + this.#part(piece), 0);
  }

  #part(octets: Uint8Array): number {
    for (let at = 0; at < octets.length; at += SCRATCH_SIZE) {
      const part = octets.subarray(at, at + SCRATCH_SIZE);
      this.#scratch.set(part);
      this.#add(part.length);
    }
    return octets.length;
  }

  /** Adds the first octets of the scratch buffer and their number. */
  #add(length: number): void {
    const size = (length + 3) & ~3;
    this.#scratch.fill(0, length, size);
    this.#hash.mixWords(this.#words, 0, size >> 2);
    this.#hash.mix(length);
  }

  /** All frames that wait. */
  writeFrames(writer: RecordWriter): void {
    const count = this.#memory.frameCount;
    writer.word(count);
    for (let i = 0; i < count; i += 1) {
      const { length, head, low, high } = this.frame(i);
      for (const word of [length, low, high]) writer.word(word);
      writer.blob(head);
    }
  }

  writeOperation(writer: RecordWriter, at: number): void {
    const { code, handle, a, b, c, count, length, low, high } = this.operation(at);
    for (const word of [code, handle, a, b, c, count, length, low, high]) writer.word(word);
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
