/** Recordings in memory: a simulated run that is recorded, and what is in a recording. */
import { instantiateEngine } from "../../src/engine/instance.ts";
import type { Plan } from "../../src/lab/sim/plan.ts";
import { planFromSeed } from "../../src/lab/sim/scenario.ts";
import { simulatedEngine } from "../../src/lab/sim/simulated-engine.ts";
import { Trace } from "../../src/lab/sim/trace.ts";
import type { WorldResult } from "../../src/lab/sim/verdict.ts";
import { World } from "../../src/lab/sim/world.ts";
import { concat } from "../../src/lib/bytes.ts";
import { Hash64 } from "../../src/lib/hash64.ts";
import type { OutputSink } from "../../src/lib/output-file.ts";
import type { ReplayResult } from "../../src/replay/difference.ts";
import { FILE_HEADER_SIZE } from "../../src/replay/format.ts";
import { Recorder } from "../../src/replay/recorder.ts";
import { replayRecording } from "../../src/replay/replayer.ts";
import { recordingOf } from "./recording-of.ts";

/** Stands for the hash of the engine that is recorded. */
export const BUILD = "0123456789abcdef";

/** Keeps what is written. */
export class MemorySink implements OutputSink {
  parts: Uint8Array[] = [];
  closes = 0;

  write(bytes: Uint8Array): boolean {
    this.parts.push(bytes.slice());
    return true;
  }

  close(): void {
    this.closes += 1;
  }

  get octets(): Uint8Array {
    return concat(...this.parts);
  }
}

export interface RecordedRun {
  readonly result: WorldResult;
  readonly octets: Uint8Array;
  readonly stops: readonly string[];
}

/** Runs a seed of the simulator with a recorder before the engine. */
export function recordSeed(seed: number, limit = Number.POSITIVE_INFINITY): RecordedRun {
  return recordPlan(planFromSeed(seed), limit);
}

/** The same for a plan in which the engine is not restarted. */
export function recordPlan(plan: Plan, limit = Number.POSITIVE_INFINITY): RecordedRun {
  const sink = new MemorySink();
  const stops: string[] = [];
  let recorder: Recorder | undefined;
  const world = new World(simulatedEngine(), plan, new Trace(), {
    instantiate: (module) => {
      const onStop = (reason: "limit" | Error): void => {
        stops.push(reason instanceof Error ? reason.message : reason);
      };
      recorder = new Recorder(instantiateEngine(module), { sink, build: BUILD, limit, onStop });
      return recorder.module;
    },
  });
  const result = world.run();
  recorder?.close();
  return { result, octets: sink.octets, stops };
}

export function replay(octets: Uint8Array, build = BUILD): ReplayResult {
  return replayRecording(recordingOf(octets), () => ({
    module: instantiateEngine(simulatedEngine()),
    build,
  }));
}

/** A recording with other bodies, `change` gets each, and check values that agree with them. */
export function resealed(
  octets: Uint8Array,
  change: (kind: number, body: Int32Array) => void,
): Uint8Array {
  const file = octets.slice();
  const words = new Int32Array(file.buffer);
  const hash = new Hash64();
  const start = FILE_HEADER_SIZE >> 2;
  hash.mixWords(words, 0, start);
  for (let at = start; at < words.length; ) {
    const first = words[at] ?? 0;
    const body = words.subarray(at + 2, at + 2 + (first >>> 10));
    change(first & 0xff, body);
    hash.mix(first);
    hash.mixWords(body, 0, body.length);
    words[at + 1] = hash.low;
    at += 2 + body.length;
  }
  return file;
}
