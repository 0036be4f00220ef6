/**
 * One seed, one run, one verdict.
 */
import { engineBytes } from "../assets.ts";
import { compileEngine, detectSimd } from "../engine/module.ts";
import { planFromSeed } from "./scenario.ts";
import { Trace } from "./trace.ts";
import { World, type WorldResult } from "./world.ts";

export interface Verdict extends WorldResult {
  readonly seed: number;
  readonly ok: boolean;
}

export interface SimulateOptions {
  /** Takes one line per event, for people. */
  readonly trace?: (line: string) => void;
  /** Another engine than the one that was built; for tests of the simulator itself. */
  readonly module?: WebAssembly.Module;
}

let compiled: WebAssembly.Module | undefined;

/** The engine that was built, compiled once. @throws {Error} when it was not built */
export function simulatedEngine(): WebAssembly.Module {
  compiled ??= compileEngine(engineBytes(detectSimd()));
  return compiled;
}

/** Runs the scenario that belongs to a seed: the same seed, the same trace hash, everywhere. */
export function simulateSeed(seed: number, options: SimulateOptions = {}): Verdict {
  const world = new World(
    options.module ?? simulatedEngine(),
    planFromSeed(seed),
    new Trace(options.trace),
  );
  const result = world.run();
  return { seed, ok: result.violations.length === 0, ...result };
}
