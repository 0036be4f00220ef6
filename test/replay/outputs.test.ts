/** Marks of frames and operations: what is hashed, what is kept, and when two are the same. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { concat } from "../../src/lib/bytes.ts";
import { Hash64 } from "../../src/lib/hash64.ts";
import { KIND } from "../../src/replay/format.ts";
import {
  type FrameMark,
  isSameFrame,
  isSameOperation,
  type OperationMark,
  Outputs,
  readFrame,
  readOperation,
} from "../../src/replay/outputs.ts";
import { RecordReader } from "../../src/replay/record-reader.ts";
import { RecordWriter } from "../../src/replay/record-writer.ts";
import * as abi from "../../wasm/abi.ts";
import { FakeEngine, type OperationFields, pattern } from "./fake-engine.ts";
import { recordingOf } from "./recording-of.ts";
import { BUILD, MemorySink } from "./support.ts";

const BASE = 7 * 2 ** 32;

/** Hash of parts, each filled up to whole words and followed by its length. */
function hashOf(...parts: readonly Uint8Array[]): readonly [low: number, high: number] {
  const hash = new Hash64();
  for (const part of parts) {
    const whole = new Uint8Array(Math.ceil(part.length / 4) * 4);
    whole.set(part);
    hash.mixWords(new Int32Array(whole.buffer), 0, whole.length / 4);
    hash.mix(part.length);
  }
  return [hash.low, hash.high];
}

/** A reader of what `write` puts into one record. */
function written(write: (writer: RecordWriter) => void): RecordReader {
  const sink = new MemorySink();
  const writer = new RecordWriter(sink, BUILD, Number.POSITIVE_INFINITY);
  writer.begin(KIND.txDone);
  write(writer);
  writer.commit();
  writer.flush();
  const reader = new RecordReader(recordingOf(sink.octets));
  reader.next();
  return reader;
}

describe("outputs: frames", () => {
  test("a frame has the length and the hash of its pieces as one, and its head", () => {
    const engine = new FakeEngine(BASE);
    const outputs = new Outputs(engine.memory);
    const pieces = [pattern(54), pattern(301, 2), pattern(0), pattern(7, 3)];
    engine.setFrames([[pattern(60)], pieces]);
    const whole = concat(...pieces);
    const mark = outputs.frame(1);
    assert.deepEqual([mark.kind, mark.length], ["frame", 362]);
    assert.deepEqual([mark.low, mark.high], hashOf(whole));
    assert.deepEqual(mark.head, whole.subarray(0, 128));
    const short = outputs.frame(0);
    assert.deepEqual([...short.head], [...pattern(60)]);
    assert.deepEqual([short.low, short.high], hashOf(pattern(60)));
  });

  test("what lies behind a frame in the buffer does not count", () => {
    const engine = new FakeEngine(BASE);
    const outputs = new Outputs(engine.memory);
    engine.setFrames([[new Uint8Array(64).fill(0xff)], [Uint8Array.of(1, 2, 3, 4, 5)]]);
    outputs.frame(0);
    const mark = outputs.frame(1);
    assert.deepEqual([mark.low, mark.high], hashOf(Uint8Array.of(1, 2, 3, 4, 5)));
  });

  test("a frame beyond a slot is cut, one that lies nowhere is empty", () => {
    const engine = new FakeEngine(BASE);
    const outputs = new Outputs(engine.memory);
    const long = pattern(abi.RX_SLOT_SIZE + 8);
    engine.setFrames([[long], [pattern(8)]]);
    assert.equal(outputs.frame(0).length, abi.RX_SLOT_SIZE);
    const record = engine.memory.base(abi.REGION_TX_RECORDS) + abi.TX_RECORD_SIZE;
    const iovecs = engine.memory.field(record, abi.TX_IOV_OFFSET);
    engine.point(iovecs, engine.memory.octets.length);
    const { length, head, low, high } = outputs.frame(1);
    assert.deepEqual([length, head.length], [0, 0]);
    assert.deepEqual([low, high], hashOf(new Uint8Array(0)));
  });

  test("frames are written as they are made, all that wait", () => {
    const engine = new FakeEngine(BASE);
    const outputs = new Outputs(engine.memory);
    engine.setFrames([[pattern(130)], [pattern(61, 2)]]);
    const reader = written((writer) => outputs.writeFrames(writer));
    assert.equal(reader.word(), 2);
    for (const i of [0, 1]) {
      const mark = readFrame(reader);
      const made = outputs.frame(i);
      assert.deepEqual({ ...mark, head: [...mark.head] }, { ...made, head: [...made.head] });
    }
    assert.equal(reader.left, 0);
  });

  test("a head that is too long is refused", () => {
    const reader = written((writer) => {
      for (const word of [200, 1, 2]) writer.word(word);
      writer.blob(new Uint8Array(129));
    });
    assert.throws(() => readFrame(reader), /129 octets, at most 128 can be/);
  });

  test("copies are the C library's where there is one", () => {
    const engine = new FakeEngine(BASE);
    let copied = 0;
    const native = {
      address: () => 0x1000,
      memcpy: (_to: number, _from: number, octets: number) => {
        copied += octets;
        return 0;
      },
    };
    engine.setFrames([[pattern(60)]]);
    new Outputs(engine.memory, native).frame(0);
    assert.equal(copied, 60);
  });
});

/** Mark of one operation. */
function markOf(engine: FakeEngine, fields: OperationFields): OperationMark {
  const [at = 0] = engine.setOperations([fields]);
  return new Outputs(engine.memory).operation(at);
}

/** Octets and hash of what one operation sends or names. */
function sentBy(engine: FakeEngine, fields: OperationFields): readonly number[] {
  const { length, low, high } = markOf(engine, fields);
  return [length, low, high];
}

