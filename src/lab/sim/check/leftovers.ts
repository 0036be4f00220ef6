/**
 * What is left at the end of a run: nothing, when every flow has ended; else the flows that have
 * not, a few of them, are the ones to look at.
 */

import type { Engine } from "../../../engine/engine.ts";
import { flowsOf } from "../../../engine/flows.ts";
import type { SimHost } from "../host/host.ts";

const FLOWS_TOLD = 3;

/** @param isComplete every flow had time to end; @param pending frames on the link */
export function checkLeftovers(
  engine: Engine,
  host: SimHost,
  pending: number,
  isComplete: boolean,
): string[] {
  if (!isComplete) {
    const flows = flowsOf(engine).slice(0, FLOWS_TOLD);
    return flows.map(({ kind, state, peerPort }) => `flow left: ${kind} ${state} ${peerPort}`);
  }
  return [
    ...(host.openCount > 0 ? [`${host.openCount} host sockets are left`] : []),
    ...(engine.chunkCount > 0 ? [`${engine.chunkCount} chunks without flows`] : []),
    ...(pending > 0 ? ["frames are left on the link"] : []),
  ];
}
