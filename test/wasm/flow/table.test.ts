/**
 * The flow table: full and refused, generations, the index after deletions, lists in order, and
 * random walks against models of index and lists.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import * as abi from "../../../wasm/abi.ts";
import { configureBase, loadBase, SMALLEST } from "../../support/base-module.ts";
import { type TestModule, VARIANTS } from "../../support/wasm.ts";

const SEED = 20250121;
const GUEST = 0x0a00020f;
const PEER = 0xc6336450;
/** Walks of all lengths: by itself fast-check keeps them to about ten steps. */
const LENGTH = { maxLength: 120, size: "max" } as const;
const GENERATIONS = 0xffff;
const [UDP, HALF_OPEN] = [4, 5] as const;

const allocate = (wasm: TestModule, ports: number, kind = abi.KIND_TCP): number =>
  wasm.u32("flowAllocate", kind, GUEST, PEER, ports);
const find = (wasm: TestModule, ports: number, kind = abi.KIND_TCP): number =>
  wasm.u32("flowFind", kind, GUEST, PEER, ports);

type Walk = readonly ["allocate" | "release" | "touch" | "dirty" | "ready" | "take", number];

const WALK: fc.Arbitrary<Walk> = fc.tuple(
  fc.constantFrom("allocate", "allocate", "release", "touch", "dirty", "ready", "take"),
  fc.nat(10_000),
);

/** What is in the table: by ports, and each list in order. */
class TableModel {
  readonly flows = new Map<number, { readonly flow: number; readonly handle: number }>();
  readonly stale: number[] = [];
  readonly dirty: number[] = [];
  readonly ready: number[] = [];
  /** Ports, oldest first; the list with index 0 stays empty. */
  readonly lists: number[][] = [[], [], [], [], [], []];

  pick(number: number): [ports: number, flow: number] | undefined {
    const all = [...this.flows];
    const [ports, record] = all[number % Math.max(all.length, 1)] ?? [];
    return ports === undefined || record === undefined ? undefined : [ports, record.flow];
  }

  unlink(ports: number, lists: readonly number[][]): void {
    for (const list of lists) {
      const at = list.indexOf(ports);
      if (at >= 0) list.splice(at, 1);
    }
  }

  slot(wasm: TestModule, ports: number | undefined): number {
    const record = ports === undefined ? undefined : this.flows.get(ports);
    return record === undefined ? -1 : wasm.i32("slotOf", record.flow);
  }
}

function walk(wasm: TestModule, model: TableModel, [step, number]: Walk): void {
  if (step === "allocate") {
    if (model.flows.has(number)) return;
    const flow = allocate(wasm, number);
    assert.equal(flow === 0, model.flows.size === SMALLEST);
    if (flow !== 0) model.flows.set(number, { flow, handle: wasm.u32("handleOf", flow) });
    return;
  }
  if (step === "take") {
    const list = number % 2 === 0 ? model.dirty : model.ready;
    const taken = wasm.i32(number % 2 === 0 ? "dirtyTake" : "readyTake");
    assert.equal(taken, model.slot(wasm, list.shift()));
    return;
  }
  const [ports, flow] = model.pick(number) ?? [];
  if (ports === undefined || flow === undefined) return;
  if (step === "release") {
    wasm.run("flowRelease", flow);
    model.stale.push(model.flows.get(ports)?.handle ?? 0);
    model.flows.delete(ports);
    model.unlink(ports, [model.dirty, model.ready, ...model.lists]);
  } else if (step === "touch") {
    const list = 1 + (number % HALF_OPEN);
    wasm.run("listTouch", flow, list);
    model.unlink(ports, model.lists);
    model.lists[list]?.push(ports);
  } else {
    wasm.run(step === "dirty" ? "markDirty" : "markReady", flow);
    const list = step === "dirty" ? model.dirty : model.ready;
    if (!list.includes(ports)) list.push(ports);
  }
}

function compare(wasm: TestModule, model: TableModel): void {
  assert.equal(wasm.i32("flowsUsed"), model.flows.size);
  for (const [ports, { flow, handle }] of model.flows) {
    assert.equal(find(wasm, ports), flow, `ports ${ports}`);
    assert.equal(wasm.u32("flowOf", handle), flow);
  }
  for (const handle of model.stale) assert.equal(wasm.u32("flowOf", handle), 0);
  assert.equal(wasm.i32("dirtyFirst"), model.slot(wasm, model.dirty[0]));
  model.lists.forEach((list, i) => {
    assert.equal(wasm.i32("listSize", i), list.length);
    const oldest = wasm.u32("listOldest", i);
    assert.equal(oldest, model.flows.get(list[0] ?? -1)?.flow ?? 0);
  });
}

