/** Instances of any build of the engine: one with assertions says which of them has failed. */
import { compileEngine, type EngineModule, instantiateShipped } from "./module.ts";
import { explained, isChecked } from "./trap.ts";

/** Compiles, instantiates and checks an engine. Throws `EngineError`. */
export function loadEngine(octets: Uint8Array): EngineModule {
  return instantiateEngine(compileEngine(octets));
}

/**
 * A fresh instance with memory of its own; one compiled module serves any number. Throws
 * `EngineError`.
 */
export function instantiateEngine(module: WebAssembly.Module): EngineModule {
  return instantiateShipped(module, (functions, exports, memory) =>
    isChecked(exports) ? explained(functions, exports, memory) : undefined,
  );
}
