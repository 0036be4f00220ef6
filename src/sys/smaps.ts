/** Mappings of a file that nobody has changed, from /proc/self/smaps. */

const HEAD = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \S+\s*(.*)$/;
const CHANGED = /^(?:Private_Dirty|Anonymous|Swap|Locked):\s+(\d+) kB$/;

/** A mapping of `[start, end)` in which nothing was changed. */
export interface CleanMapping {
  readonly start: number;
  readonly end: number;
}

/** Read-only mappings of the file `path` that hold nothing but the file's own content. */
export function cleanMappings(smaps: string, path: string): CleanMapping[] {
  const found: CleanMapping[] = [];
  let current: CleanMapping | undefined;
  for (const line of smaps.split("\n")) {
    const head = HEAD.exec(line);
    if (head !== null) {
      if (current !== undefined) found.push(current);
      const [start, end, access, name] = head.slice(1) as [string, string, string, string];
      const readOnly = access[1] === "-" && access[3] === "p";
      current =
        readOnly && name === path
          ? { start: Number.parseInt(start, 16), end: Number.parseInt(end, 16) }
          : undefined;
    } else if (Number(CHANGED.exec(line)?.[1] ?? 0) > 0) current = undefined;
  }
  if (current !== undefined) found.push(current);
  return found;
}
