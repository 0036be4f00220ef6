/** Records as they lie in a file, in what pieces they are written, and how a recording ends. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Hash64 } from "../../src/lib/hash64.ts";
import type { OutputSink } from "../../src/lib/output-file.ts";
import type { NativeCopy } from "../../src/link/copy-buffer.ts";
import { abiHash, KIND, RECORD_SIZE_MAX } from "../../src/replay/format.ts";
import { RecordWriter } from "../../src/replay/record-writer.ts";
import * as abi from "../../wasm/abi.ts";
import { FakeEngine, pattern } from "./fake-engine.ts";
import { BUILD, MemorySink } from "./support.ts";

const NO_LIMIT = Number.POSITIVE_INFINITY;
const FLUSH_SIZE = 256 * 1024;
const HEADER_SIZE = 48;

/** The file that comes of what `write` does, whole. */
function fileOf(write: (writer: RecordWriter) => void): DataView<ArrayBuffer> {
  const sink = new MemorySink();
  const writer = new RecordWriter(sink, BUILD, NO_LIMIT);
  write(writer);
  writer.flush();
  return new DataView(sink.octets.slice().buffer);
}

/** Body of the only record. */
function bodyOf(write: (writer: RecordWriter) => void): Uint8Array {
  const file = fileOf((writer) => {
    writer.begin(KIND.step);
    write(writer);
    writer.commit();
  });
  const length = file.getUint32(HEADER_SIZE, true) >>> 8;
  assert.equal(HEADER_SIZE + 8 + length, file.byteLength);
  return new Uint8Array(file.buffer, HEADER_SIZE + 8);
}

/** A record of a kind with a body of so many octets, header not counted. */
function writeRecord(writer: RecordWriter, length: number): void {
  writer.begin(KIND.event);
  writer.blob(new Uint8Array(length - 4));
  writer.commit();
}

