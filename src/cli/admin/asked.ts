/** What every command that asks a running program is given. */
import type { AdminCalls } from "../../admin/client.ts";
import type { FlowCalls } from "../../admin/flow-calls.ts";
import type { Output } from "./output.ts";

export interface Asked {
  readonly calls: AdminCalls;
  readonly flows: FlowCalls;
  readonly output: Output;
  /** Ends what goes on without end: an interrupt. */
  readonly signal: AbortSignal;
  /** Lines for people beside the answer, on standard error. */
  readonly note: (text: string) => void;
}

/** One object in a line. */
export function jsonLine(record: object): string {
  return `${JSON.stringify(record)}\n`;
}
