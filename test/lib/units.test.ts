/** Numbers for people. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { formatScaled, formatUnit, scaleFor, type Unit } from "../../src/lib/units.ts";

describe("units", () => {
  const cases: readonly (readonly [Unit, number, string])[] = [
    ["rate", 0, "0 bit/s"],
    ["rate", 999, "999 bit/s"],
    ["rate", 1_500_000, "1.50 Mbit/s"],
    ["rate", 12_340_000_000, "12.3 Gbit/s"],
    ["octets", 1023, "1,023 B"],
    ["octets", 65_536, "64 KiB"],
    ["octets", 20_000_000, "19.1 MiB"],
    ["duration", 250, "250 µs"],
    ["duration", 36_819, "36.8 ms"],
    ["duration", 309_024_000, "309 s"],
    ["count", 1_234_567, "1,234,567"],
    ["count", -1200, "-1,200"],
  ];
  for (const [unit, value, text] of cases) {
    test(`${value} as ${unit}`, () => assert.equal(formatUnit(unit, value), text));
  }

  test("an axis has one unit for all its numbers", () => {
    const scale = scaleFor("octets", 48 * 1024);
    assert.deepEqual(
      [0, 16_384, 49_152].map((value) => formatScaled(value, scale)),
      ["0", "16", "48"],
    );
    assert.equal(scale.suffix, "KiB");
  });
});
