/** The control group whose limit of memory is the tightest for this process. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type MountPoint, parseMounts } from "./mountinfo.ts";

/** A limit of version 1 that is none: the largest number of pages. */
export const UNLIMITED = 2 ** 62;
const DEPTH_MAX = 64;
const ANCESTORS_MAX = 16;

export interface Version {
  readonly limits: readonly string[];
  readonly usage: readonly string[];
  /** Fields of memory.stat: all page cache, and what of it is in no file. */
  readonly cache: RegExp;
  readonly shared: RegExp;
}

export const VERSION_1: Version = {
  limits: ["memory.limit_in_bytes"],
  usage: ["memory.usage_in_bytes", "memory.kmem.tcp.usage_in_bytes"],
  cache: /^total_cache (\d+)$/m,
  shared: /^total_shmem (\d+)$/m,
};

export const VERSION_2: Version = {
  limits: ["memory.max", "memory.high"],
  usage: ["memory.current"],
  cache: /^file (\d+)$/m,
  shared: /^shmem (\d+)$/m,
};

/** A control group whose memory is limited. */
export interface MemoryGroup {
  /** Octets. */
  readonly limit: number;
  /** The file that says so. */
  readonly source: string;
  readonly version: 1 | 2;
  /** The group's folder. */
  readonly folder: string;
}

/** The tightest limit that holds for this process; `root` stands before every path, for tests. */
export function memoryGroup(root = ""): MemoryGroup | undefined {
  const proc = join(root, "/proc");
  const groups = read(join(proc, "self/cgroup"));
  const own = read(join(proc, "self/mountinfo"));
  const found = tightest(groups, own, root);
  if (found !== undefined || hasHierarchy(own)) return found;
  let pid = parentOf(join(proc, "self"));
  for (let depth = 0; pid > 0 && depth < ANCESTORS_MAX; depth += 1) {
    const folder = join(proc, String(pid));
    const mounts = read(join(folder, "mountinfo"));
    if (hasHierarchy(mounts)) return tightest(groups, mounts, join(folder, "root"));
    pid = parentOf(folder);
  }
  return undefined;
}

/** Whether any hierarchy with memory in it can be seen. */
function hasHierarchy(mounts: string): boolean {
  return mountOf(mounts, "cgroup") !== undefined || mountOf(mounts, "cgroup2") !== undefined;
}

/** Parent of the process with this folder; 0 = none. Its name may hold anything but a newline. */
function parentOf(folder: string): number {
  return Number(/^\d+ \(.*\) \S (\d+) /s.exec(read(join(folder, "stat")))?.[1] ?? 0);
}

/** As the hierarchies are mounted below `root`. */
function tightest(groups: string, mounts: string, root: string): MemoryGroup | undefined {
  const first = pathOf(groups, (name) => name === "memory");
  const second = pathOf(groups, (name) => name === "");
  const found = [
    ...limitsOf(root, first, mountOf(mounts, "cgroup"), 1),
    ...limitsOf(root, second, mountOf(mounts, "cgroup2"), 2),
  ];
  return found.reduce<MemoryGroup | undefined>(
    (least, each) => (least === undefined || each.limit < least.limit ? each : least),
    undefined,
  );
}

/** Path of the group in the hierarchy with such a controller. */
function pathOf(text: string, wanted: (controller: string) => boolean): string | undefined {
  for (const line of text.split("\n")) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers?.split(",").some(wanted)) return path;
  }
  return undefined;
}

/** Where a hierarchy is mounted: of version 1 the one with memory in it. */
function mountOf(text: string, type: "cgroup" | "cgroup2"): MountPoint | undefined {
  return parseMounts(text).find(
    (mount) =>
      mount.type === type && (type === "cgroup2" || mount.options.split(",").includes("memory")),
  );
}

function limitsOf(
  root: string,
  path: string | undefined,
  mount: MountPoint | undefined,
  version: 1 | 2,
): MemoryGroup[] {
  if (path === undefined || mount === undefined) return [];
  const { limits } = version === 1 ? VERSION_1 : VERSION_2;
  const found: MemoryGroup[] = [];
  const parts = below(path, mount.root);
  for (let depth = Math.min(parts.length, DEPTH_MAX); depth >= 0; depth -= 1) {
    const folder = join(root, mount.point, ...parts.slice(0, depth));
    for (const file of limits) {
      const source = join(folder, file);
      const limit = octetsOf(read(source));
      if (limit < UNLIMITED) found.push({ limit, source, version, folder });
    }
  }
  return found;
}

/** Names of the folders from the mount's root to the group. */
function below(path: string, mountRoot: string): string[] {
  const base = mountRoot === "/" ? "" : mountRoot;
  const isInside = path === base || path.startsWith(`${base}/`);
  const parts = isInside ? path.slice(base.length).split("/") : [];
  const names = parts.filter((part) => part !== "");
  return names.includes("..") ? [] : names;
}

/** A number of octets; "max", nothing and nonsense are no limit. */
export function octetsOf(text: string): number {
  return /^\d{1,20}\s*$/.test(text) ? Number(text) : UNLIMITED;
}

/** A file's text; none where it cannot be read. */
export function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
