/** Figures of this process, as Linux has them. */
import { readdirSync, statSync } from "node:fs";

const DESCRIPTORS = "/proc/self/fd";

export interface ProcessFigures {
  readonly version: string;
  readonly residentBytes: number;
  /** User and system together. */
  readonly cpuSeconds: number;
  readonly descriptors: number;
  /** Since 1970. */
  readonly startSeconds: number;
}

/** What of the process is asked for; `process` has it. */
export interface ProcessLike {
  readonly memoryUsage: { rss(): number };
  cpuUsage(): { readonly user: number; readonly system: number };
}

/** @param startSeconds when it began */
export function processFigures(
  of: ProcessLike,
  version: string,
  startSeconds: number,
): ProcessFigures {
  const { user, system } = of.cpuUsage();
  return {
    version,
    residentBytes: of.memoryUsage.rss(),
    cpuSeconds: (user + system) / 1e6,
    descriptors: openDescriptors(),
    startSeconds,
  };
}

/**
 * Descriptors in use. The size of the folder is their number since Linux 6.2; before it is 0, and
 * they are listed, which takes a millisecond for each thousand. Source: proc(5).
 */
function openDescriptors(): number {
  const { size } = statSync(DESCRIPTORS);
  return size > 0 ? size : readdirSync(DESCRIPTORS).length - 1; // not the one that lists them
}
