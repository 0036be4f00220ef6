/** Control messages of sendmsg and recvmsg. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { configure } from "../../support/datagram-module.ts";
import { loadTestModule, VARIANTS } from "../../support/wasm.ts";

const SEED = 20250117;

for (const variant of VARIANTS) {
  const wasm = loadTestModule("datagram", variant);

  describe(`wasm/flow/control (${variant})`, () => {
    test("what is appended is found, at the sizes the kernel wants", () => {
      configure(wasm);
      const base = wasm.u32("controlStart");
      wasm.run("append", 17, 103, 1400, 2);
      wasm.run("append", 0, 2, 63, 4);
      wasm.run("append", 0, 1, 0xb8, 4);
      assert.equal(wasm.u32("controlLength"), 72);
      assert.equal(wasm.view.getBigUint64(base, true), 18n);
      assert.equal(wasm.view.getUint16(wasm.u32("find", 72, 17, 103, 2), true), 1400);
      assert.equal(wasm.view.getUint32(wasm.u32("find", 72, 0, 2, 4), true), 63);
      assert.equal(wasm.u32("find", 72, 0, 2, 8), 0, "too short");
      assert.equal(wasm.u32("find", 72, 0, 7, 4), 0, "absent");
      assert.equal(wasm.u32("find", 40, 0, 2, 4), 0, "cut off");
    });

    test("random octets never lead outside", () => {
      configure(wasm);
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 128 }), fc.nat(0xffffffff), (octets, length) => {
          const base = wasm.u32("controlStart");
          wasm.write(base, octets);
          const found = wasm.u32("find", length, 0, 0, 4);
          assert.ok(found === 0 || (found >= base + 16 && found + 4 <= base + 128));
        }),
        { seed: SEED, numRuns: 500 },
      );
    });
  });
}
