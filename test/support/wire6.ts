/** The IPv6 wire test module, built with SIMD and without. */
import { loadTestModule, type TestModule, VARIANTS, type Variant } from "./wasm.ts";

const MODULES = VARIANTS.map((variant) => [variant, loadTestModule("wire6", variant)] as const);

export function wire6Modules(): readonly (readonly [Variant, TestModule])[] {
  return MODULES;
}
