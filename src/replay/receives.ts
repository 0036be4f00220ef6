/**
 * What system calls have written into engine memory besides the result: the octets of streams and
 * datagrams, names, control data, flags. `capture` notes it after the call, `restore` writes it
 * where the engine that is replayed wants it.
 * Source: recvmsg(2), recvmmsg(2).
 */
import * as abi from "../../wasm/abi.ts";
import type { EngineMemory } from "./memory.ts";
import type { RecordReader } from "./record-reader.ts";
import type { RecordWriter } from "./record-writer.ts";

/** Words of a msghdr that a receive writes; MSG_RECEIVED of recvmmsg alone. */
const FIELDS = [
  abi.MSG_NAME_LENGTH_OFFSET,
  abi.MSG_CONTROL_LENGTH_OFFSET,
  abi.MSG_FLAGS_OFFSET,
] as const;

/** What an operation with this result has brought. */
function received(code: number, result: number): "none" | "stream" | "datagrams" | "error" {
  if (code === abi.OP_TCP_RECV && result > 0) return "stream";
  if (code === abi.OP_UDP_RECV && result > 0) return "datagrams";
  return code === abi.OP_RECV_ERROR && result >= 0 ? "error" : "none";
}

function operationField(memory: EngineMemory, at: number, offset: number): number {
  return memory.words[at + (offset >> 2)] ?? 0;
}

/** Notes what the operation at word `at` has brought. */
export function capture(memory: EngineMemory, writer: RecordWriter, at: number): void {
  const result = operationField(memory, at, abi.OP_RESULT_OFFSET) | 0;
  const message = operationField(memory, at, abi.OP_POINTER_OFFSET);
  writer.word(result);
  const kind = received(operationField(memory, at, abi.OP_KIND_OFFSET), result);
  if (kind === "stream") capturePayload(memory, writer, message, result);
  else if (kind === "error") captureMessage(memory, writer, message, result);
  else if (kind === "datagrams") {
    for (let i = 0; i < Math.min(result, abi.MSG_CAPACITY_COUNT); i += 1) {
      const each = message + i * abi.MSG_SIZE;
      captureMessage(memory, writer, each, memory.field(each, abi.MSG_RECEIVED_OFFSET));
    }
  }
}

function captureMessage(
  memory: EngineMemory,
  writer: RecordWriter,
  message: number,
  length: number,
): void {
  for (let i = 0; i < FIELDS.length; i += 1) {
    writer.word(memory.field(message, FIELDS[i] ?? 0));
  }
  const nameLength = memory.field(message, abi.MSG_NAME_LENGTH_OFFSET);
  const controlLength = memory.field(message, abi.MSG_CONTROL_LENGTH_OFFSET);
  const name = Math.min(nameLength, abi.MSG_NAME_SIZE);
  const control = Math.min(controlLength, abi.MSG_CONTROL_SIZE);
  const nameAt = memory.offsetOf(message, abi.MSG_NAME_OFFSET, name);
  const controlAt = memory.offsetOf(message, abi.MSG_CONTROL_OFFSET, control);
  writer.part(memory.link, nameAt, nameAt === 0 ? 0 : name);
  writer.part(memory.link, controlAt, controlAt === 0 ? 0 : control);
  capturePayload(memory, writer, message, length);
}

function capturePayload(
  memory: EngineMemory,
  writer: RecordWriter,
  message: number,
  length: number,
): void {
  const count = memory.pieceCount(message);
  let there = 0;
  for (let i = 0; i < count; i += 1) there += memory.pieceLength(message, i);
  let left = Math.min(length, there);
  writer.word(left);
  for (let i = 0; i < count && left > 0; i += 1) {
    const part = Math.min(memory.pieceLength(message, i), left);
    writer.part(memory.link, memory.pieceAt(message, i), part);
    left -= part;
  }
}

/**
 * Writes result and octets of the operation at word `at`, which is the one that was recorded.
 * @throws RecordingError where they do not fit
 */
export function restore(memory: EngineMemory, reader: RecordReader, at: number): number {
  const result = reader.integer();
  const message = operationField(memory, at, abi.OP_POINTER_OFFSET);
  const count = operationField(memory, at, abi.OP_COUNT_OFFSET);
  memory.words[at + (abi.OP_RESULT_OFFSET >> 2)] = result;
  const kind = received(operationField(memory, at, abi.OP_KIND_OFFSET), result);
  if (kind === "stream") restorePayload(memory, reader, message);
  else if (kind === "error") restoreMessage(memory, reader, message);
  else if (kind === "datagrams") {
    if (result > count) throw reader.wrong(`${result} datagrams received, ${count} asked for`);
    for (let i = 0; i < result; i += 1) {
      const each = message + i * abi.MSG_SIZE;
      const length = restoreMessage(memory, reader, each);
      memory.setField(each, abi.MSG_RECEIVED_OFFSET, length);
    }
  }
  return result;
}

function restoreMessage(memory: EngineMemory, reader: RecordReader, message: number): number {
  for (const field of FIELDS) memory.setField(message, field, reader.word());
  restorePart(memory, reader, message, abi.MSG_NAME_OFFSET, abi.MSG_NAME_SIZE);
  restorePart(memory, reader, message, abi.MSG_CONTROL_OFFSET, abi.MSG_CONTROL_SIZE);
  return restorePayload(memory, reader, message);
}

function restorePart(
  memory: EngineMemory,
  reader: RecordReader,
  message: number,
  pointer: number,
  max: number,
): void {
  const part = reader.blob(max);
  const place = memory.referred(message, pointer, part.length);
  if (place.length !== part.length) throw reader.wrong("data where nothing was asked for");
  place.set(part);
}

function restorePayload(memory: EngineMemory, reader: RecordReader, message: number): number {
  const length = reader.word();
  let left = length;
  for (const piece of memory.pieces(message)) {
    if (left <= 0) break;
    const part = reader.blob(piece.length);
    if (part.length !== Math.min(piece.length, left)) throw reader.wrong("a receive with a gap");
    piece.set(part);
    left -= part.length;
  }
  if (left > 0) throw reader.wrong(`${left} octets received beyond what was asked for`);
  return length;
}
