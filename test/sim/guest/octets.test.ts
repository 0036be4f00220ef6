/** The guest's own fields and checksum, against sums worked out one word at a time. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  addSum,
  checksumOf,
  foldSum,
  get16,
  get32,
  sameOctets,
  seqDiff,
  set16,
  set32,
} from "../../../src/lab/sim/guest/octets.ts";
import { Random } from "../../../src/lab/sim/random.ts";

function slowSum(octets: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < octets.length; i += 2) sum += get16(Uint8Array.of(...octets, 0), i);
  while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000);
  return sum;
}

describe("sim/guest/octets", () => {
  test("fields are big-endian and reach the highest values", () => {
    const octets = new Uint8Array(8);
    set32(octets, 1, 0xfedcba98);
    set16(octets, 6, 0xabcd);
    assert.deepEqual([...octets], [0, 0xfe, 0xdc, 0xba, 0x98, 0, 0xab, 0xcd]);
    assert.equal(get32(octets, 1), 0xfedcba98);
    assert.equal(get16(octets, 6), 0xabcd);
  });

  test("the sum is the same wherever the range lies and however long it is", () => {
    const random = new Random(1);
    const octets = Uint8Array.from({ length: 700 }, () => random.below(256));
    for (let i = 0; i < 400; i += 1) {
      const at = random.below(300);
      const length = random.below(400);
      const wanted = slowSum(octets.slice(at, at + length)) % 0xffff;
      assert.equal(foldSum(addSum(octets, at, length, 0)) % 0xffff, wanted, `${at}+${length}`);
    }
  });

  test("carries of a long range full of ones are not lost", () => {
    const octets = new Uint8Array(65_535).fill(0xff);
    assert.equal(foldSum(addSum(octets, 0, 65_534, 0)), 0xffff);
    assert.equal(foldSum(addSum(octets, 1, 65_534, 0)), 0xffff);
  });

  test("a range that carries its checksum sums up to all ones", () => {
    const octets = Uint8Array.of(0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0, 0, 0xc0, 0xa8);
    set16(octets, 10, checksumOf(addSum(octets, 0, octets.length, 0)));
    assert.equal(foldSum(addSum(octets, 0, octets.length, 0)), 0xffff);
  });

  test("sequence numbers are compared around their wrap", () => {
    assert.equal(seqDiff(5, 0xfffffffb), 10);
    assert.equal(seqDiff(0xfffffffb, 5), -10);
    assert.equal(sameOctets(Uint8Array.of(1, 2, 3), Uint8Array.of(1, 2, 4), 2), true);
    assert.equal(sameOctets(Uint8Array.of(1, 2, 3), Uint8Array.of(1, 2, 4), 3), false);
  });
});
