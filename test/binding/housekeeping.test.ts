/** Several kinds of housekeeping as one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { together } from "../../src/binding/housekeeping.ts";
import { EngineWorld } from "../support/engine-harness.ts";

test("the shortest wait counts, and all of them hear of everything", () => {
  const notes: string[] = [];
  const part = (name: string, wait: number | undefined) => ({
    wait: () => wait,
    poll: () => void notes.push(`poll ${name}`),
    notice: () => void notes.push(`notice ${name}`),
  });
  const silent = { wait: () => undefined, poll: () => void notes.push("poll silent") };
  assert.equal(together(silent, part("a", undefined)).wait(0), undefined);
  const all = together(part("a", 300), silent, part("b", 200));
  assert.equal(all.wait(0), 200);
  all.notice?.();
  all.poll(new EngineWorld().engine, 0);
  assert.deepEqual(notes, ["notice a", "notice b", "poll a", "poll silent", "poll b"]);
});
