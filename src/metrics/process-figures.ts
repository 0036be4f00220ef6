/** Figures of this process, as Linux has them. */
import { readdirSync } from "node:fs";

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

/** Not counting the one that lists them. */
function openDescriptors(): number {
  return readdirSync("/proc/self/fd").length - 1;
}
