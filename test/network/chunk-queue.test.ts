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
