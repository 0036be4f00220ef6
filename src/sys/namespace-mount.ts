/** Where a namespace is mounted, as `ip netns` does it. */

import { readFileSync } from "node:fs";
import { parseMounts } from "./mountinfo.ts";

/** A namespace's file, as /proc/self/mountinfo has it. */
export interface NamespaceMount {
  /** Such as `net:[4026532000]`. */
  readonly root: string;
  readonly point: string;
}

export const MOUNTINFO = "/proc/self/mountinfo";

/** Whether the namespace's file is there still; true where nobody can tell. */
export function isMounted(mount: NamespaceMount, text = readMounts()): boolean {
  if (text === undefined) return true;
  return parseMounts(text).some(({ root, point }) => root === mount.root && point === mount.point);
}

function readMounts(): string | undefined {
  try {
    return readFileSync(MOUNTINFO, "utf8");
  } catch {
    return undefined;
  }
}
