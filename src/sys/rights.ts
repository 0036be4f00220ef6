/** Users, groups and capabilities of a thread, from /proc. */

/** What a thread may do. */
export interface Rights {
  /** Real, effective, saved and file system user. */
  readonly uids: readonly number[];
  readonly gids: readonly number[];
  readonly groups: readonly number[];
  /** Bit sets by capability number. */
  readonly inheritable: bigint;
  readonly permitted: bigint;
  readonly effective: bigint;
  readonly bounding: bigint;
  readonly ambient: bigint;
  readonly noNewPrivs: boolean;
}

/** Reads what /proc tells of a thread. Throws where that is not all there. */
export function parseRights(status: string): Rights {
  const text = (name: string): string => {
    const found = new RegExp(`^${name}:[ \\t]*(.*)$`, "m").exec(status)?.[1];
    if (found === undefined) throw new Error(`/proc does not tell "${name}" of this thread`);
    return found;
  };
  const numbers = (name: string): number[] => text(name).split(/\s+/).filter(Boolean).map(Number);
  const set = (name: string): bigint => BigInt(`0x${text(name)}`);
  return {
    uids: numbers("Uid"),
    gids: numbers("Gid"),
    groups: numbers("Groups"),
    inheritable: set("CapInh"),
    permitted: set("CapPrm"),
    effective: set("CapEff"),
    bounding: set("CapBnd"),
    ambient: set("CapAmb"),
    noNewPrivs: text("NoNewPrivs") === "1",
  };
}

/** Whether a number of this user namespace stands for one of its parent, by such a map. */
export function isMapped(map: string, id: number): boolean {
  return map.split("\n").some((line) => {
    const [inside = -1, , count = 0] = line.trim().split(/\s+/).map(Number);
    return line !== "" && id >= inside && id < inside + count;
  });
}
