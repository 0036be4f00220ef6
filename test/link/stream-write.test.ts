/** Frames into a stream: every cut, many at once, what no peer would have, errors. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { FRAME_SIZE_MAX } from "../../src/link/stream-read.ts";
import { FrameWriter } from "../../src/link/stream-write.ts";
import { EAGAIN, EINTR, ENOBUFS, EPIPE } from "../../src/sys/errno.ts";
import { FakeSocket, framed, unframed } from "./fake-socket.ts";
import { testFrame } from "./suite.ts";

const SEED = 20251121;
const FD = 9;

function writerOf(socket: FakeSocket, parts: readonly (readonly Uint8Array[])[]): FrameWriter {
  socket.memory.putFrames(parts);
  return new FrameWriter(socket.sys);
}

/** Offers frames as the loop does: what was not taken again, until all are. */
function writeAll(socket: FakeSocket, writer: FrameWriter, count: number, first = 0): void {
  for (let next = first; next < count; ) {
    const n = writer.write(FD, socket.memory, next, count);
    assert.ok(n >= 0, `errno ${n}`);
    next += n;
  }
}

describe("stream: frames into octets", () => {
  test("many frames of several parts go out by one call", () => {
    const frames = [testFrame(60, 1), testFrame(1514, 2), testFrame(65_550, 3), testFrame(14, 4)];
    const socket = new FakeSocket();
    const writer = writerOf(
      socket,
      frames.map((frame) => [frame.subarray(0, 14), frame.subarray(14, 40), frame.subarray(40)]),
    );
    assert.equal(writer.write(FD, socket.memory, 0, 4), 4);
    assert.equal(socket.outbound.length, 1);
    assert.deepEqual(unframed(socket.sent), { frames, rest: 0 });
  });

  test("a frame cut at any octet is finished before anything else", () => {
    const frames = [testFrame(30, 1), testFrame(25, 2), testFrame(40, 3)];
    const stream = Uint8Array.from(Buffer.concat(frames.map(framed)));
    for (let cut = 1; cut < stream.length; cut += 1) {
      for (const second of [1, 3, 5, 29, 1000]) {
        const socket = new FakeSocket();
        const writer = writerOf(
          socket,
          frames.map((frame) => [frame.subarray(0, 14), frame.subarray(14)]),
        );
        socket.sends.push(cut, -EAGAIN, second, -EINTR);
        writeAll(socket, writer, 3);
        assert.deepEqual(socket.sent, stream, `cut at ${cut}, then ${second}`);
        assert.equal(writer.inFrame, false);
      }
    }
  });

  test("a frame that is out in part counts as not taken", () => {
    const socket = new FakeSocket();
    const writer = writerOf(socket, [[testFrame(60, 1)], [testFrame(60, 2)], [testFrame(60, 3)]]);
    socket.sends.push(64 + 2);
    assert.equal(writer.write(FD, socket.memory, 0, 3), 1);
    assert.equal(writer.inFrame, true);
    socket.sends.push(-EAGAIN);
    assert.equal(writer.write(FD, socket.memory, 1, 3), 0);
    assert.equal(writer.write(FD, socket.memory, 1, 3), 2);
    assert.equal(unframed(socket.sent).frames.length, 3);
  });

  test("a new peer gets frames from their beginning", () => {
    const socket = new FakeSocket();
    const writer = writerOf(socket, [[testFrame(60, 1)]]);
    socket.sends.push(10);
    assert.equal(writer.write(FD, socket.memory, 0, 1), 0);
    socket.outbound.length = 0;
    writer.reset();
    assert.equal(writer.write(FD, socket.memory, 0, 1), 1);
    assert.deepEqual(unframed(socket.sent).frames, [testFrame(60, 1)]);
  });

  test("more frames than fit into one call take several", () => {
    const socket = new FakeSocket();
    const frames = Array.from({ length: 64 }, (_, i) => testFrame(100, i));
    const writer = writerOf(
      socket,
      frames.map((frame) => [frame]),
    );
    for (let round = 0; round < 20; round += 1) writeAll(socket, writer, 64);
    assert.equal(unframed(socket.sent).frames.length, 64 * 20);
  });

  test("what no peer would have is passed over and counted once, cuts or not", () => {
    const good = [testFrame(64, 1), testFrame(65, 2)];
    for (const cut of [1000, 68, 10, 70]) {
      const socket = new FakeSocket();
      const [one, two] = good;
      assert.ok(one !== undefined && two !== undefined);
      const writer = writerOf(socket, [
        [new Uint8Array(13)],
        [one],
        [new Uint8Array(0)],
        [new Uint8Array(FRAME_SIZE_MAX + 1)],
        [testFrame(64, 9)],
        [two],
      ]);
      socket.memory.misdirect(4, 16);
      socket.sends.push(cut, -EAGAIN);
      writeAll(socket, writer, 6);
      assert.deepEqual(unframed(socket.sent), { frames: good, rest: 0 });
      assert.equal(writer.refused, 4);
    }
  });

  test("the shortest and the longest frame go out", () => {
    const frames = [testFrame(14, 1), testFrame(FRAME_SIZE_MAX, 2)];
    const socket = new FakeSocket();
    const writer = writerOf(
      socket,
      frames.map((frame) => [frame]),
    );
    assert.equal(writer.write(FD, socket.memory, 0, 2), 2);
    assert.deepEqual(unframed(socket.sent), { frames, rest: 0 });
  });

  test("nothing but such frames makes no call", () => {
    const socket = new FakeSocket();
    const writer = writerOf(socket, [[new Uint8Array(3)], [new Uint8Array(5)]]);
    assert.equal(writer.write(FD, socket.memory, 0, 2), 2);
    assert.equal(socket.outbound.length, 0);
    assert.equal(writer.refused, 2);
  });

  test("an error is told once what went before is", () => {
    const socket = new FakeSocket();
    const frames = Array.from({ length: 2 }, (_, i) => [testFrame(60, i)]);
    const writer = writerOf(socket, frames);
    socket.sends.push(-EINTR, -EPIPE);
    assert.equal(writer.write(FD, socket.memory, 0, 2), -EPIPE);
    socket.sends.push(-ENOBUFS, 64, -EPIPE);
    assert.equal(writer.write(FD, socket.memory, 0, 2), 0, "as if it were full");
    assert.equal(writer.write(FD, socket.memory, 0, 2), 1);
    assert.equal(writer.write(FD, socket.memory, 1, 2), -EPIPE);
  });

  test("a call takes 256 frames, or 1024 pieces with the lengths", () => {
    for (const [parts, count, calls] of [
      [1, 300, [256, 44]],
      [3, 512, [256, 256]],
      [4, 300, [204, 96]],
    ] as const) {
      const frame = Array.from({ length: parts }, (_, i) => testFrame(15, i));
      const socket = new FakeSocket();
      const writer = writerOf(
        socket,
        Array.from({ length: count }, () => frame),
      );
      assert.equal(writer.write(FD, socket.memory, 0, count), count);
      const taken = socket.outbound.map((octets) => unframed(octets).frames.length);
      assert.deepEqual(taken, calls);
    }
  });

  test("a frame of 1023 parts goes out, one of more is refused", () => {
    for (const [parts, refused] of [
      [1023, 0],
      [1024, 1],
    ] as const) {
      const frame = testFrame(parts, 1);
      const socket = new FakeSocket();
      const writer = writerOf(socket, [Array.from(frame, (octet) => Uint8Array.of(octet))]);
      assert.equal(writer.write(FD, socket.memory, 0, 1), 1);
      assert.deepEqual([writer.refused, socket.outbound.length], [refused, 1 - refused]);
    }
  });

  test("an error of a later call tells how many frames went before it", () => {
    const socket = new FakeSocket();
    const writer = writerOf(
      socket,
      Array.from({ length: 300 }, (_, i) => [testFrame(15, i & 0xff)]),
    );
    socket.sends.push(100_000, -EPIPE, -EPIPE);
    assert.equal(writer.write(FD, socket.memory, 1, 300), 256);
    assert.equal(writer.write(FD, socket.memory, 257, 300), -EPIPE);
    assert.equal(writer.write(FD, socket.memory, 257, 300), 43);
  });

  test(`any frames in any cuts (seed ${SEED})`, () => {
    const sizes = fc.array(fc.integer({ min: 14, max: 20_000 }), { minLength: 1, maxLength: 40 });
    const steps = fc.array(
      fc.oneof(
        fc.constantFrom(-EAGAIN, -EINTR),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 200_000 }),
      ),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(sizes, steps, fc.integer({ min: 0, max: 100 }), (lengths, script, cut) => {
        const frames = lengths.map((length, i) => testFrame(length, i));
        const socket = new FakeSocket();
        const writer = writerOf(
          socket,
          frames.map((frame) => [frame.subarray(0, cut), frame.subarray(cut)]),
        );
        socket.sends.push(...script);
        writeAll(socket, writer, frames.length);
        const got = unframed(socket.sent);
        assert.equal(got.rest, 0);
        assert.equal(got.frames.length, frames.length);
        got.frames.forEach((frame, i) => {
          assert.ok(Buffer.compare(frame, frames[i] ?? frame) === 0);
        });
        assert.equal(writer.refused, 0);
      }),
      { seed: SEED, numRuns: 60 },
    );
  });
});
