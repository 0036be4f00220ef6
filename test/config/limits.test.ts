/** What a guest network may take, by memory, descriptors, number of networks and options. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  BUFFER_MIB_DEFAULT,
  deriveLimits,
  descriptorsMissing,
  FLOW_COST,
  FLOWS_MAX_DEFAULT,
  MEMORY_FIXED,
  type Room,
} from "../../src/config/limits.ts";

const MIB = 1 << 20;
const NOTHING = { flowsMax: undefined, bufferMib: undefined };

function room(memoryMib: number | undefined, more: Partial<Room> = {}): Room {
  const memory = memoryMib === undefined ? undefined : memoryMib * MIB;
  const bounds = { machine: undefined, descriptors: 1_048_576, descriptorsInUse: 20, networks: 1 };
  return { memory, ...bounds, ...more };
}

describe("deriveLimits", () => {
  for (const [memory, flows, payload] of [
    [64, 5233, 6],
    [128, 16384, 16],
    [256, 16384, 16],
    [24_000, 16384, 16],
    [undefined, 16384, 16],
  ] as const) {
    test(`${memory ?? "unknown"} MiB of memory`, () => {
      const limits = deriveLimits(room(memory), NOTHING);
      assert.equal(limits.flowsMax, flows);
      assert.equal(limits.bufferMib, payload);
      assert.deepEqual(limits.warnings, []);
    });
  }

  test("nothing is published unless said", () => {
    const tight = { descriptors: 300 };
    for (const more of [{}, tight]) {
      const without = deriveLimits(room(64, more), NOTHING);
      assert.deepEqual(without, deriveLimits(room(64, { ...more, published: 0 }), NOTHING));
      const one = deriveLimits(room(64, { ...more, published: 1 }), NOTHING);
      assert.equal(one.flowsMax, without.flowsMax - 1);
    }
    const memory = deriveLimits(room(64), NOTHING);
    assert.equal(deriveLimits(room(64, { networks: 0 }), NOTHING).flowsMax, memory.flowsMax);
  });

  test("flows, the program and the reserve fit into what there is", () => {
    for (let memory = 48; memory <= 256; memory += 8) {
      const { flowsMax, reserve } = deriveLimits(room(memory), NOTHING);
      assert.ok(flowsMax * FLOW_COST + MEMORY_FIXED + reserve <= memory * MIB, `${memory} MiB`);
    }
  });

  test("more memory never means less", () => {
    let before = deriveLimits(room(16), NOTHING);
    for (let memory = 17; memory < 400; memory += 1) {
      const now = deriveLimits(room(memory), NOTHING);
      assert.ok(now.flowsMax >= before.flowsMax && now.bufferMib >= before.bufferMib);
      assert.ok(now.buffers >= before.buffers);
      before = now;
    }
  });

  test("published ports are taken off first, in memory and descriptors", () => {
    const few = { descriptors: 20_000, published: 16_384 };
    const { socketsMax, flowsMax } = deriveLimits(room(undefined, few), NOTHING);
    assert.equal(socketsMax, 20_000 - 20 - 256 - 16_384);
    assert.equal(flowsMax, socketsMax);
    const tight = deriveLimits(room(64, { published: 2000 }), NOTHING);
    assert.equal(tight.flowsMax, 3233);
  });

  test("ports that descriptors do not suffice for are known beforehand, with what would do", () => {
    const missing = (published: number, descriptors: number | undefined): number | undefined =>
      descriptorsMissing(room(undefined, { published, descriptors }));
    assert.equal(missing(16_384, 20_000), undefined);
    assert.equal(missing(19_661, 20_000), 20_001);
    assert.equal(missing(65_535, 1024), 65_875);
    assert.equal(missing(65_535, 65_875), undefined, "the answer is enough");
    assert.equal(missing(0, 16), undefined);
    assert.equal(missing(100, undefined), undefined);
  });

  test("less memory than the program needs is told, and something is left", () => {
    const limits = deriveLimits(room(24), NOTHING);
    assert.equal(limits.flowsMax, 64);
    assert.equal(limits.bufferMib, 2);
    assert.match(limits.warnings.join(), /less memory than the program itself needs/);
  });

  test("descriptors in use and a reserve for hooks are left out", () => {
    const limits = deriveLimits(room(256, { descriptors: 256, descriptorsInUse: 40 }), NOTHING);
    assert.equal(limits.socketsMax, 256 - 40 - 40);
    assert.equal(limits.flowsMax, limits.socketsMax);
    const many = deriveLimits(room(256, { descriptors: 20_000 }), NOTHING);
    assert.equal(many.socketsMax, 20_000 - 20 - 256);
    const unknown = deriveLimits(room(256, { descriptors: undefined }), NOTHING);
    assert.equal(unknown.flowsMax, FLOWS_MAX_DEFAULT);
  });

  test("networks of one process share", () => {
    const one = deriveLimits(room(96), NOTHING);
    const two = deriveLimits(room(96, { networks: 2, descriptors: 2000 }), NOTHING);
    assert.ok(two.flowsMax * 2 <= one.flowsMax);
    assert.ok(two.socketsMax * 2 <= 2000);
    assert.ok(two.buffers * 2 < one.buffers);
  });

  test("socket buffers have half of what TCP of the whole machine may have, at most", () => {
    const GIB = 1024 * MIB;
    const unbounded = deriveLimits(room(24 * 1024), NOTHING).buffers;
    const bounded = deriveLimits(room(24 * 1024, { machine: 24 * GIB }), NOTHING).buffers;
    assert.ok(unbounded > bounded);
    assert.equal(bounded, (24 * GIB) / 32);
    const small = deriveLimits(room(64), NOTHING).buffers;
    assert.equal(deriveLimits(room(64, { machine: 24 * GIB }), NOTHING).buffers, small);
  });

  test("an option wins, with a warning where it is more than there is room for", () => {
    const limits = deriveLimits(room(64), { flowsMax: 20_000, bufferMib: 64 });
    assert.equal(limits.flowsMax, 20_000);
    assert.equal(limits.bufferMib, 64);
    assert.match(limits.warnings[0] ?? "", /--flows-max 20000 .* memory for 5233/);
    assert.match(limits.warnings[1] ?? "", /--buffer-mib 64 .* memory for 6/);
    const few = deriveLimits(room(256, { descriptors: 300 }), { ...NOTHING, flowsMax: 1000 });
    assert.match(few.warnings.join(), /--flows-max 1000 .* descriptors for 240/);
    const fine = { flowsMax: 20_000, bufferMib: BUFFER_MIB_DEFAULT * 2 };
    assert.deepEqual(deriveLimits(room(256), fine).warnings, []);
  });
});
