/** The in-process link: the shared suite, and back-pressure. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { createMemoryLink } from "../../src/lab/sim/memory-link.ts";
import { RX_SLOT_SIZE } from "../../wasm/abi.ts";
import { memoryHarness } from "../link/harness.ts";
import { linkSuite, testFrame } from "../link/suite.ts";
import { TestMemory } from "../link/test-memory.ts";

const SEED = 20251121;

for (const vnetSize of [0, 12] as const) {
  linkSuite({
    name: `memory, header of ${vnetSize}`,
    skip: "",
    async with(run) {
      run(memoryHarness({ vnetSize }));
    },
  });
}

describe("memory link", () => {
  test("takes no more frames than the guest has room for", () => {
    const { link, guest } = createMemoryLink({ queueFrames: 3 });
    const memory = new TestMemory();
    memory.putFrames([1, 2, 3, 4, 5].map((mark) => [testFrame(60, mark)]));
    assert.equal(link.transmit(memory, 0, 5), 3);
    assert.equal(link.transmit(memory, 3, 5), 0);
    assert.equal(guest.pending, 3);
    assert.deepEqual(guest.receive(), testFrame(60, 1));
    assert.equal(link.transmit(memory, 3, 5), 1);
    assert.equal(link.refused, 0);
  });

  test("refuses the guest's frame where the queue is full, in frames or in octets", () => {
    const few = createMemoryLink({ queueFrames: 2 });
    assert.deepEqual(
      [1, 2, 3].map((mark) => few.guest.send(testFrame(60, mark))),
      [true, true, false],
    );
    const small = createMemoryLink({ queueBytes: RX_SLOT_SIZE });
    assert.equal(small.guest.send(testFrame(60_000, 1)), true);
    assert.equal(small.guest.send(testFrame(60_000, 2)), false);
    const memory = new TestMemory();
    assert.equal(small.link.receive(memory, 9), 1);
    assert.equal(small.guest.send(testFrame(60_000, 2)), true);
    assert.throws(() => small.guest.send(new Uint8Array(RX_SLOT_SIZE + 1)), RangeError);
    assert.throws(() => small.guest.send(new Uint8Array(0)), RangeError);
  });

  test("delivers what was sent before the plug was pulled", () => {
    const { link, guest } = createMemoryLink();
    const memory = new TestMemory();
    guest.send(testFrame(60, 1));
    guest.close();
    assert.equal(guest.send(testFrame(60, 2)), false);
    assert.equal(link.receive(memory, 8), 1);
    assert.ok(link.receive(memory, 8) < 0);
  });

  test(`never loses, doubles, reorders or damages a frame (seed ${SEED})`, () => {
    const step = fc.oneof(
      fc.record({ send: fc.integer({ min: 1, max: 30_000 }) }),
      fc.record({ take: fc.integer({ min: 0, max: 5 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { link, guest } = createMemoryLink({ queueFrames: 7, queueBytes: RX_SLOT_SIZE });
        const memory = new TestMemory();
        const waiting: Uint8Array[] = [];
        steps.forEach((each, mark) => {
          if ("send" in each) {
            const frame = new Uint8Array(each.send).fill(mark + 1);
            if (guest.send(frame)) waiting.push(frame);
            else assert.ok(waiting.length > 0);
            return;
          }
          const n = link.receive(memory, each.take);
          assert.equal(n, Math.min(each.take, waiting.length));
          for (let i = 0; i < n; i += 1) assert.deepEqual(memory.frame(i), waiting.shift());
        });
      }),
      { seed: SEED, numRuns: 60 },
    );
  });
});
