/** Frames out of a stream: every cut, many at once, bad lengths, the buffer's end. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { FRAME_SIZE_MAX, FrameReader } from "../../src/link/stream-read.ts";
import { EAGAIN } from "../../src/sys/errno.ts";
import { RX_SLOT_COUNT } from "../../wasm/abi.ts";
import { FakeSocket, framed } from "./fake-socket.ts";
import { testFrame } from "./suite.ts";

const SEED = 20251121;
const FD = 9;

/** Reads until nothing is left, `max` frames at a time. */
function readAll(socket: FakeSocket, reader: FrameReader, max = RX_SLOT_COUNT): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (;;) {
    const n = reader.next(socket.memory, max);
    for (let i = 0; i < n; i += 1) frames.push(socket.memory.frame(i));
    if (n === 0 && reader.fill(socket.sys, FD, socket.memory) <= 0) return frames;
  }
}

describe("stream: frames out of octets", () => {
  test("a frame cut at any octet comes out whole", () => {
    const frames = [testFrame(60, 1), testFrame(14, 2), testFrame(61, 3)];
    const stream = frames.map(framed);
    const size = stream.reduce((sum, part) => sum + part.length, 0);
    for (let cut = 1; cut < size; cut += 1) {
      const socket = new FakeSocket();
      const reader = new FrameReader();
      socket.feed(...stream);
      socket.receives.push(cut);
      assert.deepEqual(readAll(socket, reader), frames, `cut at ${cut}`);
      assert.equal(reader.inFrame, false);
    }
  });

  test("octet by octet too", () => {
    const frames = [testFrame(60, 1), testFrame(200, 2)];
    const socket = new FakeSocket();
    socket.feed(...frames.map(framed));
    socket.receives.push(...Array.from({ length: 268 }, () => 1));
    assert.deepEqual(readAll(socket, new FrameReader()), frames);
  });

  test("one receive brings many, handed out as many at a time as asked, where they lie", () => {
    const frames = Array.from({ length: 150 }, (_, i) => testFrame(60 + i, i & 0xff));
    const socket = new FakeSocket();
    const reader = new FrameReader();
    socket.feed(...frames.map(framed));
    assert.ok(reader.fill(socket.sys, FD, socket.memory) > 0);
    assert.equal(socket.inbound.length, 0);
    const got: Uint8Array[] = [];
    for (const [max, expected] of [
      [32, 32],
      [1000, RX_SLOT_COUNT],
      [0, 0],
      [1000, 150 - 32 - RX_SLOT_COUNT],
      [1000, 0],
    ] as const) {
      assert.equal(reader.next(socket.memory, max), expected);
      for (let i = 0; i < expected; i += 1) got.push(socket.memory.frame(i));
    }
    assert.deepEqual(got, frames);
  });

  test("the largest frame passes, and frames beyond the buffer's size", () => {
    const frames = [FRAME_SIZE_MAX, 65_550, 60, 65_534, 65_534].flatMap((size) =>
      Array.from({ length: 4 }, (_, i) => testFrame(size, i)),
    );
    const socket = new FakeSocket();
    const reader = new FrameReader();
    socket.feed(...frames.map(framed));
    const got = readAll(socket, reader, 3);
    assert.equal(got.length, frames.length);
    assert.deepEqual(got, frames);
  });

  /** Where receives go, relative to the first slot, and how much they ask for. */
  function asking(socket: FakeSocket): (readonly number[])[] {
    const asked: (readonly number[])[] = [];
    const { recv } = socket.sys;
    Object.assign(socket.sys, {
      recv: (...args: Parameters<typeof recv>) => {
        asked.push([args[1] - socket.memory.base - socket.memory.rxBuffers, args[2]]);
        return recv(...args);
      },
    });
    return asked;
  }

  test("receives fill 512 KiB, and begin anew in front once all is taken", () => {
    const socket = new FakeSocket();
    const asked = asking(socket);
    const reader = new FrameReader();
    socket.feed(framed(testFrame(60, 1)), framed(testFrame(61, 2)).subarray(0, 30));
    reader.fill(socket.sys, FD, socket.memory);
    reader.next(socket.memory, 8);
    reader.fill(socket.sys, FD, socket.memory);
    socket.feed(framed(testFrame(61, 2)).subarray(30));
    reader.fill(socket.sys, FD, socket.memory);
    assert.equal(reader.next(socket.memory, 8), 1);
    reader.fill(socket.sys, FD, socket.memory);
    assert.deepEqual(asked, [
      [0, 524_288],
      [94, 524_288 - 94],
      [94, 524_288 - 94],
      [0, 524_288],
    ]);
  });

  test("what is there of a frame moves to the front where less than 128 KiB are behind it", () => {
    for (const [end, at] of [
      [524_288 - 131_072, 524_288 - 131_072],
      [524_288 - 131_071, 40],
    ] as const) {
      const socket = new FakeSocket();
      const asked = asking(socket);
      const reader = new FrameReader();
      const last = framed(testFrame(60, 7));
      const first = end - 40 - 6 * (4 + 60_000);
      const sizes = [...Array.from({ length: 6 }, () => 60_000), first - 4];
      socket.feed(...sizes.map((size) => framed(testFrame(size, 1))), last.subarray(0, 40));
      reader.fill(socket.sys, FD, socket.memory);
      assert.equal(reader.next(socket.memory, 64), sizes.length);
      socket.feed(last.subarray(40));
      reader.fill(socket.sys, FD, socket.memory);
      assert.deepEqual(asked.at(-1), [at, 524_288 - at]);
      assert.equal(reader.next(socket.memory, 64), 1);
      assert.deepEqual(socket.memory.frame(0), testFrame(60, 7));
    }
  });

  test("a length that no frame has ends it, behind the frames before", () => {
    for (const length of [0, 1, 13, FRAME_SIZE_MAX + 1, 0x7fffffff, 0xffffffff]) {
      const socket = new FakeSocket();
      const reader = new FrameReader();
      const bad = new Uint8Array(4);
      new DataView(bad.buffer).setUint32(0, length, false);
      socket.feed(framed(testFrame(60, 1)), bad, framed(testFrame(60, 2)));
      reader.fill(socket.sys, FD, socket.memory);
      assert.equal(reader.next(socket.memory, 8), 1);
      assert.deepEqual(socket.memory.frame(0), testFrame(60, 1));
      assert.equal(reader.badLength, length);
      reader.reset();
      assert.equal(reader.badLength, -1);
      assert.equal(reader.next(socket.memory, 8), 0);
    }
  });

  test("a new peer's stream has nothing of the old one's", () => {
    const socket = new FakeSocket();
    const reader = new FrameReader();
    assert.deepEqual([reader.badLength, reader.inFrame], [-1, false]);
    socket.feed(framed(testFrame(62, 3)), framed(testFrame(60, 1)).subarray(0, 30));
    assert.deepEqual(readAll(socket, reader), [testFrame(62, 3)]);
    assert.equal(reader.inFrame, true);
    reader.reset();
    socket.feed(framed(testFrame(61, 2)));
    assert.deepEqual(readAll(socket, reader), [testFrame(61, 2)]);
  });

  test(`any frames in any cuts, taken in any numbers (seed ${SEED})`, () => {
    const sizes = fc.array(
      fc.oneof(fc.integer({ min: 14, max: 1518 }), fc.integer({ min: 14, max: FRAME_SIZE_MAX })),
      { maxLength: 25 },
    );
    const cuts = fc.array(
      fc.oneof(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 300_000 })),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(sizes, cuts, fc.integer({ min: 1, max: 70 }), (lengths, steps, max) => {
        const frames = lengths.map((length, i) => testFrame(length, i));
        const socket = new FakeSocket();
        socket.feed(...frames.map(framed));
        socket.receives.push(...steps);
        const got = readAll(socket, new FrameReader(), max);
        assert.equal(got.length, frames.length);
        got.forEach((frame, i) => {
          assert.ok(Buffer.compare(frame, frames[i] ?? frame) === 0);
        });
      }),
      { seed: SEED, numRuns: 60 },
    );
  });

  test("what the system call says comes through", () => {
    const socket = new FakeSocket();
    const reader = new FrameReader();
    assert.equal(reader.fill(socket.sys, FD, socket.memory), -EAGAIN);
    socket.ended = true;
    assert.equal(reader.fill(socket.sys, FD, socket.memory), 0);
  });
});
