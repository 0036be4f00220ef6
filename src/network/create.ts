/** Making networks. */
import { compileEngine, compileEngineLater } from "../engine/module.ts";
import { type Host, systemHost } from "./host.ts";
import { Network } from "./network.ts";
import { NO_UPSTREAM } from "./no-upstream.ts";
import type { NetworkSettings } from "./settings.ts";
import type { Upstream } from "./upstream.ts";

/** The engine: octets of the file, or what became of them when they were compiled. */
export type EngineSource = Uint8Array<ArrayBuffer> | ArrayBuffer | WebAssembly.Module;

/** What `createNetwork` is given. */
export interface NetworkOptions {
  /** `engine.wasm` or `engine-scalar.wasm`, as octets or compiled. One module serves any number. */
  readonly engine: EngineSource;
  /** What is outside; absent: nothing, every connection is refused. */
  readonly upstream?: Upstream;
  readonly settings?: NetworkSettings;
  /** 32 octets: the same seed, clock and frames give the same octets. Absent: the host's chance. */
  readonly seed?: Uint8Array;
  /** Clock, chance and turns; absent: those of this runtime. */
  readonly host?: Host;
}

/**
 * Compiles the engine where that has not been done and makes a network of it.
 * @throws EngineError for octets that are no engine, another ABI version, settings out of range
 */
export async function createNetwork(options: NetworkOptions): Promise<Network> {
  const { engine } = options;
  const module = engine instanceof WebAssembly.Module ? engine : await compileEngineLater(engine);
  return createNetworkSync({ ...options, engine: module });
}

/**
 * The same at once. Browsers compile no large module so outside of a worker: give them one that is
 * compiled.
 */
export function createNetworkSync(options: NetworkOptions): Network {
  const { engine, upstream = NO_UPSTREAM, settings = {}, seed, host = systemHost() } = options;
  const module = engine instanceof WebAssembly.Module ? engine : compileEngine(octetsOf(engine));
  return new Network({ module, upstream, host, settings, seed });
}

function octetsOf(source: Uint8Array<ArrayBuffer> | ArrayBuffer): Uint8Array {
  return source instanceof ArrayBuffer ? new Uint8Array(source) : source;
}
