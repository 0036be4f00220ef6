/** Counters: 64 bits each, drops behind statistics, neighbours left alone. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as abi from "../../wasm/abi.ts";
import { configureBase, counter, loadBase } from "../support/base-module.ts";
import { VARIANTS } from "../support/wasm.ts";

for (const variant of VARIANTS) {
  const wasm = loadBase(variant);

  describe(`wasm/stats (${variant})`, () => {
    test("each counter moves alone, drops behind the statistics", () => {
      configureBase(wasm);
      const first = abi.STAT_GUEST_RX_FRAMES;
      const last = abi.STAT_COUNT + abi.DROP_COUNT - 1;
      wasm.run("countOne", first);
      wasm.run("countOne", abi.STAT_COUNT - 1);
      wasm.run("dropOne", abi.DROP_NONE);
      wasm.run("dropMany", abi.DROP_COUNT - 1, 7n);
      const wanted = new Map([
        [first, 1n],
        [abi.STAT_COUNT - 1, 1n],
        [abi.STAT_COUNT, 1n],
        [last, 7n],
      ]);
      for (let i = 0; i <= last; i += 1)
        assert.equal(counter(wasm, i), wanted.get(i) ?? 0n, `${i}`);
    });

    test("counters carry beyond 32 bits and past 2^53", () => {
      configureBase(wasm);
      wasm.run("countMany", abi.STAT_GUEST_RX_BYTES, 0xffffffffn);
      wasm.run("countOne", abi.STAT_GUEST_RX_BYTES);
      assert.equal(counter(wasm, abi.STAT_GUEST_RX_BYTES), 0x1_0000_0000n);
      wasm.run("countMany", abi.STAT_GUEST_RX_BYTES, 2n ** 60n);
      wasm.run("countOne", abi.STAT_GUEST_RX_BYTES);
      assert.equal(counter(wasm, abi.STAT_GUEST_RX_BYTES), 2n ** 60n + 2n ** 32n + 1n);
    });
  });
}
