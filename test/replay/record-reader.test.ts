/** Records out of files that are whole, cut, damaged, foreign, and given in small pieces. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { concat } from "../../src/lib/bytes.ts";
import { KIND, RECORD_SIZE_MAX, RecordingError } from "../../src/replay/format.ts";
import { type RecordingSource, RecordReader } from "../../src/replay/record-reader.ts";
import { RecordWriter } from "../../src/replay/record-writer.ts";
import * as abi from "../../wasm/abi.ts";
import { pattern } from "./fake-engine.ts";
import { recordingOf } from "./recording-of.ts";
import { BUILD, MemorySink } from "./support.ts";

const HEADER_SIZE = 48;

/** A file with a record for each function, which writes its body; all of one kind. */
function fileOf(...bodies: ((writer: RecordWriter) => void)[]): Uint8Array {
  const sink = new MemorySink();
  const writer = new RecordWriter(sink, BUILD, Number.POSITIVE_INFINITY);
  for (const body of bodies) {
    writer.begin(KIND.event);
    body(writer);
    writer.commit();
  }
  writer.close(() => {});
  return sink.octets;
}

/** A reader that stands in the only record. */
function readerOf(body: (writer: RecordWriter) => void): RecordReader {
  const reader = new RecordReader(recordingOf(fileOf(body)));
  assert.equal(reader.next(), KIND.event);
  return reader;
}

/** Reads every record. */
function readAll(source: RecordingSource): void {
  const reader = new RecordReader(source);
  while (reader.next() !== KIND.end);
  reader.finish();
}

/** What a file is refused with: the message, and the place in the file. */
function refusal(file: Uint8Array): readonly [message: string, offset: number] {
  try {
    readAll(recordingOf(file));
  } catch (error) {
    assert.ok(error instanceof RecordingError, String(error));
    return [error.message, error.offset];
  }
  assert.fail("it was taken");
}

const SHORT = "the recording is cut short";
const DAMAGED = "the recording is damaged";

describe("record-reader: content", () => {
  test("what was written is read, in order", () => {
    const reader = readerOf((writer) => {
      writer.word(0xfffffffe);
      writer.word(0xfffffffe);
      writer.float(1234.5);
      writer.blob(Uint8Array.of(1, 2, 3, 4, 5));
      writer.word(9);
    });
    assert.equal(reader.build, BUILD);
    assert.equal(reader.offset, HEADER_SIZE);
    assert.equal(reader.left, 32);
    assert.deepEqual([reader.word(), reader.integer(), reader.float()], [0xfffffffe, -2, 1234.5]);
    assert.deepEqual([...reader.blob(5)], [1, 2, 3, 4, 5]);
    assert.equal(reader.left, 4);
    assert.equal(reader.word(), 9);
    assert.equal(reader.left, 0);
    assert.equal(reader.next(), KIND.end);
    assert.equal(reader.offset, HEADER_SIZE + 8 + 32);
    reader.finish();
  });

  test("what was not taken of a record is passed over", () => {
    const file = fileOf(
      (writer) => writer.blob(new Uint8Array(100)),
      (writer) => writer.word(7),
    );
    const reader = new RecordReader(recordingOf(file));
    reader.next();
    reader.word();
    assert.equal(reader.next(), KIND.event);
    assert.deepEqual([reader.word(), reader.left], [7, 0]);
  });

  test("a source may give an octet at a time, and records may be long", () => {
    const long = pattern(70_000);
    const file = fileOf(
      (writer) => writer.blob(long),
      (writer) => writer.float(2.5),
    );
    const whole = recordingOf(file);
    const reader = new RecordReader({ read: (target) => whole.read(target.subarray(0, 1)) });
    assert.equal(reader.next(), KIND.event);
    assert.deepEqual(reader.blob(long.length), long);
    assert.equal(reader.next(), KIND.event);
    assert.equal(reader.float(), 2.5);
    assert.equal(reader.next(), KIND.end);
    reader.finish();
  });

  test("a record of the largest size is read", () => {
    const size = RECORD_SIZE_MAX - 4;
    const reader = readerOf((writer) => writer.blob(new Uint8Array(size)));
    assert.equal(reader.blob(size).length, size);
  });

  test("a source is asked for what is wanted and no more", () => {
    const asked: number[] = [];
    const whole = recordingOf(fileOf((writer) => writer.blob(new Uint8Array(96))));
    const reader = new RecordReader({
      read: (target) => {
        asked.push(target.length);
        return whole.read(target);
      },
    });
    reader.next();
    assert.deepEqual(asked, [HEADER_SIZE, 8, 100]);
  });
});

