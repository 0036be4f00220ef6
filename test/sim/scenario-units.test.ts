/** Values of scenario files: what people write, and what becomes of it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as v from "valibot";
import {
  count,
  duration,
  part,
  rate,
  share,
  size,
  text,
  word,
} from "../../src/lab/sim/scenario-units.ts";

const TIME = duration(0, 60_000_000);
const SIZE = size(0, 64_000_000);
const RATE = rate(1000, 1_250_000_000);

type Row = readonly [string, v.GenericSchema<unknown>, unknown, unknown];

const TAKEN: readonly Row[] = [
  ["time", TIME, "100 ms", 100_000],
  ["time without a space", TIME, "1.5s", 1_500_000],
  ["time", TIME, "1 min", 60_000_000],
  ["time", TIME, "250 us", 250],
  ["no time needs no unit", TIME, 0, 0],
  ["size", SIZE, "20 MB", 20_000_000],
  ["size", SIZE, "64 KiB", 65_536],
  ["octets", SIZE, 1400, 1400],
  ["octets", SIZE, "7 B", 7],
  ["rate", RATE, "10 Mbit/s", 1_250_000],
  ["rate", RATE, "2 MB/s", 2_000_000],
  ["no limit", RATE, "unlimited", 0],
  ["share", share(), "1 %", 10_000],
  ["share", share(), "0.05%", 500],
  ["share", share(), 0, 0],
  ["count", count(1, 5), 5, 5],
  ["part", part(), "99.5 %", { perMillion: 995_000 }],
  ["part", part(), 20, { count: 20 }],
  ["word", word("a", "b"), "b", "b"],
  ["text", text(3), "abc", "abc"],
];

const REFUSED: readonly (readonly [string, v.GenericSchema<unknown>, unknown])[] = [
  ["time without unit", TIME, 100],
  ["time of another kind", TIME, "5 MB"],
  ["time beyond the most", TIME, "61 s"],
  ["negative time", TIME, "-1 s"],
  ["a unit of objects", TIME, "1 toString"],
  ["a list", TIME, [1]],
  ["fraction of an octet", SIZE, 1.5],
  ["size beyond the most", SIZE, "1000 MiB"],
  ["rate below the least", RATE, "1 kbit/s"],
  ["rate without unit", RATE, 1000],
  ["share beyond all", share(), "101 %"],
  ["share as a number", share(), 0.5],
  ["fraction", count(1, 5), 1.5],
  ["infinity", count(1, 5), Number.POSITIVE_INFINITY],
  ["text for a number", count(1, 5), "5"],
  ["part beyond all", part(), "120 %"],
  ["negative part", part(), -1],
  ["another word", word("a", "b"), "c"],
  ["empty text", text(3), ""],
  ["long text", text(3), "abcd"],
];

describe("sim/scenario-units", () => {
  for (const [what, schema, input, output] of TAKEN) {
    test(`${what}: ${JSON.stringify(input)}`, () => {
      assert.deepEqual(v.parse(schema, input), output);
    });
  }
  for (const [what, schema, input] of REFUSED) {
    test(`refused, ${what}: ${JSON.stringify(input)}`, () => {
      const { success, issues } = v.safeParse(schema, input);
      assert.equal(success, false);
      assert.match(issues?.[0]?.message ?? "", /^wanted /);
    });
  }
});
