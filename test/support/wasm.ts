/**
 * Loads the AssemblyScript test modules `test/wasm/exports/NAME.ts`, which the build compiles to
 * `build/test/NAME.wasm` (SIMD) and `build/test/NAME-scalar.wasm`, in Node, Bun and Deno.
 */
import { readFileSync } from "node:fs";

export const VARIANTS = ["simd", "scalar"] as const;
export type Variant = (typeof VARIANTS)[number];

/** What output buffers are filled with before a test, so that octets left unwritten show. */
export const POISON = 0xa5;

/** One instance of a test module: its memory, and its exports by name with checked result types. */
export class TestModule {
  readonly octets: Uint8Array;
  readonly view: DataView;
  readonly #exports: WebAssembly.Instance["exports"];

  constructor(exports: WebAssembly.Instance["exports"]) {
    const { memory } = exports;
    if (!(memory instanceof WebAssembly.Memory)) throw new Error("the module exports no memory");
    this.#exports = exports;
    this.octets = new Uint8Array(memory.buffer);
    this.view = new DataView(memory.buffer);
  }

  /** First address behind the memory: an access there traps. */
  get end(): number {
    return this.octets.length;
  }

  #call(name: string, args: readonly (number | bigint)[]): unknown {
    const callee: unknown = this.#exports[name];
    if (typeof callee !== "function") throw new Error(`the module exports no function "${name}"`);
    return callee(...args);
  }

  #number(name: string, args: readonly (number | bigint)[]): number {
    const result = this.#call(name, args);
    if (typeof result !== "number") throw new Error(`"${name}" returned no number`);
    return result;
  }

  /** Calls a function without result. */
  run(name: string, ...args: (number | bigint)[]): void {
    this.#call(name, args);
  }

  i32(name: string, ...args: (number | bigint)[]): number {
    return this.#number(name, args);
  }

  u32(name: string, ...args: (number | bigint)[]): number {
    return this.#number(name, args) >>> 0;
  }

  bool(name: string, ...args: (number | bigint)[]): boolean {
    return this.#number(name, args) !== 0;
  }

  u64(name: string, ...args: (number | bigint)[]): bigint {
    const result = this.#call(name, args);
    if (typeof result !== "bigint") throw new Error(`"${name}" returned no 64-bit number`);
    return BigInt.asUintN(64, result);
  }

  /** Copies `octets` to `address` and returns it. */
  write(address: number, octets: Uint8Array): number {
    this.octets.set(octets, address);
    return address;
  }

  /** Copies `octets` flush against the end of memory, where one octet read too many traps. */
  writeAtEnd(octets: Uint8Array): number {
    return this.write(this.end - octets.length, octets);
  }

  /** Copy of `length` octets. */
  read(address: number, length: number): Uint8Array {
    return this.octets.slice(address, address + length);
  }

  poison(address: number, length: number): void {
    this.octets.fill(POISON, address, address + length);
  }
}

/** A fresh instance; the module must have no imports. */
export function loadTestModule(name: string, variant: Variant): TestModule {
  const file = `${name}${variant === "simd" ? "" : "-scalar"}.wasm`;
  let binary: Uint8Array<ArrayBuffer>;
  try {
    binary = new Uint8Array(readFileSync(new URL(`../../build/test/${file}`, import.meta.url)));
  } catch (cause) {
    throw new Error(`build the tests first: cannot read "build/test/${file}"`, { cause });
  }
  return new TestModule(new WebAssembly.Instance(new WebAssembly.Module(binary), {}).exports);
}
