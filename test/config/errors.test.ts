/** Messages of configuration errors. Goal: whatever the value, one line results. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfigError, quote } from "../../src/config/errors.ts";

test("quote escapes quotes, line ends and terminal controls", () => {
  assert.equal(quote('a"b'), '"a\\"b"');
  assert.equal(quote("a\nb"), '"a\\nb"');
  assert.equal(quote("\u009b2J"), '"\\u{9b}2J"');
  assert.equal(quote("a\u2028b"), '"a\\u{2028}b"');
});

test("ConfigError is told from other errors by its name", () => {
  assert.equal(new ConfigError("x").name, "ConfigError");
});
