/** What `replay` prints of a result. */

import type { Difference, Output, ReplayResult } from "../../replay/difference.ts";
import { describeFrame, describeRequest } from "../sim/describe.ts";

const ETHERNET_SIZE = 14;

/** The verdict, in lines for people. */
export function describeResult(result: ReplayResult): string[] {
  const { calls, turns, framesIn, framesOut, operations } = result;
  const { elapsed, ending, digest, difference } = result;
  const seconds = (elapsed / 1e6).toFixed(6);
  const other = result.isOtherBuild ? ["note: another build of the engine was recorded"] : [];
  if (difference !== undefined) return [...describeDifference(result, difference), ...other];
  const ended = {
    closed: "",
    limit: "; the recording ended at its limit",
    trap: "; the engine trapped as it did then",
  }[ending];
  return [
    `equal: ${calls} calls in ${turns} turns of ${seconds} s${ended}`,
    `  ${framesIn} frames from the guest, ${framesOut} to it, ${operations} operations`,
    `  digest ${digest}`,
    ...other,
  ];
}

function describeDifference({ vnetSize }: ReplayResult, difference: Difference): string[] {
  const { call, name, time, what, expected, actual } = difference;
  const same = "  (the same in what is shown: it differs further on)";
  const lines = [expected, actual].map((output) => describeOutput(output, vnetSize));
  return [
    `differs at call ${call} (${name}), ${(time / 1e6).toFixed(6)} s after the start: ${what}`,
    `  recorded: ${lines[0]}`,
    `  replayed: ${lines[1]}`,
    ...(lines[0] === lines[1] ? [same] : []),
  ];
}

function describeOutput(output: Output, vnetSize: number): string {
  if (output === undefined) return "nothing";
  if (output.kind === "value") return output.text;
  if (output.kind === "frame") {
    const frame = output.head.subarray(vnetSize);
    const what = frame.length < ETHERNET_SIZE ? "runt" : describeFrame(frame);
    return `${what}, ${output.length - vnetSize} octets`;
  }
  return describeRequest(output);
}
