/** Octets come out as they went in, however they are cut. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ChunkQueue } from "../../src/network/chunk-queue.ts";

const octets = (...values: number[]): Uint8Array => Uint8Array.from(values);

describe("chunk queue", () => {
  test("fills pieces across chunks, and chunks across pieces", () => {
    const queue = new ChunkQueue();
    for (const chunk of [octets(1, 2, 3), octets(), octets(4), octets(5, 6, 7, 8)]) {
      queue.push(chunk);
    }
    assert.equal(queue.length, 8);
    const pieces = [new Uint8Array(2), new Uint8Array(3)];
    assert.equal(queue.read(pieces), 5);
    assert.deepEqual(pieces, [octets(1, 2), octets(3, 4, 5)]);
    assert.equal(queue.length, 3);
    const rest = new Uint8Array(5);
    assert.equal(queue.read([rest, new Uint8Array(1)]), 3);
    assert.deepEqual([rest, queue.length], [octets(6, 7, 8, 0, 0), 0]);
    assert.equal(queue.read([rest]), 0);
  });

  test("a long list of small chunks is read in any portions", () => {
    const queue = new ChunkQueue();
    const whole = Uint8Array.from({ length: 100_000 }, (_, i) => i * 7);
    for (const octet of whole) queue.push(octets(octet));
    const got: number[] = [];
    for (let size = 1; queue.length > 0; size = (size % 1009) + 1) {
      const piece = new Uint8Array(size);
      const count = queue.read([piece]);
      got.push(...piece.subarray(0, count));
      assert.equal(queue.count, queue.length);
    }
    assert.deepEqual(Uint8Array.from(got), whole);
  });

  test("is empty once it is cleared, in the middle of a chunk, too", () => {
    const queue = new ChunkQueue();
    queue.push(octets(1, 2, 3));
    queue.read([new Uint8Array(1)]);
    queue.clear();
    assert.equal(queue.length, 0);
    queue.push(octets(9));
    const piece = new Uint8Array(2);
    assert.equal(queue.read([piece]), 1);
    assert.deepEqual(piece, octets(9, 0));
  });
});
