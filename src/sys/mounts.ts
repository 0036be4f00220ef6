/** What is mounted in this mount namespace, from /proc/self/mountinfo. */

import { readFileSync } from "node:fs";

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
  return text.split("\n").some((line) => {
    // id, parent, device, root, mount point, …; blanks are written as \040.
    const [, , , root, point = ""] = line.split(" ");
    return root === mount.root && plainOf(point) === mount.point;
  });
}

function readMounts(): string | undefined {
  try {
    return readFileSync(MOUNTINFO, "utf8");
  } catch {
    return undefined;
  }
}

function plainOf(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
