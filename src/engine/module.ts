/**
 * Loads `engine.wasm` and refuses whatever does not keep the contract of `wasm/abi.ts`: no imports,
 * the fourteen exports, a memory that never grows, the right ABI version, a sound region table.
 *
 * Compilation is synchronous: the engine is small, and a start that has to wait for a task queue
 * cannot be done from a worker's first line.
 */

import * as abi from "../../wasm/abi.ts";
import { messageOf } from "../lib/message.ts";
import { EngineError } from "./errors.ts";

/**
 * The engine's functions, named and shaped as the module exports them; see `Engine` for meanings.
 */
export interface EngineFunctions {
  readonly control: () => number;
  readonly init: () => number;
  readonly guest_rx: (count: number, now: number) => void;
  readonly upstream_event: (handle: number, events: number, now: number) => void;
  readonly step: (now: number) => void;
  readonly complete: (now: number) => void;
  readonly tx_done: () => void;
  readonly inbound_tcp: (
    guestPort: number,
    peerAddress: number,
    peerPort: number,
    guestAddress: number,
    now: number,
  ) => number;
  readonly inbound_udp: (
    guestPort: number,
    hostPort: number,
    family: number,
    guestAddress: number,
    now: number,
  ) => number;
  readonly address_six: () => number;
  readonly host_address: (kind: number) => number;
  readonly guest_gone: (now: number) => void;
  readonly farewell: () => void;
  readonly next_deadline: () => number;
}

/** A part of engine memory: address of its first octet, and octets. */
export interface EngineRegion {
  readonly base: number;
  readonly size: number;
}

/** One instance of the engine, checked but not started. */
export interface EngineModule {
  readonly functions: EngineFunctions;
  readonly memory: WebAssembly.Memory;
  /** Indexed by `REGION_*`; `REGION_COUNT` entries. */
  readonly regions: readonly EngineRegion[];
}

type EngineExports = WebAssembly.Instance["exports"];

/** Puts something in place of the functions of some builds; undefined = not of this one. */
type Explain = (
  functions: EngineFunctions,
  exports: EngineExports,
  memory: WebAssembly.Memory,
) => EngineFunctions | undefined;

/** Exported functions and how many arguments each takes. */
const ARITIES: Readonly<Record<keyof EngineFunctions, number>> = {
  control: 0,
  init: 0,
  guest_rx: 2,
  upstream_event: 3,
  step: 1,
  complete: 1,
  tx_done: 0,
  inbound_tcp: 5,
  inbound_udp: 5,
  address_six: 0,
  host_address: 1,
  guest_gone: 1,
  farewell: 0,
  next_deadline: 0,
};

/** Octets each region has, by `REGION_*`. Two banks of operations. */
const REGION_SIZES: readonly number[] = [
  abi.CONTROL_SIZE,
  abi.CONFIG_SIZE,
  8 * (abi.STAT_COUNT + abi.DROP_COUNT),
  abi.RX_SLOT_COUNT * abi.RX_DESCRIPTOR_SIZE,
  abi.RX_SLOT_COUNT * abi.RX_SLOT_SIZE,
  abi.TX_CAPACITY_COUNT * abi.TX_RECORD_SIZE,
  abi.TX_CAPACITY_COUNT * abi.TX_SLOT_SIZE,
  2 * abi.OP_CAPACITY_COUNT * abi.OP_SIZE,
  abi.FLOW_CAPACITY_COUNT * abi.FLOW_SIZE,
  abi.CHUNK_CAPACITY_COUNT * abi.CHUNK_SIZE,
  abi.SCRATCH_SLOT_COUNT * abi.SCRATCH_SLOT_SIZE,
  abi.ADDRESS_CAPACITY_COUNT * abi.ADDRESS_SIZE,
];

/** (module (func (result v128) i32.const 0 i8x16.splat)) */
const SIMD_PROBE = Uint8Array.of(
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
  ...[0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7b],
  ...[0x03, 0x02, 0x01, 0x00],
  ...[0x0a, 0x08, 0x01, 0x06, 0x00, 0x41, 0x00, 0xfd, 0x0f, 0x0b],
);

/** Whether this runtime executes fixed-width SIMD, so which build of the engine to load. */
export function detectSimd(): boolean {
  return WebAssembly.validate(SIMD_PROBE);
}

/** Compiles an engine and checks that it has no imports. Throws `EngineError`. */
export function compileEngine(octets: Uint8Array): WebAssembly.Module {
  let module: WebAssembly.Module;
  try {
    // A view on shared memory is not accepted; a copy always is.
    module = new WebAssembly.Module(new Uint8Array(octets));
  } catch (cause) {
    throw notCompiled(cause);
  }
  return withoutImports(module);
}

/**
 * The same without waiting for it: browsers want that of large modules outside of workers. Rejects
 * with `EngineError`.
 */
