/** The build of the engine that the simulator runs. */

import { engineBytes } from "../../assets.ts";
import { compileEngine, detectSimd } from "../../engine/module.ts";

let compiled: WebAssembly.Module | undefined;

/** The engine that was built, compiled once. @throws {Error} when it was not built */
export function simulatedEngine(): WebAssembly.Module {
  compiled ??= compileEngine(engineBytes(detectSimd()));
  return compiled;
}
