/** Flows of a network, for whoever looks at them. */
import type { Engine } from "../engine/engine.ts";
import { addressText, type FlowInfo, flowsOf } from "../engine/flows.ts";

/** A flow, its ends as text, too. */
export interface NetworkFlow extends FlowInfo {
  readonly guest: string;
  readonly peer: string;
}

/** Flows in use, for `network.inspect`. */
export function readFlows(engine: Engine): readonly NetworkFlow[] {
  return flowsOf(engine).map((flow) => ({
    ...flow,
    guest: addressText(engine, flow.guestAddress),
    peer: addressText(engine, flow.peerAddress),
  }));
}
