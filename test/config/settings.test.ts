/**
 * The readers all options share. Goal: the last value counts, absent is absent, and a message names
 * the place the text came from.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ConfigError } from "../../src/config/errors.ts";
import {
  integerBetween,
  oneOf,
  readFlag,
  readMany,
  readOne,
  type Setting,
} from "../../src/config/settings.ts";

function settings(values: readonly string[], origin = "--n"): Map<string, Setting> {
  return new Map([["n", { values, origin }]]);
}

describe("integerBetween", () => {
  const parse = integerBetween(5, 10);

  test("takes both bounds", () => {
    assert.equal(parse("5"), 5);
    assert.equal(parse("10"), 10);
  });

  test("refuses everything but decimal digits in range", () => {
    for (const text of ["4", "11", "", " 5", "5.0", "0x6", "-6", "1e1", "six", "9".repeat(30)]) {
      assert.throws(() => parse(text), { message: "wanted an integer from 5 to 10" }, text);
    }
  });
});

test("oneOf names its words", () => {
  assert.equal(oneOf(["a", "b"])("b"), "b");
  assert.throws(() => oneOf(["a", "b"])("c"), { message: 'wanted one of "a", "b"' });
});

test("readOne takes the last value, or the fallback", () => {
  assert.equal(readOne(settings(["6", "7"]), "n", 0, Number), 7);
  assert.equal(readOne(settings([]), "n", 0, Number), 0);
  assert.equal(readOne(new Map(), "n", 0, Number), 0);
});

test("readMany keeps the order", () => {
  assert.deepEqual(readMany(settings(["2", "1"]), "n", Number), [2, 1]);
  assert.deepEqual(readMany(new Map(), "n", Number), []);
});

test("a message names the origin and the value", () => {
  const given = settings(["x"], "SLIRP_N");
  const message = 'parse SLIRP_N "x": wanted an integer from 0 to 1';
  assert.throws(() => readOne(given, "n", 0, integerBetween(0, 1)), { message });
  assert.throws(() => readMany(given, "n", integerBetween(0, 1)), ConfigError);
});

test("an error that is no ConfigError passes unchanged", () => {
  const bug = new TypeError("bug");
  const parse = (): never => {
    throw bug;
  };
  assert.throws(() => readOne(settings(["x"]), "n", 0, parse), bug);
});

test("readFlag is on only for true", () => {
  assert.equal(readFlag(settings(["true"]), "n"), true);
  assert.equal(readFlag(settings(["false"]), "n"), false);
  assert.equal(readFlag(new Map(), "n"), false);
});
