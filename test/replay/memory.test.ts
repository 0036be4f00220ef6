/** What of engine memory a recording believes: counts, pointers and lengths may be anything. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EngineMemory, OP_WORDS } from "../../src/replay/memory.ts";
import * as abi from "../../wasm/abi.ts";
import { FakeEngine, pattern } from "./fake-engine.ts";

/** Above 2^32: both words of an address count. */
const BASE = 5 * 2 ** 32 + 0x1000;
const IOVECS_MAX = 1024;

describe("memory: regions", () => {
  const engine = new FakeEngine(BASE);
  const { memory, module } = engine;

  test("links get the places that the engine names", () => {
    const base = (region: number): number => module.regions[region]?.base ?? -1;
    assert.deepEqual(
      { ...memory.link, buffer: 0, u32: 0 },
      {
        buffer: 0,
        u32: 0,
        base: BASE,
        rxDescriptors: base(abi.REGION_RX_DESCRIPTORS),
        rxBuffers: base(abi.REGION_RX_BUFFERS),
        txRecords: base(abi.REGION_TX_RECORDS),
      },
    );
    assert.equal(memory.link.buffer, module.memory.buffer);
    assert.equal(memory.link.u32, memory.words);
    assert.equal(memory.base(abi.REGION_OPS), base(abi.REGION_OPS));
    assert.equal(memory.base(abi.REGION_COUNT), 0);
    assert.equal(OP_WORDS, 8);
  });

  test("CONFIG is a window on the memory, whole and no more", () => {
    assert.equal(memory.config.length, abi.CONFIG_SIZE);
    assert.equal(memory.config.byteOffset, memory.base(abi.REGION_CONFIG));
  });

  test("the place of the memory is read when it is asked to, not before", () => {
    const other = new FakeEngine(0);
    other.setConfig(abi.CONFIG_HOST_BASE_LO_OFFSET, 0xfffff000);
    other.setConfig(abi.CONFIG_HOST_BASE_HI_OFFSET, 3);
    assert.equal(other.memory.link.base, 0);
    other.memory.locate();
    assert.equal(other.memory.link.base, 3 * 2 ** 32 + 0xfffff000);
    assert.equal(other.memory.link.txRecords, other.memory.base(abi.REGION_TX_RECORDS));
  });

  test("counts of frames and operations are bounded by what the lists hold", () => {
    const other = new FakeEngine();
    const control = other.memory.base(abi.REGION_CONTROL);
    const counts = (frames: number, operations: number): readonly number[] => {
      other.memory.setField(control, abi.CONTROL_TX_COUNT_OFFSET, frames);
      other.memory.setField(control, abi.CONTROL_OP_COUNT_OFFSET, operations);
      return [other.memory.frameCount, other.memory.operationCount];
    };
    assert.deepEqual(counts(3, 4), [3, 4]);
    assert.deepEqual(counts(512, 256), [512, 256]);
    assert.deepEqual(counts(513, 257), [512, 256]);
    assert.deepEqual(counts(0xffffffff, 0xffffffff), [512, 256]);
  });

  test("operations begin at the word that the engine says", () => {
    assert.equal(memory.operations, memory.base(abi.REGION_OPS) >> 2);
    memory.setField(memory.base(abi.REGION_CONTROL), abi.CONTROL_OP_BASE_OFFSET, 400);
    assert.equal(memory.operations, 100);
  });

  test("a memory that threads share is refused", () => {
    const shared = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    assert.throws(() => new EngineMemory({ ...module, memory: shared }), {
      name: "TypeError",
      message: "the engine's memory is shared",
    });
  });
});

