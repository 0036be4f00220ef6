/** Trees of files as a process sees them in a control group of version 1 or 2. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

export const MIB = 1 << 20;
export const V2 = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
export const V1 = [
  "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755",
  "34 31 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct",
  "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
  "",
].join("\n");

/** Calls with a folder that holds these files, then takes it away. */
export function withTree(
  files: Readonly<Record<string, string>>,
  run: (root: string) => void,
): void {
  const root = mkdtempSync(join(tmpdir(), "slirp-cgroup-"));
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    run(root);
  } finally {
    rmSync(root, { recursive: true });
  }
}

/** A tree of version 2 with the process in `group`. */
export function second(
  group: string,
  files: Readonly<Record<string, string>>,
): Record<string, string> {
  const named = Object.entries(files).map(([path, text]) => [`sys/fs/cgroup/${path}`, text]);
  return {
    "proc/self/cgroup": `0::${group}\n`,
    "proc/self/mountinfo": V2,
    ...Object.fromEntries(named),
  };
}
