/** Module `base` with a configuration: what the tests of the engine's foundations share. */
import * as abi from "../../wasm/abi.ts";
import { loadTestModule, type TestModule, type Variant } from "./wasm.ts";

/** The smallest tables the engine makes. */
export const SMALLEST = 16;

export interface BaseOptions {
  readonly flows?: number;
  readonly chunks?: number;
  readonly vnetSize?: number;
  readonly hostBase?: bigint;
  /** Eight words. */
  readonly seed?: readonly number[];
}

/** Starts the module over with a configuration, counters at zero. */
export function configureBase(wasm: TestModule, options: BaseOptions = {}): void {
  const base = wasm.u32("configBase");
  const { view, octets } = wasm;
  octets.fill(0, base, base + abi.CONFIG_SIZE);
  view.setUint32(base + abi.CONFIG_FLOWS_MAX_OFFSET, options.flows ?? SMALLEST, true);
  view.setUint32(base + abi.CONFIG_CHUNKS_MAX_OFFSET, options.chunks ?? SMALLEST, true);
  view.setUint32(base + abi.CONFIG_VNET_SIZE_OFFSET, options.vnetSize ?? 0, true);
  view.setBigUint64(base + abi.CONFIG_HOST_BASE_LO_OFFSET, options.hostBase ?? 0n, true);
  const seed = options.seed ?? [1, 2, 3, 4, 5, 6, 7, 8];
  seed.forEach((word, i) => {
    view.setUint32(base + abi.CONFIG_SEED_OFFSET + 4 * i, word, true);
  });
  const counters = wasm.u32("statsBase");
  octets.fill(0, counters, counters + 8 * (abi.STAT_COUNT + abi.DROP_COUNT));
  wasm.run("init");
}

export function loadBase(variant: Variant, options: BaseOptions = {}): TestModule {
  const wasm = loadTestModule("base", variant);
  configureBase(wasm, options);
  return wasm;
}

/** Counter `index`: STAT_*, or STAT_COUNT + DROP_*. */
export function counter(wasm: TestModule, index: number): bigint {
  return wasm.view.getBigUint64(wasm.u32("statsBase") + 8 * index, true);
}
