/** A ring that grows, against all that was ever put into it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { OctetRing } from "../../../src/lab/sim/guest/octet-ring.ts";
import { Random } from "../../../src/lab/sim/random.ts";
import { pattern } from "./pair.ts";

const START = 0xffff_f000; // wraps soon
const SIZE = 100_000;

describe("sim/guest/octet-ring", () => {
  test("what was put in comes out while it grows, goes round and is read", () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const random = new Random(seed);
      const ring = new OctetRing(SIZE);
      const whole = pattern(1_000_000);
      let oldest = 0;
      let end = 0;
      while (end < whole.length) {
        const count = Math.min(random.skewed(40_000), SIZE - (end - oldest), whole.length - end);
        ring.put((START + oldest) >>> 0, (START + end) >>> 0, whole, end, count);
        end += count;
        const length = random.below(end - oldest + 1);
        const found = new Uint8Array(length + 2);
        ring.copy((START + oldest) >>> 0, length, found, 1);
        assert.deepEqual(
          found.subarray(1, length + 1),
          whole.subarray(oldest, oldest + length),
          `seed ${seed}, octet ${oldest}`,
        );
        oldest += length;
      }
    }
  });

  test("what comes before its time stays where it belongs when the ring grows", () => {
    const ring = new OctetRing(SIZE);
    const whole = pattern(60_000);
    const put = (from: number, count: number): void =>
      ring.put(START, (START + from) >>> 0, whole, from, count);
    put(1500, 400);
    put(59_000, 1000);
    put(0, 1500);
    put(1900, 57_100);
    const found = new Uint8Array(60_000);
    ring.copy(START, found.length, found, 0);
    assert.deepEqual(found, whole);
  });
});
