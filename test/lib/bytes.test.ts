/** Octets and assertions. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { assert as ensure, unreachable } from "../../src/lib/assert.ts";
import { concat, equals, fromHex, readU8, readU16, readU32, toHex } from "../../src/lib/bytes.ts";

const SEED = 4711;

describe("bytes", () => {
  test("writes and reads hexadecimal", () => {
    assert.equal(toHex(Uint8Array.from([0, 15, 255])), "000fff");
    assert.equal(toHex(Uint8Array.from([82, 84, 0]), ":"), "52:54:00");
    assert.deepEqual(fromHex("52:54:00 Ff\n01"), Uint8Array.from([82, 84, 0, 255, 1]));
    for (const text of ["f", "0x10", "zz", "1 g"]) assert.throws(() => fromHex(text), RangeError);
  });

  test(`hexadecimal comes back as it was (seed ${SEED})`, () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => equals(fromHex(toHex(bytes, " ")), bytes)),
      { seed: SEED },
    );
  });

  test("joins and compares", () => {
    const whole = concat(Uint8Array.of(1), new Uint8Array(0), Uint8Array.of(2, 3));
    assert.deepEqual(whole, Uint8Array.of(1, 2, 3));
    assert.deepEqual(concat(), new Uint8Array(0));
    assert.equal(equals(whole, Uint8Array.of(1, 2, 3)), true);
    assert.equal(equals(whole, Uint8Array.of(1, 2)), false);
    assert.equal(equals(whole, Uint8Array.of(1, 2, 4)), false);
  });

  test("reads big-endian fields, and only inside the octets", () => {
    const bytes = Uint8Array.of(0xff, 0xfe, 0xfd, 0xfc, 1);
    assert.equal(readU8(bytes, 4), 1);
    assert.equal(readU16(bytes, 1), 0xfefd);
    assert.equal(readU32(bytes, 0), 0xfffefdfc);
    assert.throws(() => readU8(bytes, 5), RangeError);
    assert.throws(() => readU8(bytes, -1), RangeError);
    assert.throws(() => readU16(bytes, 4), RangeError);
    assert.throws(() => readU32(bytes, 2), RangeError);
  });
});

describe("assert", () => {
  test("passes what holds and names what does not", () => {
    ensure(true, "one is one");
    assert.throws(() => ensure(false, "ring is not empty"), {
      message: "Internal error: ring is not empty",
    });
    assert.throws(() => unreachable("purple" as never), {
      message: 'Internal error: unexpected "purple"',
    });
  });
});
