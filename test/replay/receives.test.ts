/** What system calls have written: noted from one memory, restored in another, never beyond it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { KIND, RecordingError } from "../../src/replay/format.ts";
import { capture, restore } from "../../src/replay/receives.ts";
import { RecordReader } from "../../src/replay/record-reader.ts";
import { RecordWriter } from "../../src/replay/record-writer.ts";
import * as abi from "../../wasm/abi.ts";
import { FakeEngine, type MessageFields, type OperationFields, pattern } from "./fake-engine.ts";
import { recordingOf } from "./recording-of.ts";
import { BUILD, MemorySink } from "./support.ts";

/** Memories lie elsewhere in each process. */
const [BASE, OTHER_BASE] = [3 * 2 ** 32, 9 * 2 ** 32 + 4096];

function written(write: (writer: RecordWriter) => void): RecordReader {
  const sink = new MemorySink();
  const writer = new RecordWriter(sink, BUILD, Number.POSITIVE_INFINITY);
  writer.begin(KIND.complete);
  write(writer);
  writer.commit();
  writer.flush();
  const reader = new RecordReader(recordingOf(sink.octets));
  reader.next();
  return reader;
}

/** What is noted of an operation with msghdrs. */
function captured(fields: OperationFields, messages: readonly MessageFields[]): RecordReader {
  const engine = new FakeEngine(BASE);
  const pointer = engine.messages(messages);
  const [at = 0] = engine.setOperations([{ pointer, ...fields }]);
  return written((writer) => capture(engine.memory, writer, at));
}

/** An engine that waits for the result of an operation, with empty msghdrs of those sizes. */
class Waiting {
  readonly engine = new FakeEngine(OTHER_BASE);
  readonly pointer: number;
  readonly #at: number;

  constructor(fields: OperationFields, messages: readonly MessageFields[]) {
    this.engine.take(1000);
    const empty = (octets: Uint8Array): Uint8Array => new Uint8Array(octets.length);
    this.pointer = this.engine.messages(
      messages.map(({ name, control, pieces = [] }) => ({
        ...(name && { name: empty(name) }),
        ...(control && { control: empty(control) }),
        pieces: pieces.map(empty),
      })),
    );
    const { kind, count = 0 } = fields;
    const [at = 0] = this.engine.setOperations([{ kind, count, pointer: this.pointer }]);
    this.#at = at;
  }

