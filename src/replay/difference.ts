/**
 * What a replay has come to, and the first difference: what the engine should have given out and
 * what it gave out, call by call.
 */
import { KIND, type RecordingEnding } from "./format.ts";
import type { FrameMark, OperationMark } from "./outputs.ts";

/** What an engine gives out, as far as it is compared; undefined = nothing. */
export type Output = FrameMark | OperationMark | ValueMark | undefined;

/** Anything else: the result of a call, a number of frames, a trap. */
export interface ValueMark {
  readonly kind: "value";
  readonly text: string;
}

/** Where a replay first gives out something else than what was recorded. */
export interface Difference {
  /** Of the call that gave it out or after which it was looked at, the first is 1. */
  readonly call: number;
  /** Function of the engine. */
  readonly name: string;
  /** Microseconds since the first call with a time. */
  readonly time: number;
  /** What it is about: `frame 2 of 5`. */
  readonly what: string;
  readonly expected: Output;
  readonly actual: Output;
}

export interface ReplayResult {
  readonly calls: number;
  readonly turns: number;
  /** That came from the guest, and that went to it. */
  readonly framesIn: number;
  readonly framesOut: number;
  readonly operations: number;
  /** Microseconds from the first to the last call with a time. */
  readonly elapsed: number;
  /** Octets in front of each frame that are not Ethernet. */
  readonly vnetSize: number;
  /** Why the recording ends. */
  readonly ending: RecordingEnding | "trap";
  /** Of all that was given out, see `output-digest.ts`. */
  readonly digest: string;
  /** The engine that was recorded has other octets than this one. */
  readonly isOtherBuild: boolean;
  readonly difference: Difference | undefined;
}

/** Ends the replay. */
export class Differs extends Error {
  readonly difference: Difference;

  constructor(difference: Difference) {
    super("the replay differs");
    this.difference = difference;
  }
}

const NAMES = new Map<number, string>([
  [KIND.start, "init"],
  [KIND.guestRx, "guest_rx"],
  [KIND.event, "upstream_event"],
  [KIND.step, "step"],
  [KIND.complete, "complete"],
  [KIND.txDone, "tx_done"],
  [KIND.inboundTcp, "inbound_tcp"],
  [KIND.inboundUdp, "inbound_udp"],
  [KIND.addressSix, "address_six"],
  [KIND.hostAddress, "host_address"],
  [KIND.guestGone, "guest_gone"],
  [KIND.farewell, "farewell"],
  [KIND.deadline, "next_deadline"],
]);

/** Function of the engine that a record of this kind is a call of; "" = of none. */
export function functionName(kind: number): string {
  return NAMES.get(kind) ?? "";
}

/** What is neither a frame nor an operation. */
export function value(text: string): ValueMark {
  return { kind: "value", text };
}

/** Marks lie in buffers that are used again. */
export function copyOf(mark: FrameMark | undefined): FrameMark | undefined {
  return mark && { ...mark, head: mark.head.slice() };
}
