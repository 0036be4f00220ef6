/**
 * Loader for Bun: C functions through `bun:ffi`.
 *
 * 64-bit arguments are declared as `ptr`, which takes a plain number on the fast path (5 ns a
 * call); `usize` and `u64` go through a BigInt-aware conversion and take 20 to 40 ns.
 */

import { type Native, type NativeCall, type NativeType, SYMBOLS } from "./native.ts";

interface Library {
  readonly symbols: Native["symbols"] & { readonly __errno_location: NativeCall };
}

/** The part of `bun:ffi` used here, declared so that the other runtimes can check this file. */
interface BunFfi {
  dlopen(path: string, symbols: Record<string, { args: string[]; returns: string }>): Library;
  ptr(buffer: ArrayBufferLike): number;
  toArrayBuffer(address: number, offset: number, length: number): ArrayBuffer;
  readonly read: { i32(address: number, offset: number): number };
}

const TYPES: Record<NativeType, string> = {
  i32: "i32",
  size: "ptr",
  address: "ptr",
  // Only for results: a number where it fits 53 bits, and -1 stays -1.
  i64: "i64_fast",
};

export async function loadBun(): Promise<Native> {
  const name = "bun:ffi"; // a variable, because tsc and Deno resolve literal specifiers
  const ffi = (await import(name)) as BunFfi;
  const table: Record<string, { args: string[]; returns: string }> = {
    __errno_location: { args: [], returns: "ptr" },
  };
  for (const [symbol, [result, ...args]] of Object.entries<readonly [NativeType, ...NativeType[]]>(
    SYMBOLS,
  )) {
    table[symbol] = { args: args.map((type) => TYPES[type]), returns: TYPES[result] };
  }
  const { symbols } = ffi.dlopen("libc.so.6", table);
  const readI32 = ffi.read.i32;
  // One location per thread, the same for the thread's whole life.
  const location = symbols.__errno_location();
  return {
    runtime: "bun",
    symbols,
    errno: () => readI32(location, 0),
    address: (buffer) => {
      // Through the ArrayBuffer: asking a small typed array for it may move the octets first.
      return ArrayBuffer.isView(buffer)
        ? ffi.ptr(buffer.buffer) + buffer.byteOffset
        : ffi.ptr(buffer);
    },
    view: (address, length) => ffi.toArrayBuffer(address, 0, length),
  };
}
