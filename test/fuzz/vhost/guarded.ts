/**
 * System calls whose mappings of files have a page before and behind them that nobody may touch:
 * who leaves guest memory by one octet is killed, and the run with it.
 */
import { check } from "../../../src/sys/errno.ts";
import type { Libc } from "../../../src/sys/libc.ts";
import { MAP_ANONYMOUS, MAP_PRIVATE } from "../../../src/sys/linux.ts";

const PAGE_SIZE = 4096;
const PROT_NONE = 0;
const MAP_FIXED = 0x10;
const MAP_NORESERVE = 0x4000;
/** Larger mappings are the kernel's to refuse, or are of no use to be guarded. */
const SIZE_MAX = 2 ** 40;

export function guarded(sys: Libc): Libc {
  return {
    ...sys,
    mmap: (address, length, protection, flags, fd, offset) => {
      if (fd < 0 || length > SIZE_MAX) {
        return sys.mmap(address, length, protection, flags, fd, offset);
      }
      const size = Math.ceil(length / PAGE_SIZE) * PAGE_SIZE;
      const kind = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
      const whole = sys.mmap(0, size + 2 * PAGE_SIZE, PROT_NONE, kind, -1, 0);
      check(whole, "Reserve addresses");
      const at = whole + PAGE_SIZE;
      const result = sys.mmap(at, length, protection, flags | MAP_FIXED, fd, offset);
      if (result < 0) sys.munmap(whole, size + 2 * PAGE_SIZE);
      return result;
    },
    munmap: (address, length) => {
      const size = Math.ceil(length / PAGE_SIZE) * PAGE_SIZE;
      return sys.munmap(address - PAGE_SIZE, size + 2 * PAGE_SIZE);
    },
  };
}
