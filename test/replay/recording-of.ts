/** Recordings in memory. */
import type { RecordingSource } from "../../src/replay/record-reader.ts";

/** A recording in memory. */
export function recordingOf(octets: Uint8Array): RecordingSource {
  let at = 0;
  return {
    read(target) {
      const part = octets.subarray(at, at + target.length);
      target.set(part);
      at += part.length;
      return part.length;
    },
  };
}
