/** Looks for the first seed that finds a deliberate bug. */
import { runSeeds } from "../../../src/sim/swarm.ts";

export interface Found {
  readonly seed: number;
  /** What was found first. */
  readonly violation: string;
}

/** The first of `count` seeds whose run goes wrong; undefined = the bug survives. */
export function hunt(module: WebAssembly.Module, from: number, count: number): Found | undefined {
  for (const { seed, ok, violations } of runSeeds({ from, count, module })) {
    if (!ok) return { seed, violation: violations[0] ?? "" };
  }
  return undefined;
}
