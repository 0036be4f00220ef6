/** Copies of frames. Goal: the same with and without system calls, and never beyond the ends. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CopyBuffer, type NativeCopy } from "../../src/link/copy-buffer.ts";

const BASE = 0x7f00_0000_0000;
const TARGET = 0x7e00_0000_0000;
const source = Uint8Array.from({ length: 100 }, (_, i) => i);

/** Copies between the two buffers by invented addresses. */
function fakeNative(): NativeCopy {
  let target = new Uint8Array(0);
  return {
    address: (buffer) => {
      target = new Uint8Array(buffer as ArrayBuffer);
      return TARGET;
    },
    memcpy: (to, from, octets) => {
      target.set(source.subarray(from - BASE, from - BASE + octets), to - TARGET);
      return 0;
    },
  };
}

for (const [name, native] of [
  ["without", undefined],
  ["with", fakeNative()],
] as const) {
  describe(`copies ${name} system calls`, () => {
    const memory = { buffer: source.buffer, base: BASE };

    test("bring the octets to their place", () => {
      const buffer = new CopyBuffer(50, native);
      buffer.copy(memory, 10, 20, 30);
      assert.deepEqual(buffer.octets.subarray(30), source.subarray(10, 30));
      assert.ok(buffer.octets.subarray(0, 30).every((octet) => octet === 0));
      assert.equal(buffer.view.getUint16(30), 0x0a0b);
      buffer.copy(memory, 5000, 0, 5000); // nothing
      buffer.copy(memory, 50, 50, 0); // all there is room for, up to the end
      assert.deepEqual(buffer.octets, source.subarray(50));
      buffer.copy(memory, 0, 1, 49);
      assert.equal(buffer.octets[49], 0);
    });

    test("refuse what lies outside of either", () => {
      const buffer = new CopyBuffer(50, native);
      for (const [from, length, at] of [
        [-1, 10, 0],
        [95, 10, 0],
        [0, 10, 45],
        [0, 10, -1],
      ] as const) {
        const message = `cannot copy ${length} octets from ${from} to ${at}`;
        const wanted = native === undefined ? {} : { message };
        assert.throws(() => buffer.copy(memory, from, length, at), {
          name: "RangeError",
          ...wanted,
        });
      }
    });
  });
}
