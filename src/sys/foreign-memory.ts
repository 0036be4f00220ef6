/**
 * Memory that belongs to another process, mapped by a descriptor it has sent.
 *
 * Its owner can shrink the file behind it at any time, and whoever then touches what is gone is
 * killed by SIGBUS. Only a file sealed against shrinking rules that out, so `canShrink` says
 * whether the memory may be touched at all, or has to be copied by system calls, which answer
 * -EFAULT (`Libc.process_vm_readv`).
 * Source: memfd_create(2), fcntl(2) of F_GET_SEALS, mmap(2) on huge pages.
 */
import { type Addressing, Block } from "./block.ts";
import type { Libc } from "./calls.ts";
import { EINVAL } from "./errno.ts";
import {
  AT_EMPTY_PATH,
  F_GET_SEALS,
  F_SEAL_SHRINK,
  MADV_DONTDUMP,
  MAP_SHARED,
  PROT_READ,
  PROT_WRITE,
  S_IFMT,
  S_IFREG,
  STATX_BLOCK_SIZE_OFFSET,
  STATX_BUFFER_SIZE,
  STATX_MODE_OFFSET,
  STATX_SIZE,
  STATX_SIZE_OFFSET,
  STATX_TYPE,
} from "./linux.ts";

const PAGE_SIZE = 4096;

/** What it needs of the kernel. */
export type MappingCalls = Addressing &
  Pick<Libc, "statx" | "mmap" | "munmap" | "madvise" | "fcntl">;

export class ForeignMemory {
  /** Address of the first octet asked for. */
  readonly address: number;
  readonly length: number;
  readonly canShrink: boolean;
  readonly #sys: MappingCalls;
  readonly #mapping: number;
  readonly #mappingSize: number;
  #isOpen = true;

  private constructor(
    sys: MappingCalls,
    mapping: number,
    mappingSize: number,
    part: { readonly offset: number; readonly length: number },
    canShrink: boolean,
  ) {
    this.#sys = sys;
    this.#mapping = mapping;
    this.#mappingSize = mappingSize;
    this.address = mapping + part.offset;
    this.length = part.length;
    this.canShrink = canShrink;
  }

  /**
   * Maps `length` octets from `offset` of the file on; the descriptor is not needed afterwards.
   * @returns the memory, or the negative errno: -EINVAL where the file is none, or is too small
   */
  static map(
    sys: MappingCalls,
    fd: number,
    offset: number,
    length: number,
  ): ForeignMemory | number {
    const end = offset + length;
    if (!(offset >= 0 && length > 0 && Number.isSafeInteger(end))) return -EINVAL;
    const stat = new Block(sys, STATX_BUFFER_SIZE);
    const path = Block.text(sys, "");
    const wanted = STATX_TYPE | STATX_SIZE;
    const result = sys.statx(fd, path.address, AT_EMPTY_PATH, wanted, stat.address);
    if (result < 0) return result;
    const isFile = (stat.view.getUint16(STATX_MODE_OFFSET, true) & S_IFMT) === S_IFREG;
    if (!isFile || stat.getU64(STATX_SIZE_OFFSET) < end) return -EINVAL;
    // From the file's beginning on, and whole pages: an offset may lie within a huge page.
    const page = Math.max(PAGE_SIZE, stat.view.getUint32(STATX_BLOCK_SIZE_OFFSET, true));
    const size = Math.ceil(end / page) * page;
    const address = sys.mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (address < 0) return address;
    sys.madvise(address, size, MADV_DONTDUMP);
    const seals = sys.fcntl(fd, F_GET_SEALS, 0);
    const canShrink = seals < 0 || (seals & F_SEAL_SHRINK) === 0;
    return new ForeignMemory(sys, address, size, { offset, length }, canShrink);
  }

  /** Idempotent. Nothing may touch the memory afterwards. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#sys.munmap(this.#mapping, this.#mappingSize);
  }
}
