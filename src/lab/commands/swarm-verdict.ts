/** What `simulate --seeds` prints of a swarm in the end. */

import { escapeControls } from "../../lib/controls.ts";
import { type Family, familyOptions } from "../sim/family.ts";
import { formatCount } from "../sim/text.ts";
import type { ShareReport } from "./simulate-share.ts";

/** What a verdict needs to know of a swarm. */
export interface SwarmState {
  readonly family: Family;
  readonly from: number;
  readonly seeds: number;
  readonly frames: number;
  readonly virtual_s: number;
  readonly real_s: number;
  readonly isStopped: boolean;
  readonly broken: string | undefined;
  readonly failure: ShareReport["failure"];
}

/** Lines without line ends. @param command this program, as people start it */
export function swarmVerdict(state: SwarmState, command: string): string[] {
  const { family, failure, broken, seeds, virtual_s, real_s } = state;
  const faster = formatCount(virtual_s / Math.max(real_s, 0.001));
  const totals = [
    `  virtual time   ${formatLong(virtual_s)} in ${real_s.toFixed(1)} s: ${faster} x faster`,
    `  frames         ${formatCount(state.frames)}`,
  ];
  if (failure !== undefined) {
    return [
      `seed ${failure.seed}: went wrong, after ${formatCount(seeds)} seeds`,
      ...failure.violations.map((each) => `  violation      ${escapeControls(each)}`),
      ...totals,
      `repeat it: ${command} simulate --seed ${failure.seed}${familyOptions(family)} --trace`,
    ];
  }
  if (broken !== undefined) return [`broken off: a process of the swarm ${broken}`, ...totals];
  const how = state.isStopped ? ", stopped early" : "";
  return [`${formatCount(seeds)} seeds from ${state.from} on: clean${how}`, ...totals];
}

/** Seconds in words. */
export function formatLong(seconds: number): string {
  if (seconds < 100) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 100) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
