/** The heap of deadlines: order, lazy postponement, and a random walk against a sorted model. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import * as abi from "../../wasm/abi.ts";
import { configureBase, loadBase } from "../support/base-module.ts";
import { type TestModule, VARIANTS } from "../support/wasm.ts";

const SEED = 20250120;
const FLOWS = 40;
const NONE = -1;

/** Starts over with flows 0 to FLOWS-1 and returns their addresses. */
function start(wasm: TestModule): number[] {
  configureBase(wasm, { flows: 64 });
  return Array.from({ length: FLOWS }, (_, i) =>
    wasm.u32("flowAllocate", abi.KIND_UDP, 1, 2, i << 16),
  );
}

/** Every slot whose deadline has come, in the order the heap gives them. */
function popAll(wasm: TestModule, now: number): number[] {
  const slots: number[] = [];
  for (;;) {
    const slot = wasm.i32("timerPop", BigInt(now));
    if (slot === NONE) return slots;
    slots.push(slot);
  }
}

type Step = readonly ["set" | "clear" | "remove" | "advance", number, number];

const STEP: fc.Arbitrary<Step> = fc.tuple(
  fc.constantFrom("set", "set", "set", "clear", "remove", "advance"),
  fc.nat(FLOWS - 1),
  fc.integer({ min: 1, max: 200 }),
);

for (const variant of VARIANTS) {
  const wasm = loadBase(variant);

  describe(`wasm/timer (${variant})`, () => {
    test("nothing is due where nothing was set", () => {
      start(wasm);
      assert.equal(wasm.u64("timerNext"), 0n);
      assert.equal(wasm.i32("timerPop", 2n ** 60n), NONE);
    });

    test("deadlines come in order, each once, equal ones too", () => {
      const flows = start(wasm);
      const deadlines = flows.map((_, i) => 1000 + ((i * 17) % 13));
      flows.forEach((flow, i) => {
        wasm.run("timerSet", flow, i, BigInt(deadlines[i] ?? 0));
      });
      assert.equal(wasm.u64("timerNext"), 1000n);
      assert.deepEqual(popAll(wasm, 999), []);
      const popped = popAll(wasm, 1012);
      assert.equal(new Set(popped).size, FLOWS);
      const found = popped.map((slot) => deadlines[slot] ?? 0);
      assert.deepEqual(
        found,
        found.toSorted((a, b) => a - b),
      );
      assert.equal(wasm.u64("timerNext"), 0n);
    });

    test("postponing leaves the entry, which may wake early but fires at its time", () => {
      const [a = 0, b = 0] = start(wasm);
      wasm.run("timerSet", a, 0, 100n);
      wasm.run("timerSet", b, 1, 150n);
      wasm.run("timerSet", a, 0, 200n);
      assert.equal(wasm.u64("timerNext"), 100n);
      assert.deepEqual(popAll(wasm, 100), []);
      assert.equal(wasm.u64("timerNext"), 150n, "moved when it came up");
      assert.deepEqual(popAll(wasm, 150), [1]);
      assert.deepEqual(popAll(wasm, 199), []);
      assert.deepEqual(popAll(wasm, 200), [0]);
    });

    test("an earlier deadline counts at once, none at all never fires", () => {
      const [a = 0, b = 0] = start(wasm);
      wasm.run("timerSet", a, 0, 500n);
      wasm.run("timerSet", b, 1, 400n);
      wasm.run("timerSet", a, 0, 300n);
      assert.equal(wasm.u64("timerNext"), 300n);
      wasm.run("timerSet", b, 1, 0n);
      assert.deepEqual(popAll(wasm, 1000), [0]);
      assert.ok(!wasm.bool("isTimed", b), "the entry is dropped when it comes up");
      assert.equal(wasm.u64("timerNext"), 0n);
    });

    test("a flow that is released takes its deadline along", () => {
      const [a = 0, b = 0] = start(wasm);
      wasm.run("timerSet", a, 0, 10n);
      wasm.run("timerSet", b, 1, 20n);
      wasm.run("flowRelease", a);
      assert.equal(wasm.u64("timerNext"), 20n);
      wasm.run("timerRemove", b);
      wasm.run("timerRemove", b);
      assert.deepEqual(popAll(wasm, 100), []);
    });

    test("times beyond 2^53 microseconds keep their order", () => {
      const [a = 0, b = 0] = start(wasm);
      wasm.run("timerSet", a, 0, 2n ** 53n + 2n);
      wasm.run("timerSet", b, 1, 2n ** 53n + 1n);
      assert.equal(wasm.u64("timerNext"), 2n ** 53n + 1n);
      assert.equal(wasm.i32("timerPop", 2n ** 53n + 1n), 1);
      assert.equal(wasm.i32("timerPop", 2n ** 53n + 1n), NONE);
    });

    test("any order of setting, clearing, removing and waiting", () => {
      fc.assert(
        fc.property(fc.array(STEP, { maxLength: 150, size: "max" }), (steps) => {
          const flows = start(wasm);
          const model = new Map<number, number>();
          let now = 0;
          for (const [step, slot, ticks] of steps) {
            const flow = flows[slot] ?? 0;
            if (step === "set") {
              model.set(slot, now + ticks);
              wasm.run("timerSet", flow, slot, BigInt(now + ticks));
            } else if (step === "advance") {
              now += ticks;
              const due = [...model].filter(([, at]) => at <= now).map(([each]) => each);
              assert.deepEqual(
                popAll(wasm, now).sort((a, b) => a - b),
                due.sort((a, b) => a - b),
              );
              for (const each of due) model.delete(each);
            } else {
              model.delete(slot);
              if (step === "clear") wasm.run("timerSet", flow, slot, 0n);
              else wasm.run("timerRemove", flow);
            }
            const earliest = Math.min(...model.values());
            const next = Number(wasm.u64("timerNext"));
            if (model.size > 0) assert.ok(next > 0 && next <= earliest, `${next}, ${earliest}`);
          }
        }),
        { seed: SEED, numRuns: 300 },
      );
    });
  });
}
