/** Recordings that are written record by record, as no engine needs to have lived them. */
import assert from "node:assert/strict";
import type { ReplayResult } from "../../src/replay/difference.ts";
import { ENDINGS, KIND } from "../../src/replay/format.ts";
import { RecordWriter } from "../../src/replay/record-writer.ts";
import { replayRecording } from "../../src/replay/replayer.ts";
import * as abi from "../../wasm/abi.ts";
import { type FakeEngine, pattern } from "./fake-engine.ts";
import { recordingOf } from "./recording-of.ts";
import { BUILD, MemorySink } from "./support.ts";

/** The memory lies at 0, as that of `FakeEngine`. */
export const CONFIG = pattern(abi.CONFIG_SIZE, 5);
CONFIG.fill(0, abi.CONFIG_HOST_BASE_LO_OFFSET, abi.CONFIG_HOST_BASE_LO_OFFSET + 8);

/** A recording whose records are written one by one. */
export class Script {
  readonly #sink = new MemorySink();
  readonly writer = new RecordWriter(this.#sink, BUILD, Number.POSITIVE_INFINITY);

  /** A start with CONFIG and result 0. */
  start(config = CONFIG): this {
    return this.record(KIND.start, (writer) => {
      writer.blob(config);
      writer.word(0);
    });
  }

  record(kind: number, write: (writer: RecordWriter) => void = () => {}): this {
    this.writer.begin(kind);
    write(this.writer);
    this.writer.commit();
    return this;
  }

  /** A record of words, behind a time where there is one. */
  words(kind: number, time: number | undefined, ...words: number[]): this {
    return this.record(kind, (writer) => {
      if (time !== undefined) writer.float(time);
      for (const word of words) writer.word(word);
    });
  }

  /** Ends it without frames. */
  end(reason: number = ENDINGS.indexOf("closed")): Uint8Array {
    this.words(KIND.end, undefined, reason, 0);
    return this.octets;
  }

  get octets(): Uint8Array {
    this.writer.flush();
    return this.#sink.octets;
  }
}

/** Replays on an engine that notes its calls. */
export function replayOn(engine: FakeEngine, octets: Uint8Array): ReplayResult {
  return replayRecording(recordingOf(octets), () => ({ module: engine.module, build: BUILD }));
}

export function assertEqual({ difference }: ReplayResult): void {
  assert.equal(difference, undefined);
}