describe("record-writer: octets", () => {
  test("the header names format, ABI and engine", () => {
    const file = fileOf(() => {});
    const text = new TextDecoder().decode(file);
    assert.equal(file.byteLength, HEADER_SIZE);
    assert.equal(text.slice(0, 8), "SLIRPREC");
    assert.deepEqual([file.getUint32(8, true), file.getUint32(12, true)], [2, abi.ABI_VERSION]);
    assert.equal(text.slice(16), abiHash() + BUILD);
  });

  test("a record has its length, its kind and a check of all before it", () => {
    const file = fileOf((writer) => {
      writer.begin(KIND.event);
      writer.word(0x01020304);
      writer.word(-2);
      writer.commit();
      writer.begin(KIND.farewell);
      writer.commit();
    });
    const words = new Int32Array(file.buffer);
    const check = new Hash64();
    check.mixWords(words, 0, 12);
    assert.equal(words[12], (8 << 8) | KIND.event);
    check.mix(words[12] ?? 0);
    check.mixWords(words, 14, 16);
    assert.deepEqual([...words.subarray(13, 16)], [check.low, 0x01020304, -2]);
    check.mix(words[16] ?? 0);
    assert.deepEqual([...words.subarray(16)], [KIND.farewell, check.low]);
  });

  test("times are doubles, octets are preceded by their number and filled up", () => {
    assert.deepEqual(
      [...bodyOf((writer) => writer.float(1.5))],
      [...new Uint8Array(Float64Array.of(1.5).buffer)],
    );
    const five = [5, 0, 0, 0, 9, 8, 7, 6, 5, 0, 0, 0];
    assert.deepEqual([...bodyOf((writer) => writer.blob(Uint8Array.of(9, 8, 7, 6, 5)))], five);
    assert.deepEqual([...bodyOf((writer) => writer.blob(Uint8Array.of()))], [0, 0, 0, 0]);
    const four = [4, 0, 0, 0, 1, 2, 3, 4];
    assert.deepEqual([...bodyOf((writer) => writer.blob(Uint8Array.of(1, 2, 3, 4)))], four);
  });

  test("filling is zero where another record was before", () => {
    const sink = new MemorySink();
    const writer = new RecordWriter(sink, BUILD, NO_LIMIT);
    writer.begin(KIND.event);
    writer.blob(new Uint8Array(256).fill(0xff));
    writer.commit();
    writer.flush();
    writer.begin(KIND.event);
    writer.blob(Uint8Array.of(1));
    writer.commit();
    writer.flush();
    assert.deepEqual([...(sink.parts[1] ?? []).slice(8)], [1, 0, 0, 0, 1, 0, 0, 0]);
  });

  test("words are taken as far as the length says", () => {
    const words = Int32Array.of(0x04030201, 0x00000605, 0x7f7f7f7f);
    const six = [6, 0, 0, 0, 1, 2, 3, 4, 5, 6, 0, 0];
    assert.deepEqual([...bodyOf((writer) => writer.words(words, 6))], six);
  });

  test("a part of engine memory is copied, by the C library where there is one", () => {
    const engine = new FakeEngine(1 << 20);
    const at = engine.put(Uint8Array.of(4, 3, 2, 1, 9));
    const wanted = [5, 0, 0, 0, 4, 3, 2, 1, 9, 0, 0, 0];
    const { link } = engine.memory;
    assert.deepEqual([...bodyOf((writer) => writer.part(link, at, 5))], wanted);

    const copies: number[][] = [];
    const native: NativeCopy = {
      address: () => 0x5000,
      memcpy: (...args) => copies.push(args),
    };
    const writer = new RecordWriter(new MemorySink(), BUILD, NO_LIMIT, native);
    writer.begin(KIND.event);
    writer.part(link, at, 5);
    assert.deepEqual(copies, [[0x5000 + HEADER_SIZE + 8 + 4, (1 << 20) + at, 5]]);
  });

  test("a record longer than the buffer is whole, and so are those before and behind it", () => {
    const long = pattern(3 * FLUSH_SIZE + 5);
    const sink = new MemorySink();
    const writer = new RecordWriter(sink, BUILD, NO_LIMIT);
    writer.begin(KIND.step);
    writer.word(1);
    writer.blob(long);
    writer.word(2);
    writer.commit();
    writer.flush();
    const view = new DataView(sink.octets.slice().buffer);
    const body = HEADER_SIZE + 8;
    assert.equal(view.getUint32(body, true), 1);
    assert.equal(view.getUint32(body + 4, true), long.length);
    assert.deepEqual(new Uint8Array(view.buffer, body + 8, long.length), long);
    assert.equal(view.getUint32(view.byteLength - 4, true), 2);
  });

  test("a record that is begun anew leaves nothing of the one before", () => {
    const body = bodyOf((writer) => {
      writer.word(77);
      writer.begin(KIND.step);
      writer.word(78);
    });
    assert.deepEqual([...body], [78, 0, 0, 0]);
  });
});

describe("record-writer: pieces", () => {
  test("the sink gets whole records once 256 KiB are there", () => {
    const sink = new MemorySink();
    const writer = new RecordWriter(sink, BUILD, NO_LIMIT);
    const record = 4096;
    let records = 0;
    while (sink.parts.length === 0) {
      assert.equal(writer.size, HEADER_SIZE + records * record);
      writeRecord(writer, record - 8);
      records += 1;
    }
    assert.equal(records, FLUSH_SIZE / record);
    assert.equal(sink.parts[0]?.length, HEADER_SIZE + records * record);
    assert.equal(writer.size, HEADER_SIZE + records * record);
    writeRecord(writer, record - 8);
    assert.equal(sink.parts.length, 1);
    assert.equal(writer.size, HEADER_SIZE + (records + 1) * record);
  });

  test("at 256 KiB to the octet it is given, and with four less it is not", () => {
    const piecesAfter = (length: number): number => {
      const sink = new MemorySink();
      const writer = new RecordWriter(sink, BUILD, NO_LIMIT);
      writeRecord(writer, length - HEADER_SIZE - 8);
      return sink.parts.length;
    };
    assert.equal(piecesAfter(FLUSH_SIZE), 1);
    assert.equal(piecesAfter(FLUSH_SIZE - 4), 0);
  });

  test("nothing is written where nothing is there", () => {
    const sink = new MemorySink();
    const writer = new RecordWriter(sink, BUILD, NO_LIMIT);
    writer.flush();
    writer.flush();
    assert.equal(sink.parts.length, 1);
  });
});

