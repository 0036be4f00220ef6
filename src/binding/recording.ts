/**
 * The recording of a guest network, where one was asked for, and the log lines that tell of it. See
 * `src/replay/format.ts` for what is recorded, `outputs.ts` for who writes it.
 */
import type { CaptureOptions } from "../config/capture.ts";
import type { EngineModule } from "../engine/module.ts";
import { hashOctets } from "../lib/hash64.ts";
import type { Logger } from "../lib/log.ts";
import type { OutputSink } from "../lib/output-file.ts";
import { OutputClosed } from "../lib/ring-sink.ts";
import type { NativeCopy } from "../link/copy-buffer.ts";
import { Recorder } from "../replay/recorder.ts";

const MIB = 1 << 20;

/** An engine, recorded or not. */
export interface RecordedEngine {
  readonly module: EngineModule;
  /** Ends the recording, if there is one. */
  close(): void;
}

/**
 * Puts a recorder before the engine if there is a sink for it.
 * @param octets what the engine was loaded from
 */
export function recordEngine(
  module: EngineModule,
  octets: Uint8Array,
  sink: OutputSink | undefined,
  options: Pick<CaptureOptions, "record" | "recordLimitMib">,
  { log, native }: { readonly log: Logger; readonly native: NativeCopy },
): RecordedEngine {
  const { record: file, recordLimitMib } = options;
  if (sink === undefined) return { module, close: () => {} };
  const recorder = new Recorder(module, {
    sink,
    native,
    build: hashOctets(octets),
    limit: recordLimitMib * MIB,
    onStop: (reason, size) => {
      const fields = { file, octets: size };
      if (reason === "limit") log.info(fields, "recording stopped: limit reached");
      // Who writes the file has told why it cannot be written.
      else if (!(reason instanceof OutputClosed)) {
        log.warn({ ...fields, err: reason }, "recording stopped: cannot write its file");
      }
    },
  });
  log.info({ file }, "recording");
  return recorder;
}
