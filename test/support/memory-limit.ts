/**
 * A memory limit by a control group of the test's own, as a container runtime sets one: what the
 * processes in it take together, pages of files that they were the first to read included.
 *
 * Contract: needs root and a hierarchy that may be written to, version 1 or 2; where there is none,
 * `limitMemory` gives undefined. A process that goes beyond the limit is killed by the kernel, and
 * `kills` counts it.
 * Source: Linux, Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst.
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { onEnd, until } from "./e2e/shell.ts";

interface Version {
  readonly hierarchy: string;
  /** Files of a group. */
  readonly limit: string;
  readonly peak: string;
  readonly events: string;
  /** What is in no file, in octets, among the lines of `memory.stat`. */
  readonly own: string;
}

const VERSIONS: readonly Version[] = [
  {
    hierarchy: "/sys/fs/cgroup/memory",
    limit: "memory.limit_in_bytes",
    peak: "memory.max_usage_in_bytes",
    events: "memory.oom_control",
    own: "rss",
  },
  {
    hierarchy: "/sys/fs/cgroup",
    limit: "memory.max",
    peak: "memory.peak",
    events: "memory.events",
    own: "anon",
  },
];

let count = 0;

export class MemoryLimit {
  /** The group's folder; a process joins by writing "0" into `cgroup.procs` there. */
  readonly folder: string;
  readonly #version: Version;
  readonly #forget: () => void;

  constructor(folder: string, version: Version, octets: number) {
    this.folder = folder;
    this.#version = version;
    this.#forget = onEnd(() => this.#drop());
    writeFileSync(join(folder, version.limit), String(octets));
  }

  /** Most that was taken at a time, in octets. */
  peak(): number {
    return Number(this.#read(this.#version.peak));
  }

  /** What is taken now by no file, in octets: it cannot be taken back. */
  own(): number {
    return this.#field("memory.stat", this.#version.own);
  }

  /** Processes that were killed for want of memory. */
  kills(): number {
    return this.#field(this.#version.events, "oom_kill");
  }

  /** Takes the group away, once its processes have ended. */
  async remove(): Promise<void> {
    const isEmpty = (): boolean => this.#read("cgroup.procs") === "";
    await until(isEmpty, `no process in "${this.folder}"`);
    this.#forget();
    this.#drop();
  }

  #read(file: string): string {
    return readFileSync(join(this.folder, file), "utf8");
  }

  #field(file: string, name: string): number {
    return Number(new RegExp(`^${name} (\\d+)$`, "m").exec(this.#read(file))?.[1]);
  }

  #drop(): void {
    rmdirSync(this.folder);
  }
}

/** A new group with this limit; undefined where none can be had. */
export function limitMemory(octets: number): MemoryLimit | undefined {
  count += 1;
  for (const version of VERSIONS) {
    const folder = join(version.hierarchy, `slirp-test-${process.pid}-${count}`);
    if (!existsSync(join(version.hierarchy, "cgroup.procs"))) continue;
    try {
      mkdirSync(folder);
    } catch {
      continue; // read-only
    }
    if (existsSync(join(folder, version.limit))) return new MemoryLimit(folder, version, octets);
    rmdirSync(folder); // the hierarchy has no memory in it
  }
  return undefined;
}

/** Put before a command line, also inside a namespace with another /sys, it runs in the group. */
export function joining(limit: MemoryLimit): string[] {
  const file = `/proc/${process.pid}/root${limit.folder}/cgroup.procs`;
  return ["sh", "-c", `echo 0 >${file} && exec "$@"`, "sh"];
}
