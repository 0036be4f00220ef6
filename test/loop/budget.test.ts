/** What a turn may do, in numbers: those that ARCHITECTURE.md and the measurements are about. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BATCHES_MAX, EVENT_BATCH, FULL_PAUSE_US, GUEST_BATCH } from "../../src/loop/budget.ts";
import { RX_SLOT_COUNT } from "../../wasm/abi.ts";

test("budget: 32 frames at once, 8 times at most, 256 events, a look each 0.1 s when full", () => {
  assert.deepEqual([GUEST_BATCH, BATCHES_MAX, EVENT_BATCH, FULL_PAUSE_US], [32, 8, 256, 100_000]);
  assert.ok(GUEST_BATCH <= RX_SLOT_COUNT, "a batch has slots");
});
