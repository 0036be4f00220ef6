/**
 * The memory limit of the control group this process is in, and what the group takes of it.
 *
 * Theory of operation
 *   A process is in one group of each hierarchy (/proc/self/cgroup), a hierarchy is mounted
 *   somewhere, whole or from some group on (/proc/self/mountinfo). The limits of a group and of all
 *   above it hold together, so the least of those that can be seen counts; what is above a
 *   container's own root cannot be seen, and is no less as a rule.
 *
 *     version 2   memory.max (beyond it the kernel kills) and memory.high (beyond it it slows down)
 *     version 1   memory.limit_in_bytes; sockets are counted apart, memory.kmem.tcp.usage_in_bytes
 *
 *   A path of another namespace (it starts with `/..`) and one that does not begin with the mount's
 *   root both mean that the mount's own root is what there is to see.
 *
 *   Where a process has no hierarchy mounted at all (`ip netns exec` mounts another /sys), those of
 *   the nearest ancestor that has are looked at, through its root in /proc, if that is allowed.
 *
 *   Whoever gives up rights may not look through another process's root any more, so the group is
 *   looked for before that and held by a descriptor (`holdMemoryGroup`).
 *
 *   Used is what the kernel cannot take back without harm: usage without the page cache, but for
 *   `cacheNeeded` of it, the part of the program's own file that it runs on. Two short files are
 *   read for that, by descriptors that stay open, so that it works when none is left.
 *
 * Nothing here throws: where there is no /proc, no such hierarchy or no limit there is no group.
 * Source: Linux, Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst, cgroups(7),
 * cgroup_namespaces(7), proc_pid_mountinfo(5).
 */
import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { type MountPoint, parseMounts } from "./mountinfo.ts";

/** A limit of version 1 that is none: the largest number of pages. */
const UNLIMITED = 2 ** 62;
const DEPTH_MAX = 64;
const ANCESTORS_MAX = 16;
/** Octets of `memory.stat` that are looked at; it has some 60 short lines. */
const STAT_SIZE = 8192;
const NUMBER_SIZE = 64;

interface Version {
  readonly limits: readonly string[];
  readonly usage: readonly string[];
  /** Fields of memory.stat: all page cache, and what of it is in no file. */
  readonly cache: RegExp;
  readonly shared: RegExp;
}

const VERSION_1: Version = {
  limits: ["memory.limit_in_bytes"],
  usage: ["memory.usage_in_bytes", "memory.kmem.tcp.usage_in_bytes"],
  cache: /^total_cache (\d+)$/m,
  shared: /^total_shmem (\d+)$/m,
};

const VERSION_2: Version = {
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

/**
 * The same group, reached from now on through a descriptor that stays open: by every thread,
 * whatever rights the process has given up meanwhile.
 */
export function holdMemoryGroup(root = ""): MemoryGroup | undefined {
  const group = memoryGroup(root);
  if (group === undefined) return undefined;
  try {
    return { ...group, folder: `/proc/self/fd/${openSync(group.folder, "r")}` };
  } catch {
    return group; // whoever opens its files hears why
  }
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
function octetsOf(text: string): number {
  return /^\d{1,20}\s*$/.test(text) ? Number(text) : UNLIMITED;
}

/** A file's text; none where it cannot be read. */
function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}

/** Memory of the whole machine in octets; undefined where /proc does not tell. */
export function memoryTotal(root = ""): number | undefined {
  const text = read(join(root, "/proc/meminfo"));
  const kib = /^MemTotal:\s+(\d+) kB$/m.exec(text)?.[1];
  return kib === undefined ? undefined : Number(kib) * 1024;
}

/** Reads what a group uses, again and again. */
export class MemoryGauge {
  readonly #version: Version;
  readonly #cacheNeeded: number;
  readonly #usage: number[] = [];
  readonly #stat: number;
  readonly #buffer = new Uint8Array(STAT_SIZE);

  /**
   * @param cacheNeeded octets of page cache that count as used
   * @throws Error where the group cannot be looked at
   */
  constructor(group: MemoryGroup, cacheNeeded: number) {
    this.#version = group.version === 1 ? VERSION_1 : VERSION_2;
    this.#cacheNeeded = cacheNeeded;
    this.#stat = openSync(join(group.folder, "memory.stat"), "r");
    this.#version.usage.forEach((file, i) => {
      try {
        this.#usage.push(openSync(join(group.folder, file), "r"));
      } catch (error) {
        if (i > 0) return; // kernels without a count of sockets
        closeSync(this.#stat);
        throw error;
      }
    });
  }

  /** Octets in use that cannot be taken back; undefined when it cannot be told. */
  used(): number | undefined {
    if (this.#usage.length === 0) return undefined; // closed
    let usage = 0;
    for (const fd of this.#usage) {
      const octets = octetsOf(this.#read(fd, NUMBER_SIZE));
      if (octets >= UNLIMITED) return undefined;
      usage += octets;
    }
    const stat = this.#read(this.#stat, STAT_SIZE);
    const cache = field(stat, this.#version.cache) - field(stat, this.#version.shared);
    return usage - Math.max(0, cache - this.#cacheNeeded);
  }

  close(): void {
    for (const fd of this.#usage.splice(0)) closeSync(fd);
    closeSync(this.#stat);
  }

  #read(fd: number, size: number): string {
    try {
      const length = readSync(fd, this.#buffer, 0, size, 0);
      return String.fromCharCode(...this.#buffer.subarray(0, length));
    } catch {
      return ""; // the group is gone, or there is no memory for the answer
    }
  }
}

/** What a pattern finds of a number; 0 = nothing. */
function field(stat: string, pattern: RegExp): number {
  return Number(pattern.exec(stat)?.[1] ?? 0);
}
