/** Octets as text and joined, and assertions. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { assert as ensure } from "../../src/lib/assert.ts";
import { concat, toHex } from "../../src/lib/bytes.ts";

describe("bytes", () => {
  test("writes hexadecimal", () => {
    assert.equal(toHex(Uint8Array.from([0, 15, 255])), "000fff");
    assert.equal(toHex(Uint8Array.from([82, 84, 0]), ":"), "52:54:00");
  });

  test("joins", () => {
    const whole = concat(Uint8Array.of(1), new Uint8Array(0), Uint8Array.of(2, 3));
    assert.deepEqual(whole, Uint8Array.of(1, 2, 3));
    assert.deepEqual(concat(), new Uint8Array(0));
  });
});

describe("assert", () => {
  test("passes what holds and names what does not", () => {
    ensure(true, "one is one");
    assert.throws(() => ensure(false, "ring is not empty"), {
      message: "Internal error: ring is not empty",
    });
  });
});
