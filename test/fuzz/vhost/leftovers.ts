/** What a run must not leave behind in its process: descriptors, and mappings of guests' files. */
import { readdirSync, readFileSync } from "node:fs";

export interface Holdings {
  readonly descriptors: number;
  readonly mappings: number;
}

export function holdings(): Holdings {
  const maps = readFileSync("/proc/self/maps", "latin1");
  return {
    descriptors: readdirSync("/proc/self/fd").length,
    mappings: maps.split("\n").filter((line) => line.includes("/memfd:guest-ram")).length,
  };
}