describe("record-writer: ends", () => {
  test("closing writes an end with a reason, once", () => {
    const sink = new MemorySink();
    const writer = new RecordWriter(sink, BUILD, NO_LIMIT);
    assert.equal(writer.stopped, "");
    let finished = 0;
    const finish = (): void => {
      finished += 1;
      writer.word(5);
    };
    writer.close(finish);
    writer.close(finish);
    const words = new Int32Array(sink.octets.slice().buffer, HEADER_SIZE);
    assert.deepEqual([words[0], words[2], words[3]], [(8 << 8) | KIND.end, 0, 5]);
    assert.deepEqual([words.length, finished, sink.closes, writer.stopped], [4, 1, 1, "closed"]);
    writer.begin(KIND.step);
    writer.commit();
    writer.flush();
    assert.equal(sink.octets.length, HEADER_SIZE + 16, "nothing follows");
  });

  test("a record that just leaves room for the end is taken, one octet more ends it", () => {
    const endOf = (limit: number): readonly [string, number, number[]] => {
      const sink = new MemorySink();
      const writer = new RecordWriter(sink, BUILD, limit);
      writeRecord(writer, 92);
      const { stopped } = writer;
      writer.close(() => writer.word(0));
      const words = new Int32Array(sink.octets.slice().buffer);
      return [stopped, sink.octets.length, [...words.subarray(-4)]];
    };
    const fits = HEADER_SIZE + 100 + 16;
    const [stopped, size, last] = endOf(fits);
    assert.deepEqual([stopped, size, last[0], last[2]], ["", fits, (8 << 8) | KIND.end, 0]);
    const [over, sizeOver, lastOver] = endOf(fits - 1);
    assert.deepEqual([over, sizeOver, lastOver[2]], ["limit", HEADER_SIZE + 16, 1]);
    assert.deepEqual([lastOver[0], lastOver[3]], [(8 << 8) | KIND.end, 0]);
  });

  test("the limit counts what was written before", () => {
    const sink = new MemorySink();
    const writer = new RecordWriter(sink, BUILD, 1000);
    writeRecord(writer, 492);
    writer.flush();
    writeRecord(writer, 492);
    assert.deepEqual([writer.stopped, sink.closes], ["limit", 1]);
    assert.equal(sink.octets.length, HEADER_SIZE + 500 + 16);
    assert.equal(writer.size, HEADER_SIZE + 500 + 16);
  });

  test("the longest record there may be is taken, a longer one ends it", () => {
    const stopped = (length: number): string => {
      const writer = new RecordWriter(new MemorySink(), BUILD, NO_LIMIT);
      writeRecord(writer, length);
      return writer.stopped;
    };
    assert.equal(stopped(RECORD_SIZE_MAX), "");
    assert.equal(stopped(RECORD_SIZE_MAX + 4), "limit");
  });

  test("a sink that fails ends it, and the first failure is kept", () => {
    const failing = (error: unknown): OutputSink & { writes: number } => ({
      writes: 0,
      write(): boolean {
        this.writes += 1;
        throw error;
      },
      close: () => {
        throw new Error("second");
      },
    });
    const disk = new Error("disk full");
    const sink = failing(disk);
    const writer = new RecordWriter(sink, BUILD, NO_LIMIT);
    writer.flush();
    assert.deepEqual([writer.stopped, writer.failure, sink.writes], ["error", disk, 1]);
    writeRecord(writer, 100);
    writer.close(() => assert.fail("nothing is finished"));
    assert.deepEqual([writer.stopped, writer.failure, sink.writes], ["error", disk, 1]);

    const odd = new RecordWriter(failing("odd"), BUILD, NO_LIMIT);
    odd.flush();
    assert.equal(odd.failure?.message, "odd");
  });

  test("a sink that cannot be closed is a failure", () => {
    const sink: OutputSink = {
      write: () => true,
      close: () => {
        throw new Error("quota");
      },
    };
    const writer = new RecordWriter(sink, BUILD, NO_LIMIT);
    writer.close(() => writer.word(0));
    assert.deepEqual([writer.stopped, writer.failure?.message], ["error", "quota"]);
  });
});
