/** QEMU's framing at the guest's end, cut anywhere. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FrameReader, framed } from "../../src/lab/demo/frames.ts";

const FRAMES = [1, 60, 1514, 65_534].map((size, i) => new Uint8Array(size).fill(i + 1));
const STREAM = Buffer.concat(FRAMES.map(framed));

function read(chunks: readonly Uint8Array[]): Uint8Array[] {
  const reader = new FrameReader();
  const found: Uint8Array[] = [];
  for (const chunk of chunks) reader.push(chunk, (frame) => found.push(new Uint8Array(frame)));
  return found;
}

describe("frames on a stream", () => {
  test("have their length in front", () => {
    assert.deepEqual([...framed(Uint8Array.of(9, 8))], [0, 0, 0, 2, 9, 8]);
  });

  test("are put together whatever the pieces", () => {
    assert.deepEqual(read([STREAM]), FRAMES);
    for (const size of [1, 3, 1000, 65_000]) {
      const count = Math.ceil(STREAM.length / size);
      const pieces = Array.from({ length: count }, (_, i) =>
        STREAM.subarray(i * size, (i + 1) * size),
      );
      if (size > 1) assert.deepEqual(read(pieces), FRAMES);
      else assert.deepEqual(read(pieces.slice(0, 69)), FRAMES.slice(0, 2));
    }
  });

  test("of a length that none has are refused", () => {
    for (const length of [0, 68_001, 0xffff_ffff]) {
      const octets = new Uint8Array(4);
      new DataView(octets.buffer).setUint32(0, length);
      assert.throws(() => read([octets]), RangeError, `${length}`);
    }
  });
});
