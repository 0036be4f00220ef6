/**
 * The built engines, each compiled once per program. All have to behave alike; what a test drives
 * is the checked one in place of the one with SIMD, so that an engine which finds itself broken
 * says so at once.
 */
import { readFileSync } from "node:fs";
import { compileEngine } from "../../src/engine/module.ts";
import type { Variant } from "./wasm.ts";

/** `checked`: with assertions, and with SIMD. */
type Build = Variant | "checked";

const FILES: Readonly<Record<Build, string>> = {
  simd: "dist/engine.wasm",
  scalar: "dist/engine-scalar.wasm",
  checked: "build/test/engine-checked.wasm",
};

const compiled = new Map<Build, WebAssembly.Module>();

/** Octets of that build. */
export function readEngine(build: Build): Uint8Array {
  const file = FILES[build];
  try {
    return new Uint8Array(readFileSync(new URL(`../../${file}`, import.meta.url)));
  } catch (cause) {
    throw new Error(`build the engine first: cannot read "${file}"`, { cause });
  }
}

function moduleOf(build: Build): WebAssembly.Module {
  const module = compiled.get(build) ?? compileEngine(readEngine(build));
  compiled.set(build, module);
  return module;
}

export function checkedEngine(): WebAssembly.Module {
  return moduleOf("checked");
}

/** The engine that a test of this variant drives: the checked one, or the one without SIMD. */
export function engineModule(variant: Variant): WebAssembly.Module {
  return moduleOf(variant === "simd" ? "checked" : variant);
}
