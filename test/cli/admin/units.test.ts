/** Numbers as people read them: each unit, and the steps between them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  durationText,
  endText,
  numberText,
  octetsText,
  timeText,
} from "../../../src/cli/admin/units.ts";

const S = 1_000_000;

test("octets", () => {
  const cases = [0, 999, 1000, 1023, 1024, 10 * 1024, 999 * 1024, 1_048_576, 2 ** 40, 2 ** 53];
  assert.deepEqual(cases.map(octetsText), [
    ...["0", "999", "1.0K", "1.0K", "1.0K", "10K", "999K", "1.0M", "1.0T", "8.0P"],
  ]);
});

test("durations", () => {
  const cases = [0, 999, 1500, 12_000, S - 1, 1.5 * S, 9.99 * S, 59.4 * S, 60 * S, 187 * S];
  assert.deepEqual(cases.map(durationText), [
    ...["0us", "999us", "1.5ms", "12ms", "1000ms", "1.5s", "10s", "59s", "1m00s", "3m07s"],
  ]);
  assert.deepEqual([3600 * S, 86_400 * S, 1e6 * S].map(durationText), ["1h00m", "1d00h", "11d13h"]);
});

test("times, numbers and ends", () => {
  assert.equal(timeText(1_700_000_000_123_456n), "2023-11-14T22:13:20.123Z");
  assert.equal(timeText(1e30), "?");
  assert.deepEqual([7, 0.123456, 123456.7].map(numberText), ["7", "0.123", "123000"]);
  assert.equal(endText("192.0.2.1", 80), "192.0.2.1:80");
  assert.equal(endText("2001:db8::1", 80), "[2001:db8::1]:80");
  assert.equal(endText("", 0), "");
});
