/** The payload pool: limits, reuse, limbo, trimming, and a random walk against a model. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import * as abi from "../../wasm/abi.ts";
import { configureBase, loadBase, SMALLEST } from "../support/base-module.ts";
import { type TestModule, VARIANTS } from "../support/wasm.ts";

const SEED = 20250119;

type Step = readonly ["allocate" | "release" | "hold" | "reclaim", number];

const STEP: fc.Arbitrary<Step> = fc.tuple(
  fc.constantFrom("allocate", "allocate", "release", "hold", "reclaim"),
  fc.nat(1000),
);

/** Chunks in use, those in limbo, and those free again, last one first. */
class PoolModel {
  readonly live: number[] = [];
  readonly free: number[] = [];
  limbo: number[] = [];
  fresh = 0;

  get used(): number {
    return this.live.length + this.limbo.length;
  }

  allocate(): number {
    if (this.used >= SMALLEST) return -1;
    const chunk = this.free.pop() ?? this.fresh++;
    this.live.push(chunk);
    return chunk;
  }

  take(index: number): number | undefined {
    return this.live.splice(index % Math.max(this.live.length, 1), 1)[0];
  }
}

function perform(wasm: TestModule, model: PoolModel, [step, number]: Step): void {
  if (step === "allocate") {
    assert.equal(wasm.i32("chunkAllocate", number), model.allocate());
  } else if (step === "reclaim") {
    wasm.run("chunkReclaim");
    model.free.push(...model.limbo.reverse());
    model.limbo = [];
  } else {
    const chunk = model.take(number);
    if (chunk === undefined) return;
    wasm.run("chunkRelease", chunk, step === "hold" ? 1 : 0);
    (step === "hold" ? model.limbo : model.free).push(chunk);
  }
}

for (const variant of VARIANTS) {
  const wasm = loadBase(variant);

  describe(`wasm/memory (${variant})`, () => {
    test("the limit comes from the configuration, within bounds", () => {
      const cases = [
        [0, 16],
        [100, 100],
        [abi.CHUNK_CAPACITY_COUNT, abi.CHUNK_CAPACITY_COUNT],
        [abi.CHUNK_CAPACITY_COUNT + 1, abi.CHUNK_CAPACITY_COUNT],
      ] as const;
      for (const [chunks, wanted] of cases) {
        configureBase(wasm, { chunks });
        assert.equal(wasm.i32("chunksMax"), wanted);
        assert.equal(wasm.i32("chunksFree"), wanted);
      }
    });

    test("a spent pool gives -1 until a chunk comes back", () => {
      configureBase(wasm);
      const chunks = Array.from({ length: SMALLEST }, () => wasm.i32("chunkAllocate", 0));
      assert.equal(new Set(chunks).size, SMALLEST);
      assert.equal(wasm.i32("chunkAllocate", 0), -1);
      wasm.run("chunkRelease", 5, 0);
      assert.equal(wasm.i32("chunkAllocate", 0), 5);
    });

    test("chunks in limbo count as used until all frames have left", () => {
      configureBase(wasm);
      for (let i = 0; i < SMALLEST; i += 1)
        wasm.run("chunkRelease", wasm.i32("chunkAllocate", 0), 1);
      assert.equal(wasm.i32("chunksUsed"), SMALLEST);
      assert.equal(wasm.i32("chunkAllocate", 0), -1);
      wasm.run("chunkReclaim");
      assert.equal(wasm.i32("chunksUsed"), 0);
      const again = Array.from({ length: SMALLEST }, () => wasm.i32("chunkAllocate", 0));
      assert.equal(new Set(again).size, SMALLEST);
    });

    test("a chunk starts empty and alone, and is trimmed from the front", () => {
      configureBase(wasm);
      const chunk = wasm.i32("chunkAllocate", 0xfffffff0);
      const start = wasm.u32("chunkData", chunk);
      assert.equal(wasm.u32("chunkLength", chunk), 0);
      assert.equal(wasm.i32("chunkNext", chunk), -1);
      wasm.run("chunkSetLength", chunk, abi.CHUNK_SIZE);
      wasm.run("chunkTrim", chunk, 0x20);
      assert.equal(wasm.u32("chunkSequence", chunk), 0x10, "sequence numbers wrap");
      assert.equal(wasm.u32("chunkLength", chunk), abi.CHUNK_SIZE - 0x20);
      assert.equal(wasm.u32("chunkData", chunk), start + 0x20);
      wasm.run("chunkRelease", chunk, 0);
      assert.equal(wasm.i32("chunkAllocate", 1), chunk);
      assert.equal(wasm.u32("chunkData", chunk), start);
      assert.equal(wasm.u32("chunkData", wasm.i32("chunkAllocate", 1)), start + abi.CHUNK_SIZE);
    });

    test("addresses for system calls lie above the host base", () => {
      configureBase(wasm, { hostBase: 0x7f12_ffff_f000n });
      assert.equal(wasm.u64("absolute", 0x2000), 0x7f13_0000_1000n);
      configureBase(wasm);
      assert.equal(wasm.u64("absolute", 0x2000), 0x2000n);
    });

    test("any order of taking, giving back, holding and reclaiming", () => {
      fc.assert(
        fc.property(fc.array(STEP, { maxLength: 200, size: "max" }), (steps) => {
          configureBase(wasm);
          const model = new PoolModel();
          for (const step of steps) {
            perform(wasm, model, step);
            assert.equal(wasm.i32("chunksUsed"), model.used);
          }
        }),
        { seed: SEED, numRuns: 200 },
      );
    });
  });
}