  restore(reader: RecordReader): number {
    return restore(this.engine.memory, reader, this.#at);
  }

  get result(): number {
    return (this.engine.memory.words[this.#at + (abi.OP_RESULT_OFFSET >> 2)] ?? 0) | 0;
  }

  field(i: number, offset: number): number {
    return this.engine.memory.field(this.pointer + i * abi.MSG_SIZE, offset);
  }

  pieces(i: number): number[][] {
    const { memory } = this.engine;
    return memory.pieces(this.pointer + i * abi.MSG_SIZE).map((piece) => [...piece]);
  }

  octets(i: number, pointer: number, length: number): number[] {
    return [...this.engine.memory.referred(this.pointer + i * abi.MSG_SIZE, pointer, length)];
  }
}

const STREAM = [{ pieces: [pattern(6), pattern(6, 2)] }];

describe("receives: streams", () => {
  test("as many octets as the result says, over the pieces", () => {
    const fields = { kind: abi.OP_TCP_RECV, result: 8 };
    const reader = captured(fields, STREAM);
    const waiting = new Waiting(fields, STREAM);
    assert.equal(waiting.restore(reader), 8);
    assert.equal(waiting.result, 8);
    const second = [...pattern(2, 2), 0, 0, 0, 0];
    assert.deepEqual(waiting.pieces(0), [[...pattern(6)], second]);
    assert.equal(reader.left, 0);
  });

  test("exactly the first piece leaves the second alone", () => {
    const fields = { kind: abi.OP_TCP_RECV, result: 6 };
    const reader = captured(fields, STREAM);
    const waiting = new Waiting(fields, STREAM);
    waiting.restore(reader);
    assert.deepEqual(waiting.pieces(0), [[...pattern(6)], [0, 0, 0, 0, 0, 0]]);
    assert.equal(reader.left, 0);
  });

  test("no more is noted than there is room for", () => {
    const reader = captured({ kind: abi.OP_TCP_RECV, result: 500 }, STREAM);
    assert.equal(reader.word(), 500);
    assert.equal(reader.word(), 12);
    assert.deepEqual(reader.blob(6), pattern(6));
    assert.deepEqual(reader.blob(6), pattern(6, 2));
    assert.equal(reader.left, 0);
  });

  test("an end and an error are their result and nothing else", () => {
    for (const result of [0, -104]) {
      const fields = { kind: abi.OP_TCP_RECV, result };
      const reader = captured(fields, STREAM);
      assert.equal(reader.left, 4);
      const waiting = new Waiting(fields, STREAM);
      assert.equal(waiting.restore(reader), result);
      assert.equal(waiting.result, result);
    }
  });

  test("the result of any other operation is noted alone", () => {
    const reader = captured({ kind: abi.OP_TCP_SEND, result: 7 }, STREAM);
    assert.deepEqual([reader.left, reader.integer()], [4, 7]);
  });
});

const DATAGRAMS: readonly MessageFields[] = [
  { name: pattern(16), control: pattern(24, 2), pieces: [pattern(9, 3)], flags: 32, received: 9 },
  { name: pattern(28, 4), pieces: [pattern(10, 5)], received: 4 },
  { name: pattern(16, 6), pieces: [pattern(8, 7)], received: 8 },
];

describe("receives: datagrams", () => {
  test("names, control data, flags, lengths and payload of those that came", () => {
    const fields = { kind: abi.OP_UDP_RECV, result: 2, count: 3 };
    const reader = captured(fields, DATAGRAMS);
    const waiting = new Waiting(fields, DATAGRAMS);
    assert.equal(waiting.restore(reader), 2);
    assert.equal(reader.left, 0);
    const lengths = (i: number): number[] =>
      [
        abi.MSG_NAME_LENGTH_OFFSET,
        abi.MSG_CONTROL_LENGTH_OFFSET,
        abi.MSG_FLAGS_OFFSET,
        abi.MSG_RECEIVED_OFFSET,
      ].map((offset) => waiting.field(i, offset));
    assert.deepEqual(lengths(0), [16, 24, 32, 9]);
    assert.deepEqual(lengths(1), [28, 0, 0, 4]);
    assert.deepEqual(waiting.octets(0, abi.MSG_NAME_OFFSET, 16), [...pattern(16)]);
    assert.deepEqual(waiting.octets(0, abi.MSG_CONTROL_OFFSET, 24), [...pattern(24, 2)]);
    assert.deepEqual(waiting.octets(1, abi.MSG_NAME_OFFSET, 28), [...pattern(28, 4)]);
    assert.deepEqual(waiting.pieces(0), [[...pattern(9, 3)]]);
    assert.deepEqual(waiting.pieces(1), [[...pattern(4, 5), 0, 0, 0, 0, 0, 0]]);
    assert.deepEqual(waiting.pieces(2), [[0, 0, 0, 0, 0, 0, 0, 0]], "it did not come");
  });

  test("none, and an error, are their result and nothing else", () => {
    for (const result of [0, -11]) {
      const reader = captured({ kind: abi.OP_UDP_RECV, result, count: 3 }, DATAGRAMS);
      assert.deepEqual([reader.left, reader.integer()], [4, result]);
    }
  });

  test("lengths that a kernel would not give are bounded by what the engine has", () => {
    const engine = new FakeEngine(BASE);
    const pointer = engine.messages([{ name: pattern(64), control: pattern(200, 2), received: 0 }]);
    const [at = 0] = engine.setOperations([
      { kind: abi.OP_UDP_RECV, result: 1, count: 1, pointer },
    ]);
    const reader = written((writer) => capture(engine.memory, writer, at));
    assert.deepEqual([reader.word(), reader.word(), reader.word(), reader.word()], [1, 64, 200, 0]);
    assert.deepEqual(reader.blob(1000), pattern(abi.MSG_NAME_SIZE));
    assert.deepEqual(reader.blob(1000), pattern(abi.MSG_CONTROL_SIZE, 2));
    assert.deepEqual([reader.word(), reader.left], [0, 0]);
  });

  test("a name that lies nowhere is empty", () => {
    const engine = new FakeEngine(BASE);
    const pointer = engine.messages([{ name: pattern(16), control: pattern(8), received: 0 }]);
    engine.point(pointer + abi.MSG_NAME_OFFSET, engine.memory.octets.length - 8);
    engine.point(pointer + abi.MSG_CONTROL_OFFSET, 0);
    const [at = 0] = engine.setOperations([
      { kind: abi.OP_UDP_RECV, result: 1, count: 1, pointer },
    ]);
    const reader = written((writer) => capture(engine.memory, writer, at));
    assert.deepEqual([reader.word(), reader.word(), reader.word(), reader.word()], [1, 16, 8, 0]);
    assert.deepEqual([reader.word(), reader.word(), reader.word(), reader.left], [0, 0, 0, 0]);
  });

  test("no more datagrams are noted than the engine has msghdrs", () => {
    const engine = new FakeEngine(BASE);
    const most = abi.MSG_CAPACITY_COUNT;
    const pointer = engine.messages(new Array<MessageFields>(most + 1).fill({}));
    const fields = { kind: abi.OP_UDP_RECV, result: most + 1, count: most + 1, pointer };
    const [at = 0] = engine.setOperations([fields]);
    const reader = written((writer) => capture(engine.memory, writer, at));
    const each = 4 * (3 + 1 + 1 + 1);
    assert.equal(reader.left, 4 + most * each);
  });
});

describe("receives: queued errors", () => {
  const ERROR = [
    { name: pattern(16), control: pattern(48, 2), pieces: [pattern(20, 3)], flags: 64 },
  ];

  test("what was refused and why, also where nothing of it is quoted", () => {
    for (const result of [20, 0]) {
      const fields = { kind: abi.OP_RECV_ERROR, result };
      const reader = captured(fields, ERROR);
      const waiting = new Waiting(fields, ERROR);
      assert.equal(waiting.restore(reader), result);
      assert.equal(reader.left, 0);
      assert.deepEqual(waiting.octets(0, abi.MSG_CONTROL_OFFSET, 48), [...pattern(48, 2)]);
      assert.equal(waiting.field(0, abi.MSG_FLAGS_OFFSET), 64);
      const payload = result === 0 ? new Array(20).fill(0) : [...pattern(20, 3)];
      assert.deepEqual(waiting.pieces(0), [payload]);
      assert.equal(waiting.field(0, abi.MSG_RECEIVED_OFFSET), 0, "recvmmsg alone writes it");
    }
  });

  test("none is its result and nothing else", () => {
    const reader = captured({ kind: abi.OP_RECV_ERROR, result: -11 }, ERROR);
    assert.deepEqual([reader.left, reader.integer()], [4, -11]);
  });
});

describe("receives: recordings that do not fit", () => {
  /** A record as no capture writes it, for an operation that waits. */
  const refused = (
    fields: OperationFields,
    messages: readonly MessageFields[],
    write: (writer: RecordWriter) => void,
  ): string => {
    const waiting = new Waiting(fields, messages);
    const reader = written(write);
    try {
      waiting.restore(reader);
    } catch (error) {
      assert.ok(error instanceof RecordingError, String(error));
      return error.message;
    }
    assert.fail("it was taken");
  };
  const stream = { kind: abi.OP_TCP_RECV };
  const datagram = { kind: abi.OP_UDP_RECV, count: 1 };
  const WRONG = "the recording contradicts itself:";

  test("more octets than were asked for", () => {
    const problem = refused(stream, STREAM, (writer) => {
      writer.word(20);
      writer.word(20);
      writer.blob(pattern(6));
      writer.blob(pattern(6));
    });
    assert.equal(problem, `${WRONG} 8 octets received beyond what was asked for`);
  });

  test("a piece that is longer than its room, and one that is not full", () => {
    const piece = (length: number): string =>
      refused(stream, STREAM, (writer) => {
        writer.word(12);
        writer.word(12);
        writer.blob(pattern(length));
        writer.blob(pattern(6));
      });
    assert.equal(piece(7), `${WRONG} 7 octets, at most 6 can be`);
    assert.equal(piece(5), `${WRONG} a receive with a gap`);
  });

  test("more datagrams than were asked for", () => {
    const problem = refused(datagram, DATAGRAMS, (writer) => writer.word(2));
    assert.equal(problem, `${WRONG} 2 datagrams received, 1 asked for`);
  });

  test("a name where none was asked for, and one that is too long", () => {
    const named = (messages: readonly MessageFields[], length: number): string =>
      refused(datagram, messages, (writer) => {
        for (const word of [1, 16, 0, 0]) writer.word(word);
        writer.blob(pattern(length));
        writer.blob(pattern(0));
        writer.word(0);
      });
    assert.equal(named([{}], 16), `${WRONG} data where nothing was asked for`);
    assert.equal(named(DATAGRAMS, abi.MSG_NAME_SIZE + 1), `${WRONG} 33 octets, at most 32 can be`);
  });

  test("control data that is too long", () => {
    const problem = refused(datagram, DATAGRAMS, (writer) => {
      for (const word of [1, 16, 0, 0]) writer.word(word);
      writer.blob(pattern(16));
      writer.blob(pattern(abi.MSG_CONTROL_SIZE + 1));
    });
    assert.equal(problem, `${WRONG} 129 octets, at most 128 can be`);
  });
});
