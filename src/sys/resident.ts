/**
 * Gives back the pages of the program file that only starting needed.
 *
 * The runtime is a file of 110 MB; starting it touches some 40 MB, most of them never again. Clean
 * pages of a file mapping can be let go at any time: a page that is needed after all comes back
 * from the page cache by a minor fault. What a mapping has changed must stay, so a mapping counts
 * only when the kernel says that nothing in it is private to us. Source: madvise(2) MADV_DONTNEED,
 * proc(5) smaps.
 *
 * Finding them takes milliseconds, so nothing that others can make happen often does it at once:
 * `releaseProgramPagesLater` waits until nobody has called it for a while.
 */

import { readFileSync } from "node:fs";
import { clearTimeout, setTimeout } from "node:timers";
import type { Libc } from "./libc.ts";
import { cleanMappings } from "./smaps.ts";

const MADV_DONTNEED = 4;
const PAGE_SIZE = 4096;
/**
 * How long after the last call: behind the runtime's first look at its heap, and once more when it
 * looks only twice a minute because nothing changes.
 */
const QUIET_ms: readonly number[] = [2500, 35_000];
const SMAPS_PATH = "/proc/self/smaps";
/** Lets the program file's pages go. Does nothing where /proc does not tell; never throws. */
export function releaseProgramPages(sys: Libc, path: string): void {
  let smaps: string;
  try {
    smaps = readFileSync(SMAPS_PATH, "latin1");
  } catch {
    return; // without /proc the pages stay, which costs memory and nothing else
  }
  for (const { start, end } of cleanMappings(smaps, path)) {
    sys.madvise(start, end - start, MADV_DONTNEED);
  }
}

let pending: ReturnType<typeof setTimeout> | undefined;

/** The same as soon as it has been quiet, and once more much later. Keeps no process alive. */
export function releaseProgramPagesLater(
  sys: Libc,
  path: string,
  release = releaseProgramPages,
  quiet_ms = QUIET_ms,
): void {
  clearTimeout(pending);
  const [first, ...rest] = quiet_ms;
  if (first === undefined) return;
  pending = setTimeout(() => {
    release(sys, path);
    releaseProgramPagesLater(sys, path, release, rest);
  }, first);
  pending.unref();
}

/**
 * Gives back the pages of memory whose content nobody needs any more; it reads as zeros from then
 * on. The runtime would do so when its collector comes to it, which may be late.
 * @param address of a page
 */
export function forgetPages(sys: Libc, address: number, length: number): void {
  sys.madvise(address, length, MADV_DONTNEED);
}

/** The same of the whole pages within some octets, which need not begin with one. */
export function forgetOctets(sys: Libc, octets: Uint8Array): void {
  const start = sys.address(octets);
  const first = Math.ceil(start / PAGE_SIZE) * PAGE_SIZE;
  const end = Math.floor((start + octets.length) / PAGE_SIZE) * PAGE_SIZE;
  if (end > first) forgetPages(sys, first, end - first);
}

/**
 * Gives back what a large piece of work has left, where the runtime can be asked to (Bun). Takes
 * some milliseconds.
 */
export function collectGarbage(): void {
  const { Bun: bun } = globalThis as unknown as { Bun?: { gc(wait: boolean): void } };
  bun?.gc(true);
}
