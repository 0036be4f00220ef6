/** Frames in engine memory: where they lie, how long they are, and what is copied of them. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  type CopyTarget,
  gatherTx,
  iovecBase,
  iovecLength,
  rxLength,
  rxPointer,
  rxSlot,
  txIovecCount,
  txIovecs,
  txSize,
  writeRxDescriptor,
} from "../../src/link/frames.ts";
import * as abi from "../../wasm/abi.ts";
import { testFrame } from "./suite.ts";
import { TestMemory } from "./test-memory.ts";

const PARTS = [testFrame(20, 1), testFrame(30, 2), testFrame(50, 3)];
const WHOLE = PARTS.flatMap((part) => [...part]);

/** Memory whose second frame is of PARTS. */
function memoryWithFrames(): TestMemory {
  const memory = new TestMemory();
  memory.putFrames([[testFrame(60, 9)], PARTS]);
  return memory;
}

/** Collects copies as a list, with the places they go to. */
function gathered(memory: TestMemory, skip: number, limit: number, offset = 0) {
  const octets: number[] = [];
  const target: CopyTarget = {
    copy: ({ buffer }, from, length, at) => {
      assert.equal(at, offset + octets.length);
      octets.push(...new Uint8Array(buffer, from, length));
    },
  };
  return [gatherTx(memory, 1, skip, target, offset, limit), octets] as const;
}

describe("frames: received", () => {
  test("slots follow each other, and descriptors say where a frame lies", () => {
    const memory = new TestMemory();
    assert.equal(rxSlot(memory, 0), memory.rxBuffers);
    assert.equal(rxSlot(memory, 3), memory.rxBuffers + 3 * abi.RX_SLOT_SIZE);
    writeRxDescriptor(memory, 2, 0xf0000010, 77);
    assert.deepEqual([rxPointer(memory, 2), rxLength(memory, 2)], [0xf0000010, 77]);
    assert.deepEqual([rxPointer(memory, 1), rxLength(memory, 3)], [0, 0]);
    const view = new DataView(memory.buffer);
    const at = memory.rxDescriptors + 2 * abi.RX_DESCRIPTOR_SIZE;
    assert.deepEqual([view.getUint32(at, true), view.getUint32(at + 4, true)], [0xf0000010, 77]);
  });
});

describe("frames: to be sent", () => {
  test("records name iovecs, which name parts with whole addresses", () => {
    const memory = memoryWithFrames();
    assert.equal(txIovecCount(memory, 1), 3);
    const second = txIovecs(memory, 1) + abi.IOV_SIZE;
    assert.equal(iovecLength(memory, second), 30);
    const from = iovecBase(memory, second) - memory.base;
    assert.deepEqual(new Uint8Array(memory.buffer, from, 30), PARTS[1]);
    assert.deepEqual([txSize(memory, 0), txSize(memory, 1)], [60, 100]);
  });

  test("a frame is copied whole, from an octet on, up to a limit", () => {
    const memory = memoryWithFrames();
    for (const [skip, limit] of [
      [0, 1000],
      [0, 100],
      [0, 99],
      [12, 1000],
      [20, 30],
      [25, 40],
      [60, 7],
      [99, 1],
    ] as const) {
      const wanted = WHOLE.slice(skip, skip + limit);
      assert.deepEqual(gathered(memory, skip, limit, 5), [wanted.length, wanted]);
    }
    assert.deepEqual(gathered(memory, 100, 10), [0, []]);
    assert.deepEqual(gathered(memory, 500, 10), [0, []]);
    assert.deepEqual(gathered(memory, 0, 0), [0, []]);
  });

  test("a part that does not lie in the memory whole is refused", () => {
    const memory = new TestMemory();
    const end = memory.base + memory.buffer.byteLength;
    const at = (address: number): number => {
      memory.putFrames([[testFrame(60, 9)], [testFrame(60, 1)]]);
      memory.misdirect(1, address);
      return gathered(memory, 0, 60)[0];
    };
    assert.equal(at(end - 60), 60);
    assert.equal(at(end - 59), -1);
    assert.equal(at(memory.base), 60);
    assert.equal(at(memory.base - 1), -1);
  });

  test("beyond the memory all is zero", () => {
    const memory = new TestMemory();
    const far = 1 << 20;
    assert.deepEqual([rxPointer(memory, far), rxLength(memory, far)], [0, 0]);
    assert.deepEqual([txIovecs(memory, far), txIovecCount(memory, far)], [0, 0]);
    const beyond = memory.buffer.byteLength;
    assert.deepEqual([iovecBase(memory, beyond), iovecLength(memory, beyond)], [0, 0]);
  });
});