export async function compileEngineLater(
  octets: Uint8Array<ArrayBuffer> | ArrayBuffer,
): Promise<WebAssembly.Module> {
  let module: WebAssembly.Module;
  try {
    module = await WebAssembly.compile(octets);
  } catch (cause) {
    throw notCompiled(cause);
  }
  return withoutImports(module);
}

function notCompiled(cause: unknown): EngineError {
  return new EngineError("MODULE", `cannot compile the engine: ${messageOf(cause)}`, { cause });
}

function withoutImports(module: WebAssembly.Module): WebAssembly.Module {
  const [wanted] = WebAssembly.Module.imports(module);
  if (wanted !== undefined) {
    throw new EngineError(
      "IMPORTS",
      `refuse an engine with imports: it wants "${wanted.module}.${wanted.name}"`,
    );
  }
  return module;
}

/**
 * A fresh instance with memory of its own; one compiled module serves any number. A build with
 * assertions needs `instantiateEngine` to say which has failed. Throws `EngineError`.
 */
export function instantiateShipped(module: WebAssembly.Module, explain?: Explain): EngineModule {
  let instance: WebAssembly.Instance;
  try {
    instance = new WebAssembly.Instance(withoutImports(module), {});
  } catch (cause) {
    if (cause instanceof EngineError) throw cause;
    throw new EngineError("MODULE", `cannot start the engine: ${messageOf(cause)}`, { cause });
  }
  const memory = checkMemory(instance.exports);
  const found = checkFunctions(instance.exports);
  const functions = explain?.(found, instance.exports, memory) ?? found;
  return { functions, memory, regions: checkControl(functions, memory) };
}

function checkFunctions(exports: EngineExports): EngineFunctions {
  for (const [name, arity] of Object.entries(ARITIES)) {
    const value = exports[name];
    if (typeof value !== "function") {
      throw new EngineError("EXPORTS", `cannot find the engine's function "${name}"`);
    }
    if (value.length !== arity) {
      throw new EngineError(
        "EXPORTS",
        `refuse the engine's function "${name}": wanted ${arity} arguments, not ${value.length}`,
      );
    }
  }
  // Names and argument counts were checked; wasm has no means to ask for the types.
  return exports as unknown as EngineFunctions;
}

function checkMemory(exports: EngineExports): WebAssembly.Memory {
  const { memory } = exports;
  if (!(memory instanceof WebAssembly.Memory)) {
    throw new EngineError("EXPORTS", 'cannot find the engine\'s memory "memory"');
  }
  try {
    memory.grow(1);
  } catch {
    return memory; // its maximum is its size, as wanted
  }
  throw new EngineError("MEMORY", "refuse an engine whose memory can grow");
}

function checkControl(functions: EngineFunctions, memory: WebAssembly.Memory): EngineRegion[] {
  const view = new DataView(memory.buffer);
  const control = functions.control() >>> 0;
  if (control === 0 || control + abi.CONTROL_SIZE > view.byteLength) {
    throw new EngineError("ABI", `cannot read a control block at "${control}"`);
  }
  const magic = view.getInt32(control + abi.CONTROL_MAGIC_OFFSET, true);
  if (magic !== abi.ABI_MAGIC) {
    throw new EngineError("ABI", `cannot find a control block at "${control}"`);
  }
  const version = view.getInt32(control + abi.CONTROL_VERSION_OFFSET, true);
  if (version !== abi.ABI_VERSION) {
    throw new EngineError(
      "ABI",
      `refuse an engine of ABI version "${version}": wanted "${abi.ABI_VERSION}"`,
    );
  }
  const regions = REGION_SIZES.map((_, index): EngineRegion => {
    const entry = control + abi.CONTROL_REGIONS_OFFSET + 8 * index;
    return { base: view.getUint32(entry, true), size: view.getUint32(entry + 4, true) };
  });
  checkRegions(regions, control, view.byteLength);
  return regions;
}

function checkRegions(regions: readonly EngineRegion[], control: number, end: number): void {
  regions.forEach(({ base, size }, index) => {
    const wanted = REGION_SIZES[index];
    if (size !== wanted) {
      throw new EngineError("REGIONS", `refuse region ${index}: wanted ${wanted}, not ${size}`);
    }
    // Typed arrays over whole words are laid over the regions.
    if (base === 0 || base % 8 !== 0 || base + size > end) {
      throw new EngineError("REGIONS", `refuse region ${index}: bad base "${base}"`);
    }
  });
  if (regions[abi.REGION_CONTROL]?.base !== control) {
    throw new EngineError("REGIONS", "refuse a control block that is not its own region");
  }
  let free = 0;
  for (const { base, size } of [...regions].sort((a, b) => a.base - b.base)) {
    if (base < free) throw new EngineError("REGIONS", `refuse overlapping regions at "${base}"`);
    free = base + size;
  }
}
