/**
 * `replay`: does again what a recorded engine did, and says where it first differs.
 */

import { closeSync, openSync, readSync } from "node:fs";
import process from "node:process";
import { engineBytes } from "../../assets.ts";
import { quote } from "../../config/errors.ts";
import { detectSimd, loadEngine } from "../../engine/module.ts";
import { hashOctets } from "../../lib/hash64.ts";
import { messageOf } from "../../lib/message.ts";
import type { Difference, Output, ReplayResult } from "../../replay/difference.ts";
import type { RecordingSource } from "../../replay/record-reader.ts";
import { type ReplayEngine, replayRecording } from "../../replay/replayer.ts";
import { describeFrame, describeRequest } from "../sim/describe.ts";

const ETHERNET_SIZE = 14;

/** Prints a verdict; resolves to the exit code. */
export async function replay(file: string): Promise<number> {
  let result: ReplayResult;
  try {
    result = replayFile(file);
  } catch (error) {
    const problem = messageOf(error);
    process.stderr.write(`slirp-binding: replay ${quote(file)}: ${problem}\n`);
    return 1;
  }
  process.stdout.write(`${describeResult(result).join("\n")}\n`);
  return result.difference === undefined ? 0 : 1;
}

function replayFile(file: string): ReplayResult {
  const fd = openSync(file, "r");
  try {
    const source: RecordingSource = { read: (target) => readSync(fd, target) };
    return replayRecording(source, engineFor);
  } finally {
    closeSync(fd);
  }
}

/** The build that was recorded, if it is one of ours; else the one that would run here. */
function engineFor(build: string): ReplayEngine {
  const isFast = detectSimd();
  const builds = (isFast ? [true, false] : [false]).map(engineBytes);
  const octets = builds.find((each) => hashOctets(each) === build) ?? builds[0];
  if (octets === undefined) throw new Error("there is no engine");
  return { module: loadEngine(octets), build: hashOctets(octets) };
}

/** The verdict, in lines for people. */
export function describeResult(result: ReplayResult): string[] {
  const { calls, turns, framesIn, framesOut, operations, elapsed, ending, difference } = result;
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
