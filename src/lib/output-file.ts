/**
 * A file that octets are appended to in large pieces: captures and recordings. Only its owner can
 * read it: it holds the guest's traffic.
 */
import { closeSync, openSync, writeSync } from "node:fs";

/** Where octets go. Methods may throw; whoever writes ends then. */
export interface OutputSink {
  write(bytes: Uint8Array): void;
  close(): void;
}

/** A sink that writes a new file. @throws Error of node:fs */
export function openOutputFile(path: string): OutputSink {
  const fd = openSync(path, "w", 0o600);
  return {
    write(bytes) {
      // A disk that is nearly full may take a part only.
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, bytes.length - at);
    },
    close: () => closeSync(fd),
  };
}
