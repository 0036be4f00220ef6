/**
 * The one source of truth for what crosses the border between engine and host, as the host reads
 * it.
 *
 * It is in the files of `abi/`: plain integer constants, no imports, no AssemblyScript-only syntax,
 * so that asc, tsc, Bun and Deno compile the very same ones. asc completes the names of modules by
 * ".ts", the others want them whole; so there are two lists of the parts, this one and `abi/index`,
 * which the engine imports (test/tidy.test.ts compares them). `wasm/layout.ts` checks every record
 * offset against its `@unmanaged` class when the engine is compiled; `src/engine/module.ts` refuses
 * an engine whose ABI_VERSION differs.
 *
 * Conventions: all integers little-endian in memory unless a name says `_BE`. IPv4 addresses and
 * ports are plain numbers in host order (10.0.2.2 = 0x0a000202). An IPv6 address is 16 octets as on
 * the wire; where a field of 32 bits holds an address, ADDRESS_SIX | n (a value that no IPv4
 * unicast address has) stands for entry n of the region ADDRESSES. Handles are
 * `generation << HANDLE_SLOT_BITS | slot`. Times are microseconds as f64 in signatures.
 * Suffixes: _OFFSET byte offset in a record, _SIZE bytes, _COUNT elements, _SHIFT bits.
 */
export * from "./abi/config.ts";
export * from "./abi/counters.ts";
export * from "./abi/flows.ts";
export * from "./abi/memory.ts";
export * from "./abi/operations.ts";
export * from "./abi/trace.ts";