for (const variant of VARIANTS) {
  const wasm = loadBase(variant);

  describe(`wasm/flow/table: slots (${variant})`, () => {
    test("a full table refuses, and takes again what was let go", () => {
      for (const [flows, wanted] of [
        [0, SMALLEST],
        [1000, 1000],
        [abi.FLOW_CAPACITY_COUNT + 1, abi.FLOW_CAPACITY_COUNT],
      ] as const) {
        configureBase(wasm, { flows });
        assert.equal(wasm.i32("flowsMax"), wanted);
        const all = new Set(Array.from({ length: wanted }, (_, i) => allocate(wasm, i)));
        assert.equal(all.size, wanted);
        assert.ok(!all.has(0));
        assert.equal(allocate(wasm, 0x12345678), 0);
        assert.equal(find(wasm, 0x12345678), 0, "refused flows are not in the index");
        const one = find(wasm, 7);
        wasm.run("flowRelease", one);
        assert.equal(allocate(wasm, 0x12345678), one);
        assert.equal(find(wasm, 7), 0);
      }
    });

    test("every part of the tuple counts", () => {
      configureBase(wasm);
      const flow = allocate(wasm, 0x9c400050);
      assert.equal(find(wasm, 0x9c400050), flow);
      assert.equal(find(wasm, 0x00509c40), 0, "ports the other way round");
      assert.equal(find(wasm, 0x9c400050, abi.KIND_UDP), 0);
      assert.equal(wasm.u32("flowFind", abi.KIND_TCP, GUEST + 1, PEER, 0x9c400050), 0);
      assert.equal(wasm.u32("flowFind", abi.KIND_TCP, GUEST, PEER + 1, 0x9c400050), 0);
    });

    test("a record starts clean, whatever its slot held before", () => {
      configureBase(wasm);
      const flow = allocate(wasm, 1);
      const [at, length] = [flow + wasm.u32("kindOffset"), abi.FLOW_SIZE - wasm.u32("kindOffset")];
      wasm.poison(at, length);
      wasm.run("listTouch", flow, UDP);
      wasm.run("timerSet", flow, wasm.i32("slotOf", flow), 5n);
      wasm.run("markDirty", flow);
      wasm.run("flowRelease", flow);
      assert.equal(allocate(wasm, 2), flow);
      assert.equal(wasm.i32("listSize", UDP), 0);
      assert.equal(wasm.i32("dirtyFirst"), -1);
      assert.ok(!wasm.bool("isTimed", flow));
      assert.deepEqual(wasm.read(at, length), new Uint8Array(length));
    });

    test("a handle of an earlier generation means nothing, nor does one of no slot", () => {
      configureBase(wasm);
      const first = wasm.u32("handleOf", allocate(wasm, 1));
      assert.notEqual(first, 0);
      for (const handle of [0, 1, 0xffffffff, first ^ 0x10000, first + 1]) {
        assert.equal(wasm.u32("flowOf", handle), 0, `${handle}`);
      }
      wasm.run("flowRelease", wasm.u32("flowOf", first));
      assert.equal(wasm.u32("flowOf", first), 0);
      const second = wasm.u32("handleOf", allocate(wasm, 1));
      assert.equal(second & 0xffff, first & 0xffff, "the same slot");
      assert.equal(wasm.u32("flowOf", first), 0);
    });

    test("generations run through all values but 0", () => {
      configureBase(wasm);
      const seen = new Set<number>();
      for (let i = 0; i < GENERATIONS + 1; i += 1) {
        const flow = allocate(wasm, 1);
        seen.add(wasm.u32("handleOf", flow) >>> abi.HANDLE_SLOT_BITS);
        wasm.run("flowRelease", flow);
      }
      assert.equal(seen.size, GENERATIONS);
      assert.ok(!seen.has(0));
    });
  });

  describe(`wasm/flow/table: lists (${variant})`, () => {
    test("a flow that is used becomes the youngest of its list", () => {
      configureBase(wasm);
      const [a = 0, b = 0, c = 0] = [1, 2, 3].map((ports) => allocate(wasm, ports));
      for (const flow of [a, b, c, a, c]) wasm.run("listTouch", flow, UDP);
      assert.equal(wasm.u32("listOldest", UDP), b);
      wasm.run("listTouch", b, HALF_OPEN);
      assert.equal(wasm.i32("listSize", UDP), 2);
      assert.equal(wasm.u32("listOldest", UDP), a);
      wasm.run("listRemove", a);
      wasm.run("listRemove", a);
      assert.equal(wasm.u32("listOldest", UDP), c);
    });
  });

  describe(`wasm/flow/table: random walks (${variant})`, () => {
    test("index, generations and lists agree with a model", () => {
      fc.assert(
        fc.property(fc.array(WALK, LENGTH), fc.nat(), (steps, key) => {
          configureBase(wasm, { seed: [key, key, 0, 0, 1, 1, 1, 1] });
          const model = new TableModel();
          for (const step of steps) {
            walk(wasm, model, step);
            compare(wasm, model);
          }
        }),
        { seed: SEED, numRuns: 150 },
      );
    });

    test("a full table that is always in motion finds every flow it holds", () => {
      fc.assert(
        fc.property(
          fc.array(fc.nat(60), { minLength: 200, maxLength: 400, size: "max" }),
          (numbers) => {
            configureBase(wasm, { seed: [numbers.length, 0, 0, 0, 1, 1, 1, 1] });
            const live = new Map<number, number>();
            for (const number of numbers) {
              const flow = live.get(number);
              if (flow !== undefined) wasm.run("flowRelease", flow);
              if (flow !== undefined) live.delete(number);
              else if (live.size < SMALLEST) live.set(number, allocate(wasm, number));
              for (let i = 0; i <= 60; i += 1) assert.equal(find(wasm, i), live.get(i) ?? 0);
            }
          },
        ),
        { seed: SEED, numRuns: 40 },
      );
    });
  });
}
