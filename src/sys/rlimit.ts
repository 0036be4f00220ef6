/**
 * How many descriptors this process may have, and how many it has.
 * Source: prlimit(2), proc_pid_fd(5).
 */
import { readdirSync } from "node:fs";
import type { Libc } from "./libc.ts";

const RLIMIT_NOFILE = 7;
const SELF = 0;
/** struct rlimit: soft limit u64, hard limit u64. */
const OLD_OFFSET = 16;

/**
 * Raises the limit of descriptors as far as it goes without a privilege: to the hard limit.
 * @returns what it is now, or the negative errno
 */
export function raiseDescriptors(sys: Libc): number {
  const { scratch } = sys;
  const result = sys.prlimit(SELF, RLIMIT_NOFILE, 0, scratch.address + OLD_OFFSET);
  if (result < 0) return result;
  const soft = scratch.getU64(OLD_OFFSET);
  const hard = scratch.getU64(OLD_OFFSET + 8);
  if (soft >= hard) return hard;
  scratch.setU64(0, hard);
  scratch.setU64(8, hard);
  const raised = sys.prlimit(SELF, RLIMIT_NOFILE, scratch.address, 0);
  return raised < 0 ? soft : hard;
}

/** Descriptors in use, about; 0 where /proc does not tell. */
export function descriptorsInUse(): number {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return 0;
  }
}
