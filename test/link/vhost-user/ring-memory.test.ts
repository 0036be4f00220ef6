/** Fields of a ring: each at its place, in both kinds of memory; and the fences between threads. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import {
  isAligned,
  openRingMemory,
  type RingMemory,
  ringSizes,
} from "../../../src/link/vhost-user/ring-memory.ts";
import { systemTest } from "../../sys/support.ts";
import { fenceSize, meet, missed } from "./fence.ts";
import { GuestRam } from "./guest-ram.ts";

const SIZE = 4;
const [DESCRIPTORS, AVAILABLE, USED] = [0x100, 0x200, 0x300];
const ROUNDS = 60_000;

describe("ring memory", () => {
  systemTest("every field is where virtio has it, whether it is mapped or copied", [], (sys) => {
    using ram = new GuestRam(sys, true, 4096);
    const { view } = ram;
    const start = sys.address(ram.bytes);
    for (const canShrink of [false, true]) {
      ram.bytes.fill(0);
      const place = (at: number) => ({ address: start + at, canShrink });
      const places = {
        descriptors: place(DESCRIPTORS),
        available: place(AVAILABLE),
        used: place(USED),
      };
      const ring: RingMemory = openRingMemory(sys, places, SIZE, true);
      for (let word = 0; word < 4; word += 1) {
        view.setUint32(DESCRIPTORS + 3 * 16 + word * 4, 0xfffffff0 + word, true);
        assert.equal(ring.descriptor(3, word), 0xfffffff0 + word);
      }
      view.setUint16(AVAILABLE, 0xfff1, true);
      view.setUint16(AVAILABLE + 2, 0xfff2, true);
      view.setUint16(AVAILABLE + 4 + 3 * 2, 0xfff3, true);
      view.setUint16(AVAILABLE + 4 + SIZE * 2, 0xfff4, true);
      view.setUint16(USED + 2, 0xfff5, true);
      assert.deepEqual(
        [ring.availableFlags(), ring.availableIndex(), ring.head(3)],
        [0xfff1, 0xfff2, 0xfff3],
      );
      assert.deepEqual([ring.usedEvent(), ring.usedIndex()], [0xfff4, 0xfff5]);
      ring.setUsedFlags(0xffe1);
      ring.setUsedIndex(0xffe2);
      ring.setUsed(3, 0xffffffe3, 0xffffffe4);
      ring.setAvailableEvent(0xffe5);
      assert.equal(view.getUint16(USED, true), 0xffe1);
      assert.equal(view.getUint16(USED + 2, true), 0xffe2);
      assert.equal(view.getUint32(USED + 4 + 3 * 8, true), 0xffffffe3);
      assert.equal(view.getUint32(USED + 8 + 3 * 8, true), 0xffffffe4);
      assert.equal(view.getUint16(USED + 4 + SIZE * 8, true), 0xffe5);
      assert.equal(ring.hasFailed, false);
    }
  });

  systemTest("sizes and alignment", [], () => {
    assert.deepEqual(ringSizes(256, true), { descriptors: 4096, available: 518, used: 2054 });
    assert.deepEqual(ringSizes(1, false), { descriptors: 16, available: 6, used: 12 });
    const at = (descriptors: number, available: number, used: number) =>
      isAligned({
        descriptors: { address: descriptors, canShrink: false },
        available: { address: available, canShrink: false },
        used: { address: used, canShrink: false },
      });
    assert.equal(at(16, 2, 4), true);
    assert.deepEqual([at(8, 2, 4), at(16, 1, 4), at(16, 2, 2)], [false, false, false]);
  });

  systemTest(
    "a store is seen before what is loaded after it, by another thread too",
    [],
    async (sys) => {
      using ram = new GuestRam(sys, true, fenceSize(ROUNDS));
      const worker = new Worker(new URL("./fence-worker.ts", import.meta.url), { type: "module" });
      const done = new Promise((resolve, reject) => {
        worker.onmessage = resolve;
        worker.onerror = reject;
      });
      worker.postMessage({ fd: ram.fd, rounds: ROUNDS });
      const memory = ram.bytes.buffer as ArrayBuffer;
      meet(sys, memory, 0, ROUNDS);
      await done;
      worker.terminate();
      assert.equal(missed(memory, ROUNDS), 0);
    },
  );
});
