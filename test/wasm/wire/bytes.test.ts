/** Big-endian access at every alignment and against the end of memory. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { hex } from "../../support/hex.ts";
import { assertEmits, wireModules } from "../../support/wire.ts";

for (const [variant, wire] of wireModules()) {
  describe(`wire/bytes (${variant})`, () => {
    test("loads are big-endian at any alignment", () => {
      const base = wire.u32("scratchBase");
      for (let shift = 0; shift < 8; shift += 1) {
        const p = wire.write(base + shift, hex("fe dc ba 98 76 54"));
        assert.equal(wire.u32("load8", p), 0xfe);
        assert.equal(wire.u32("load16", p), 0xfedc);
        assert.equal(wire.u32("load32", p), 0xfedcba98);
        assert.equal(wire.u64("loadMac", p), 0xfedcba987654n);
      }
    });

    test("loads touch no octet behind the value", () => {
      assert.equal(wire.u32("load8", wire.writeAtEnd(hex("81"))), 0x81);
      assert.equal(wire.u32("load16", wire.writeAtEnd(hex("8182"))), 0x8182);
      assert.equal(wire.u32("load32", wire.writeAtEnd(hex("81828384"))), 0x81828384);
      assert.equal(wire.u64("loadMac", wire.writeAtEnd(hex("818283848586"))), 0x818283848586n);
      assert.throws(() => wire.u32("load16", wire.end - 1), WebAssembly.RuntimeError);
    });

    test("stores are big-endian, ignore higher bits and touch nothing else", () => {
      assertEmits(wire, hex("fe"), (p) => wire.run("store8", p, 0x1fe));
      assertEmits(wire, hex("fe dc"), (p) => wire.run("store16", p, 0x1fedc));
      assertEmits(wire, hex("fe dc ba 98"), (p) => wire.run("store32", p, 0xfedcba98));
      assertEmits(wire, hex("fe dc ba 98 76 54"), (p) => wire.run("storeMac", p, 0x1fedcba987654n));
    });
  });
}
