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

import { closeSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import {
  type MemoryGroup,
  memoryGroup,
  octetsOf,
  read,
  UNLIMITED,
  VERSION_1,
  VERSION_2,
  type Version,
} from "./memory-group.ts";

/** Octets of `memory.stat` that are looked at; it has some 60 short lines. */
const STAT_SIZE = 8192;
const NUMBER_SIZE = 64;

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
