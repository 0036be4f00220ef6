/** Flows with news while the link is full: heard once, then quiet, until there is room. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { QuietFlows } from "../../src/upstream/quiet.ts";

test("quiet: a flow is made quiet with its second news, once", () => {
  const flows = new QuietFlows(8);
  const heard = Array.from({ length: 4 }, () => flows.hears(3, 0x10003));
  assert.deepEqual(heard, [false, true, false, false]);
  assert.equal(flows.hears(4, 0x10004), false, "another one has its own first time");
  assert.deepEqual(flows.end(), [0x10003]);
});

test("quiet: each full link begins anew", () => {
  const flows = new QuietFlows(8);
  for (let full = 0; full < 5; full += 1) {
    assert.deepEqual([flows.hears(1, 11), flows.hears(1, 11)], [false, true], `${full}`);
    assert.deepEqual(flows.end(), [11]);
  }
  flows.hears(1, 11);
  assert.deepEqual(flows.end(), [], "heard once is not quiet");
  assert.equal(flows.hears(1, 11), false, "what was heard in another one does not count");
});

test("quiet: a flow that takes the place of another is heard", () => {
  const flows = new QuietFlows(8);
  flows.hears(2, 12);
  flows.forget(2);
  assert.equal(flows.hears(2, 22), false);
  flows.hears(2, 22);
  flows.forget(2);
  assert.deepEqual([flows.hears(2, 32), flows.hears(2, 32)], [false, true]);
  assert.deepEqual(flows.end(), [22, 32]);
});

test("quiet: a slot beyond the table is never quiet", () => {
  const flows = new QuietFlows(1);
  assert.deepEqual([flows.hears(5, 1), flows.hears(5, 1)], [false, false]);
});
