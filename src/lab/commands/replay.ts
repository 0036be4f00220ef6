/**
 * `replay`: does again what a recorded engine did, and says where it first differs.
 */

import { closeSync, openSync, readSync } from "node:fs";
import process from "node:process";
import { engineBytes } from "../../assets.ts";
import { quote } from "../../config/errors.ts";
import { loadEngine } from "../../engine/instance.ts";
import { detectSimd } from "../../engine/module.ts";
import { hashOctets } from "../../lib/hash64.ts";
import { messageOf } from "../../lib/message.ts";
import type { ReplayResult } from "../../replay/difference.ts";
import type { RecordingSource } from "../../replay/record-reader.ts";
import { type ReplayEngine, replayRecording } from "../../replay/replayer.ts";
import { describeResult } from "./replay-report.ts";

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
