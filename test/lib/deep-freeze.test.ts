/** Values that nobody can change any more. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { deepFreeze } from "../../src/lib/deep-freeze.ts";

test("everything within is frozen, and the value itself comes back", () => {
  const value = { a: [{ b: 1 }], c: null, d: undefined, e: "text" };
  assert.equal(deepFreeze(value), value);
  assert.ok(Object.isFrozen(value) && Object.isFrozen(value.a) && Object.isFrozen(value.a[0]));
  assert.equal(deepFreeze(7), 7);
  assert.equal(deepFreeze(null), null);
});

test("what is frozen already is left as it is", () => {
  const inner = { n: 1 };
  const value = Object.freeze({ inner });
  assert.ok(!Object.isFrozen(deepFreeze(value).inner));
});