describe("outputs: operations", () => {
  const NOTHING = [0, ...hashOf()];

  test("the words of an operation are kept, its result and pointer are not", () => {
    const engine = new FakeEngine(BASE);
    const fields = { kind: abi.OP_TCP_SHUTDOWN, handle: 0xfedc0001, a: 2, b: 3, c: 4, count: 5 };
    const [first = 0, second = 0] = engine.setOperations([
      { kind: abi.OP_CLOSE },
      { ...fields, result: 99, pointer: 98 },
    ]);
    const outputs = new Outputs(engine.memory);
    const mark = outputs.operation(second);
    const { kind: code, ...rest } = fields;
    const [length, low, high] = NOTHING;
    assert.deepEqual(mark, { kind: "operation", code, ...rest, length, low, high });
    assert.equal(outputs.operation(first).code, abi.OP_CLOSE);
    assert.deepEqual(
      readOperation(written((writer) => outputs.writeOperation(writer, second))),
      mark,
    );
  });

  test("an opening names an IPv6 address, where it has one", () => {
    const engine = new FakeEngine(BASE);
    const name = pattern(28);
    const pointer = engine.put(name);
    const six = { pointer, count: abi.FAMILY_SIX };
    for (const kind of [abi.OP_TCP_CONNECT, abi.OP_UDP_OPEN]) {
      assert.deepEqual(sentBy(engine, { kind, ...six }), [28, ...hashOf(name)]);
      assert.deepEqual(sentBy(engine, { kind, pointer, count: 0 }), NOTHING);
      assert.deepEqual(sentBy(engine, { kind, pointer: 0, count: abi.FAMILY_SIX }), NOTHING);
      const beyond = { pointer: engine.memory.octets.length - 27, count: abi.FAMILY_SIX };
      assert.deepEqual(sentBy(engine, { kind, ...beyond }), NOTHING);
    }
    assert.deepEqual(sentBy(engine, { kind: abi.OP_PING_OPEN, ...six }), NOTHING);
  });

  test("a stream sends its pieces, each by itself, and nothing else of its msghdr", () => {
    const engine = new FakeEngine(BASE);
    const pieces = [pattern(10), pattern(3, 2)];
    const pointer = engine.messages([{ name: pattern(16), control: pattern(20), pieces }]);
    const sent = sentBy(engine, { kind: abi.OP_TCP_SEND, pointer, count: 7 });
    assert.deepEqual(sent, [13, ...hashOf(...pieces)]);
  });

  test("a piece longer than the buffer is hashed in parts", () => {
    const engine = new FakeEngine(BASE);
    const long = pattern(abi.RX_SLOT_SIZE + 100);
    const pointer = engine.messages([{ pieces: [long] }]);
    const parts = [long.subarray(0, abi.RX_SLOT_SIZE), long.subarray(abi.RX_SLOT_SIZE)];
    const wanted = [long.length, ...hashOf(...parts)];
    assert.deepEqual(sentBy(engine, { kind: abi.OP_TCP_SEND, pointer }), wanted);
  });

  test("datagrams send names, control data and pieces, as many as are asked for", () => {
    const engine = new FakeEngine(BASE);
    const one = { name: pattern(16), control: pattern(20, 2), pieces: [pattern(9, 3)] };
    const two = { name: pattern(28, 4), pieces: [pattern(5, 5), pattern(6, 6)] };
    const pointer = engine.messages([one, two, one]);
    const first = [one.name, one.control, ...one.pieces];
    const both = [...first, two.name, ...two.pieces];
    const kind = abi.OP_UDP_SEND;
    assert.deepEqual(sentBy(engine, { kind, pointer, count: 1 }), [45, ...hashOf(...first)]);
    assert.deepEqual(sentBy(engine, { kind, pointer, count: 2 }), [84, ...hashOf(...both)]);
    assert.deepEqual(sentBy(engine, { kind, pointer, count: 0 }), NOTHING);
  });

  test("the number of datagrams is bounded by what the engine lists", () => {
    const engine = new FakeEngine(BASE);
    const one = { pieces: [pattern(1)] };
    const pointer = engine.messages(new Array(abi.MSG_CAPACITY_COUNT + 1).fill(one));
    const kind = abi.OP_UDP_SEND;
    assert.equal(sentBy(engine, { kind, pointer, count: 0xffffffff })[0], abi.MSG_CAPACITY_COUNT);
  });

  test("what only receives or asks sends nothing", () => {
    const engine = new FakeEngine(BASE);
    const pointer = engine.messages([{ name: pattern(16), pieces: [pattern(9)] }]);
    for (const kind of [abi.OP_TCP_RECV, abi.OP_UDP_RECV, abi.OP_RECV_ERROR, abi.OP_CLOSE]) {
      assert.deepEqual(sentBy(engine, { kind, pointer, count: 1 }), NOTHING, `${kind}`);
    }
  });
});

describe("outputs: the same", () => {
  test("frames are the same by length and both halves of the hash", () => {
    const frame: FrameMark = { kind: "frame", length: 1, low: 2, high: 3, head: pattern(1) };
    assert.ok(isSameFrame(frame, { ...frame, head: pattern(1, 9) }));
    for (const field of ["length", "low", "high"]) {
      assert.ok(!isSameFrame(frame, { ...frame, [field]: 9 }), field);
    }
  });

  test("operations are the same by every word", () => {
    const words = { code: 1, handle: 2, a: 3, b: 4, c: 5, count: 6, length: 7, low: 8, high: 9 };
    const operation: OperationMark = { kind: "operation", ...words };
    assert.ok(isSameOperation(operation, { ...operation }));
    for (const field of Object.keys(words)) {
      assert.ok(!isSameOperation(operation, { ...operation, [field]: 99 }), field);
    }
  });
});
