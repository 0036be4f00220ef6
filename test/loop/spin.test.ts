/** When looking again before sleeping pays, by what happened lately. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SPIN, Spin } from "../../src/loop/spin.ts";

const LONG = SPIN + 1;

/** How many quick events it takes until it looks again. */
function warmUp(spin: Spin): number {
  for (let quick = 0; quick < 100; quick += 1) {
    if (spin.budget > 0) return quick;
    spin.waited(SPIN);
  }
  return assert.fail("it never looks again");
}

describe("spin", () => {
  test("a loop that begins or sees only long waits sleeps at once", () => {
    const spin = new Spin();
    assert.equal(spin.budget, 0);
    for (let i = 0; i < 100; i += 1) spin.waited(LONG);
    assert.equal(spin.budget, 0);
  });

  test("some quick events in a row, and it looks for as long as they took at most", () => {
    const spin = new Spin();
    assert.ok(warmUp(spin) > 1, "one is no pattern");
    assert.equal(spin.budget, SPIN);
  });

  test("a few looks in vain end it, however well it went before", () => {
    const spin = new Spin();
    for (let i = 0; i < 10_000; i += 1) spin.waited(0);
    let vain = 0;
    for (; spin.budget > 0; vain += 1) spin.waited(LONG);
    assert.ok(vain <= 4, `${vain} looks`);
  });

  test("events that are quick only now and then do not keep it awake", () => {
    const spin = new Spin();
    for (let i = 0; i < 1000; i += 1) {
      spin.waited(i % 3 === 0 ? LONG : 1);
      assert.equal(spin.budget, 0);
    }
  });
});
