/** Sockets that wait to be closed; eviction itself is in `datagram.test.ts`. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as abi from "../../../wasm/abi.ts";
import { configure } from "../../support/datagram-module.ts";
import { loadTestModule, VARIANTS } from "../../support/wasm.ts";

for (const variant of VARIANTS) {
  const wasm = loadTestModule("datagram", variant);

  describe(`wasm/flow/evict (${variant})`, () => {
    test("handles wait for room, in order, and are closed once", () => {
      configure(wasm);
      const total = abi.OP_CAPACITY_COUNT + 10;
      for (let i = 1; i <= total; i += 1) assert.ok(wasm.bool("closeLater", i, i % 2));
      assert.ok(!wasm.bool("closeFlush"));
      assert.equal(wasm.i32("operationsFree"), 0);
      assert.equal(wasm.u32("closePending"), 10);
      wasm.run("turn");
      assert.ok(wasm.bool("closeFlush"));
      assert.equal(wasm.i32("operationsFree"), abi.OP_CAPACITY_COUNT - 10);
    });

    test("a full queue takes no more", () => {
      configure(wasm);
      const room = wasm.u32("closeRoom");
      for (let i = 0; i < room; i += 1) wasm.run("closeLater", 0x10000 + i, 0);
      assert.equal(wasm.u32("closeRoom"), 0);
      assert.ok(!wasm.bool("closeLater", 1, 0));
    });
  });
}
