/** What a process holds: descriptors and memory, to be compared before and after. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";

export interface Held {
  /** What each descriptor is: `socket`, `anon_inode`, a file. */
  readonly descriptors: readonly string[];
  readonly resident_kib: number;
}

export function heldBy(pid: number): Held {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const resident_kib = Number(/^VmRSS:\s*(\d+)/m.exec(status)?.[1]);
  const folder = `/proc/${pid}/fd`;
  const descriptors = readdirSync(folder).map((fd) => kindOf(join(folder, fd)));
  return { descriptors: descriptors.sort(), resident_kib };
}

function kindOf(path: string): string {
  try {
    return readlinkSync(path).replace(/:\[\d+\]$/, "");
  } catch {
    return "closed meanwhile";
  }
}
