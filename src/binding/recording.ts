/**
 * The recording of a guest network, where one was asked for: the file, and the log lines that tell
 * of it. See `src/replay/format.ts` for what is recorded.
 */
import { renameSync, statSync } from "node:fs";
import type { AttachOptions } from "../config/config.ts";
import type { EngineModule } from "../engine/module.ts";
import { hashOctets } from "../lib/hash64.ts";
import type { Logger } from "../lib/log.ts";
import { openOutputFile } from "../lib/output-file.ts";
import { Recorder } from "../replay/recorder.ts";

const MIB = 1 << 20;

/** An engine, recorded or not. */
export interface RecordedEngine {
  readonly module: EngineModule;
  /** Ends the recording, if there is one. */
  close(): void;
}

/**
 * Puts a recorder before the engine if `options` say so.
 * @param octets what the engine was loaded from
 * @throws {Error} when the file cannot be written
 */
export function recordEngine(
  module: EngineModule,
  octets: Uint8Array,
  options: Pick<AttachOptions, "record" | "recordLimitMib">,
  log: Logger,
): RecordedEngine {
  const { record: file, recordLimitMib } = options;
  if (file === undefined) return { module, close: () => {} };
  keepOlder(file);
  const recorder = new Recorder(module, {
    sink: openOutputFile(file),
    build: hashOctets(octets),
    limit: recordLimitMib * MIB,
    onStop: (reason, size) => {
      const fields = { file, octets: size };
      if (reason === "limit") log.info(fields, "recording ends at its limit");
      else log.warn(fields, "recording ends: its file cannot be written");
    },
  });
  log.info({ file }, "recording");
  return recorder;
}

/** A network that has failed is started again: what led to it is what the recording is for. */
function keepOlder(file: string): void {
  if (statSync(file, { throwIfNoEntry: false })?.isFile() !== true) return;
  renameSync(file, `${file}.old`);
}
