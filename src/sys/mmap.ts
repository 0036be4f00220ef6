/**
 * Shared memory: maps of a descriptor and anonymous files to back them.
 */

import { Block } from "./block.ts";
import { check } from "./errno.ts";
import { Fd } from "./fd.ts";
import type { Libc } from "./libc.ts";
import { MAP_SHARED, MFD_CLOEXEC, PROT_READ, PROT_WRITE } from "./linux.ts";

/** A shared mapping of a descriptor. The window must not be touched after `close`. */
export class Mapping {
  readonly address: number;
  readonly length: number;
  readonly bytes: Uint8Array;
  private readonly sys: Libc;
  private open = true;

  /**
   * @param offset of the descriptor's content, a multiple of the page size
   * @throws SystemError
   */
  constructor(sys: Libc, fd: number, length: number, offset = 0) {
    const protection = PROT_READ | PROT_WRITE;
    const address = sys.mmap(0, length, protection, MAP_SHARED, fd, offset);
    this.address = check(address, `Map ${length} octets of descriptor ${fd}`);
    this.length = length;
    this.sys = sys;
    this.bytes = new Uint8Array(sys.view(this.address, length));
  }

  /** Idempotent. */
  close(): void {
    if (!this.open) return;
    this.open = false;
    this.sys.munmap(this.address, this.length);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Memory with a descriptor that can be mapped here and passed to another process.
 * @throws SystemError
 */
export function createMemoryFile(sys: Libc, name: string, length: number): Fd {
  const text = Block.text(sys, name);
  const action = `Create the memory file "${name}"`;
  const fd = new Fd(sys, check(sys.memfd_create(text.address, MFD_CLOEXEC), action));
  const result = sys.ftruncate(fd.number, length);
  if (result < 0) fd.close();
  check(result, `Give the memory file "${name}" ${length} octets`);
  return fd;
}
