/**
 * The built engine, compiled once per program. Both builds have to behave alike.
 */
import { readFileSync } from "node:fs";
import { compileEngine } from "../../src/engine/module.ts";
import type { Variant } from "./wasm.ts";

const FILES: Readonly<Record<Variant, string>> = {
  simd: "engine.wasm",
  scalar: "engine-scalar.wasm",
};

const compiled = new Map<Variant, WebAssembly.Module>();

/** Octets of `dist/engine.wasm` or its build without SIMD. */
export function readEngine(variant: Variant): Uint8Array {
  const file = FILES[variant];
  try {
    return new Uint8Array(readFileSync(new URL(`../../dist/${file}`, import.meta.url)));
  } catch (cause) {
    throw new Error(`build the engine first: cannot read "dist/${file}"`, { cause });
  }
}

export function engineModule(variant: Variant): WebAssembly.Module {
  const module = compiled.get(variant) ?? compileEngine(readEngine(variant));
  compiled.set(variant, module);
  return module;
}
