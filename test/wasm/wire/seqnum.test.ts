/** Sequence number arithmetic against exact arithmetic in a window around any number. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { checkProperty, wireModules } from "../../support/wire.ts";

const HALF = 2 ** 31;

/** Start points dense around the wrap and around the sign bit. */
const sequence = fc.oneof(
  fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  fc.integer({ min: -3000, max: 3000 }).map((n) => n >>> 0),
  fc.integer({ min: HALF - 3000, max: HALF + 3000 }),
);
const distance = fc.oneof(
  fc.integer({ min: -(HALF - 1), max: HALF - 1 }),
  fc.integer({ min: -3, max: 3 }),
  fc.constantFrom(-(HALF - 1), HALF - 1),
);

for (const [variant, wire] of wireModules()) {
  describe(`wire/seqnum (${variant})`, () => {
    test("T43: comparisons hold modulo 2^32, across the wrap", () => {
      checkProperty(
        fc.property(sequence, distance, (b, d) => {
          const a = (b + d) >>> 0;
          assert.equal(wire.i32("seqDiff", a, b), d);
          assert.equal(wire.bool("seqLt", a, b), d < 0);
          assert.equal(wire.bool("seqLe", a, b), d <= 0);
          assert.equal(wire.bool("seqGt", a, b), d > 0);
          assert.equal(wire.bool("seqGe", a, b), d >= 0);
          assert.equal(wire.u32("seqMax", a, b), d > 0 ? a : b);
          assert.equal(wire.u32("seqMin", a, b), d < 0 ? a : b);
        }),
        1000,
      );
    });

    test("T43: a window holds its first number, not the one behind its last", () => {
      const size = fc.integer({ min: 0, max: 2 ** 30 });
      checkProperty(
        fc.property(sequence, size, fc.integer({ min: -3, max: 3 }), (start, length, d) => {
          const nearStart = (start + d) >>> 0;
          const nearEnd = (start + length + d) >>> 0;
          const inside = (at: number): boolean => at >= 0 && at < length;
          assert.equal(wire.bool("seqInWindow", nearStart, start, length), inside(d));
          assert.equal(wire.bool("seqInWindow", nearEnd, start, length), inside(length + d));
        }),
        1000,
      );
    });

    test("T43: the wrap, by example", () => {
      assert.ok(wire.bool("seqLt", 0xffffffff, 0));
      assert.ok(wire.bool("seqGt", 0, 0xffffffff));
      assert.equal(wire.i32("seqDiff", 5, 0xfffffffb), 10);
      assert.ok(wire.bool("seqInWindow", 4, 0xfffffff0, 21));
      assert.ok(!wire.bool("seqInWindow", 5, 0xfffffff0, 21));
      assert.ok(!wire.bool("seqInWindow", 7, 7, 0));
    });
  });
}