describe("record-reader: records that are shorter than they say", () => {
  const tooShort = /: the recording contradicts itself: a record is shorter than what it holds$/;

  test("a word, a time and octets are refused where they are not there", () => {
    const takes: ((reader: RecordReader) => unknown)[] = [
      (reader) => reader.word(),
      (reader) => reader.integer(),
      (reader) => reader.float(),
      (reader) => reader.blob(100),
    ];
    for (const take of takes) {
      assert.throws(() => take(readerOf(() => {})), tooShort);
    }
    assert.throws(() => readerOf((writer) => writer.word(0)).float(), tooShort);
    assert.throws(() => readerOf((writer) => writer.word(1)).blob(100), tooShort);
    assert.equal(readerOf((writer) => writer.word(0)).blob(0).length, 0);
  });

  test("more octets than can be are refused", () => {
    const reader = readerOf((writer) => writer.blob(new Uint8Array(8)));
    assert.throws(() => reader.blob(7), {
      message: "the recording contradicts itself: 8 octets, at most 7 can be",
      offset: HEADER_SIZE,
    });
    const negative = readerOf((writer) => writer.word(-1));
    assert.throws(() => negative.blob(100), /4294967295 octets, at most 100 can be/);
  });

  test("an error that others have found has the place of the record", () => {
    const { message, offset, name } = readerOf(() => {}).wrong("no");
    assert.equal(message, "the recording contradicts itself: no");
    assert.deepEqual([offset, name], [HEADER_SIZE, "RecordingError"]);
  });
});

describe("record-reader: files that are not whole", () => {
  const file = fileOf(
    (writer) => writer.float(10),
    (writer) => writer.blob(Uint8Array.of(1, 2, 3)),
  );
  const changed = (at: number, to: number): Uint8Array => {
    const other = file.slice();
    other[at] = to;
    return other;
  };

  test("whole, it is read", () => readAll(recordingOf(file)));

  test("cut short after any octet, with the place where it ends", () => {
    for (let length = 0; length < file.length; length += 1) {
      const wanted = length < 8 ? ["it is not a recording", 0] : [SHORT, length];
      assert.deepEqual(refusal(file.subarray(0, length)), wanted);
    }
  });

  test("with any octet changed", () => {
    const known = /damaged|cut short|^refuse a recording|^it is not a recording$/;
    for (let at = 0; at < file.length; at += 1) {
      const [message] = refusal(changed(at, (file[at] ?? 0) ^ 0x40));
      assert.match(message, known, `octet ${at}`);
    }
  });

  test("a length that no record has, or another body, is damage at the record", () => {
    assert.deepEqual(refusal(changed(HEADER_SIZE + 1, 9)), [DAMAGED, HEADER_SIZE]);
    assert.deepEqual(refusal(changed(HEADER_SIZE + 10, 1)), [DAMAGED, HEADER_SIZE]);
    const second = HEADER_SIZE + 16;
    assert.deepEqual(refusal(changed(second + 12, 9)), [DAMAGED, second]);
  });

  test("an octet behind the end", () => {
    const wanted = ["octets follow the end of the recording", file.length];
    assert.deepEqual(refusal(concat(file, Uint8Array.of(0))), wanted);
  });

  test("another format, ABI or layout is named, with what was wanted", () => {
    const format = 'refuse a recording of version "3": wanted "2"';
    assert.deepEqual(refusal(changed(8, 3)), [format, 8]);
    const other = abi.ABI_VERSION + 1;
    const version = `refuse a recording of ABI version "${other}": wanted "${abi.ABI_VERSION}"`;
    assert.deepEqual(refusal(changed(12, other)), [version, 12]);
    const layout = "refuse a recording of an engine with another memory layout";
    assert.deepEqual(refusal(changed(16, 0x2e)), [layout, 16]);
    assert.deepEqual(refusal(changed(31, 0x2e)), [layout, 16]);
    assert.deepEqual(refusal(changed(7, 0x2e)), ["it is not a recording", 0]);
  });

  test("records that change places are damage at the first of them", () => {
    const [one, two, three] = [HEADER_SIZE, HEADER_SIZE + 16, HEADER_SIZE + 32];
    const parts = [file.subarray(0, one), file.subarray(two, three), file.subarray(one, two)];
    assert.deepEqual(refusal(concat(...parts, file.subarray(three))), [DAMAGED, one]);
  });

  test("what the source throws is passed on", () => {
    const source: RecordingSource = {
      read: () => {
        throw new Error("disk gone");
      },
    };
    assert.throws(() => readAll(source), /^Error: disk gone$/);
  });
});
