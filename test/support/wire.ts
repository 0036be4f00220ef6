/**
 * What the tests of `wasm/wire` share: the module in both variants, the checks all headers get.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { toHex } from "./hex.ts";
import { loadTestModule, POISON, type TestModule, VARIANTS, type Variant } from "./wasm.ts";

/** Every property of these tests starts from this seed; fast-check prints it with a failure. */
const SEED = 20250117;

const MODULES = VARIANTS.map((variant) => [variant, loadTestModule("wire", variant)] as const);

/** The wire test module, built with SIMD and without. */
export function wireModules(): readonly (readonly [Variant, TestModule])[] {
  return MODULES;
}

export function checkProperty<Values>(property: fc.IProperty<Values>, runs = 300): void {
  fc.assert(property, { seed: SEED, numRuns: runs });
}

/** Runs `emit` on a poisoned buffer; it has to write exactly the octets of `expected`. */
export function assertEmits(
  wire: TestModule,
  expected: Uint8Array,
  emit: (address: number) => void,
): void {
  const margin = 16;
  const base = wire.u32("scratchBase");
  wire.poison(base, expected.length + 2 * margin);
  emit(base + margin);
  const poison = new Uint8Array(margin).fill(POISON);
  const want = Uint8Array.from([...poison, ...expected, ...poison]);
  assert.equal(toHex(wire.read(base, want.length)), toHex(want));
}

/** Reads `fields` of the packet by `${protocol}Deconstruct`, the packet flush against the end. */
export function assertDeconstructs(
  wire: TestModule,
  protocol: string,
  packet: Uint8Array,
  fields: Readonly<Record<string, number | bigint>>,
): void {
  const out = wire.u32("scratchBase");
  wire.run(`${protocol}Deconstruct`, wire.writeAtEnd(packet), out);
  const found = Object.keys(fields).map((name, i) => [
    name,
    wire.view.getBigUint64(out + 8 * i, true),
  ]);
  const wanted = Object.entries(fields).map(([name, value]) => [name, BigInt(value)]);
  assert.deepEqual(found, wanted);
}

/** Sets `fields` by `${protocol}Construct` over poison; exactly `expected` has to come out. */
export function assertConstructs(
  wire: TestModule,
  protocol: string,
  expected: Uint8Array,
  fields: Readonly<Record<string, number | bigint>>,
): void {
  const values = wire.u32("scratchBase") + 4096;
  Object.values(fields).forEach((value, i) => {
    wire.view.setBigUint64(values + 8 * i, BigInt(value), true);
  });
  assertEmits(wire, expected, (p) => wire.run(`${protocol}Construct`, p, values));
}
