/**
 * Captures for the check that follows a run of the end-to-end tests (`scripts/captures.mjs`).
 *
 * With `E2E_CAPTURES=FOLDER` every program that the tests start writes what passes its link into a
 * file of its own in that folder; a test that captures for itself keeps its own file.
 */

import { chmodSync, copyFileSync } from "node:fs";
import { basename, join } from "node:path";
import process from "node:process";

/** Frames are wanted whole, so it is the file that is bounded. */
const LIMIT_MIB = "256";

let counter = 0;

function capturePath(suffix: string): string | undefined {
  const folder = process.env["E2E_CAPTURES"];
  if (folder === undefined || folder === "") return undefined;
  counter += 1;
  return join(folder, `${process.pid}-${counter}${suffix}.pcap`);
}

/** Environment of a program whose link leaves checksums to the kernel, or does not. */
export function captureSettings(hasOffloads: boolean): Readonly<Record<string, string>> {
  const path = capturePath(hasOffloads ? "" : "-sums");
  return path === undefined ? {} : { SLIRP_PCAP: path, SLIRP_PCAP_LIMIT: LIMIT_MIB };
}

/** Hands captures over that a program has made by itself. */
export function keepCaptures(files: readonly string[]): void {
  for (const file of files) {
    const path = capturePath(`-${basename(file, ".pcap")}`);
    if (path === undefined) return;
    copyFileSync(file, path);
    chmodSync(path, 0o600);
  }
}
