/** Memory of the modelled guest: who may touch what, across the seam of its two files. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Arena, GuestSpace } from "../../../src/lab/sim/card/guest-space.ts";

const SEAM = 4100;

function space() {
  const faults: string[] = [];
  const own = new GuestSpace(SEAM, true, (text) => faults.push(text));
  const touch = (file: 0 | 1, at: number, length: number, isWrite: boolean): void =>
    own.files[file].check(at, length, isWrite);
  return { own, faults, touch };
}

describe("sim/card: guest memory", () => {
  test("what is lent may be read, in both files, and not written", () => {
    const { own, faults, touch } = space();
    const octets = Uint8Array.of(1, 2, 3, 4);
    own.lend(SEAM - 2, octets);
    assert.deepEqual([...own.files[1].bytes.subarray(0, 2)], [3, 4]);
    touch(0, SEAM - 2, 2, false);
    touch(1, 0, 2, false);
    assert.ok(own.isUnchanged(SEAM - 2, octets));
    assert.deepEqual(faults, []);
    touch(1, 0, 3, false);
    touch(0, SEAM - 2, 1, true);
    assert.deepEqual(faults, [
      "the device reads where no buffer of its is",
      "the device writes where no buffer of its is",
    ]);
    own.files[0].bytes[SEAM - 1] = 9;
    assert.equal(own.isUnchanged(SEAM - 2, octets), false);
  });

  test("what is offered may be written, and what is told of is what was written", () => {
    const { own, faults, touch } = space();
    const pieces = [
      { at: 10, length: 4 },
      { at: 20, length: 6 },
    ];
    for (const piece of pieces) own.offer(piece);
    touch(0, 10, 4, true);
    touch(0, 20, 2, true);
    own.files[0].bytes.set([5, 6], 20);
    assert.deepEqual([...own.written(pieces, 6)], [0, 0, 0, 0, 5, 6]);
    assert.deepEqual(faults, []);
    own.written(pieces, 5);
    own.written(pieces, 7);
    own.written(pieces, 11);
    assert.deepEqual(faults.splice(0), [
      "more is written than is told of",
      "a buffer is not all written",
      "a buffer is not all written",
      "11 octets are told of, in buffers of 10",
    ]);
    for (const piece of pieces) own.takeBack(piece);
    touch(0, 10, 1, true);
    assert.equal(faults.length, 1);
  });

  test("blocks are given out round and round, and never twice", () => {
    const arena = new Arena(100, 50);
    assert.deepEqual([arena.take(20), arena.take(20), arena.take(20)], [100, 120, -1]);
    arena.release(100, 20, false);
    assert.equal(arena.take(20), -1, "one octet tells full from empty");
    assert.equal(arena.take(19), 100);
    arena.release(120, 20, false);
    arena.release(100, 19, true);
    assert.equal(arena.take(50), 100);
    assert.equal(arena.take(1), -1);
  });
});