describe("memory: pointers", () => {
  const engine = new FakeEngine(BASE);
  const { memory } = engine;
  const record = engine.take(64);
  const end = memory.octets.length;
  const offsetOf = (to: number, length: number): number => {
    engine.point(record + 8, to);
    return memory.offsetOf(record, 8, length);
  };

  test("what lies in the memory whole is found, down to the last octet", () => {
    assert.equal(offsetOf(4096, 100), 4096);
    assert.equal(offsetOf(end - 100, 100), end - 100);
    assert.equal(offsetOf(end, 0), end);
    assert.equal(offsetOf(1, 1), 1);
  });

  test("what does not, counts as empty", () => {
    assert.equal(offsetOf(end - 100, 101), 0);
    assert.equal(offsetOf(end + 1, 0), 0);
    assert.equal(offsetOf(-8, 4), 0);
    assert.equal(offsetOf(0, 4), 0);
    memory.words[(record + 8) >> 2] = 4096; // low word of an address, and none above it
    memory.words[(record + 12) >> 2] = 0;
    assert.equal(memory.offsetOf(record, 8, 4), 0);
  });

  test("an address of zero is no address, even where the memory lies at zero", () => {
    const low = new FakeEngine(0);
    const at = low.take(16);
    assert.equal(low.memory.offsetOf(at, 0, 4), 0);
    assert.equal(low.memory.inside(0, 4), 0);
    assert.equal(low.memory.inside(-1, 4), 0);
    assert.equal(low.memory.inside(1, 4), 1);
  });

  test("the octets themselves are a window on the memory", () => {
    engine.point(record + 8, 4096);
    const window = memory.referred(record, 8, 10);
    assert.deepEqual([window.byteOffset, window.length], [4096, 10]);
    engine.point(record + 8, 0);
    assert.equal(memory.referred(record, 8, 10).length, 0);
  });

  test("fields are words of a record", () => {
    memory.setField(record, 16, 0xfffffff0);
    assert.equal(memory.field(record, 16), 0xfffffff0);
    assert.equal(memory.view.getUint32(record + 16, true), 0xfffffff0);
    assert.equal(memory.field(end, 0), 0, "outside of the memory");
  });
});

describe("memory: pieces of a msghdr", () => {
  test("are those that its iovecs name", () => {
    const engine = new FakeEngine(BASE);
    const parts = [pattern(5), pattern(0), pattern(9, 2)];
    const message = engine.messages([{ pieces: parts }]);
    const { memory } = engine;
    assert.equal(memory.pieceCount(message), 3);
    assert.deepEqual(
      memory.pieces(message).map((piece) => [...piece]),
      parts.map((part) => [...part]),
    );
    assert.deepEqual(
      [0, 1, 2].map((i) => memory.pieceLength(message, i)),
      [5, 0, 9],
    );
    assert.equal(memory.octets[memory.pieceAt(message, 2)], parts[2]?.[0]);
  });

  test("one that does not lie in the memory is empty, the others stay", () => {
    const engine = new FakeEngine(BASE);
    const { memory } = engine;
    const message = engine.messages([{ pieces: [pattern(4), pattern(4, 2), pattern(4, 3)] }]);
    const iovec = memory.offsetOf(message, abi.MSG_IOV_OFFSET, abi.IOV_SIZE) + abi.IOV_SIZE;
    memory.setField(iovec, abi.IOV_LENGTH_OFFSET, memory.octets.length);
    assert.deepEqual([memory.pieceAt(message, 1), memory.pieceLength(message, 1)], [0, 0]);
    assert.deepEqual(
      memory.pieces(message).map((piece) => piece.length),
      [4, 0, 4],
    );
  });

  test("their number is bounded as the kernel bounds it, and by the memory", () => {
    const engine = new FakeEngine(BASE);
    const { memory } = engine;
    const message = engine.messages([{}]);
    engine.point(message + abi.MSG_IOV_OFFSET, engine.take(IOVECS_MAX * abi.IOV_SIZE));
    const countOf = (count: number): number => {
      memory.setField(message, abi.MSG_IOV_COUNT_OFFSET, count);
      return memory.pieceCount(message);
    };
    assert.deepEqual([1, 1024, 1025, 0xffffffff].map(countOf), [1, 1024, 1024, 1024]);
    engine.point(message + abi.MSG_IOV_OFFSET, memory.octets.length - 4 * abi.IOV_SIZE);
    assert.deepEqual([4, 5].map(countOf), [4, 0]);
    engine.point(message + abi.MSG_IOV_OFFSET, 0);
    assert.equal(countOf(3), 0);
  });
});
