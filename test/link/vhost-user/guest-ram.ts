/** Memory of a pretended guest: a file that is mapped here, and sent to the back end. */

import type { RegionLayout } from "../../../src/link/vhost-user/messages.ts";
import { Block } from "../../../src/sys/block.ts";
import { check } from "../../../src/sys/errno.ts";
import type { Libc } from "../../../src/sys/libc.ts";
import {
  F_ADD_SEALS,
  F_SEAL_SHRINK,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
} from "../../../src/sys/linux.ts";
import { Mapping } from "../../../src/sys/mmap.ts";

const RAM_SIZE = 4 << 20;
/** Where the guest and the front end have the first octet. */
export const GUEST_BASE = 0x1_0000_0000;
export const USER_BASE = 0x7f00_0000_0000;

export class GuestRam {
  readonly fd: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly layout: RegionLayout;
  readonly #sys: Libc;
  readonly #mapping: Mapping;

  constructor(sys: Libc, isSealed = true, size = RAM_SIZE, base = 0) {
    this.#sys = sys;
    const name = Block.text(sys, "guest-ram");
    const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    this.fd = check(sys.memfd_create(name.address, flags), "Create memory");
    check(sys.ftruncate(this.fd, size), "Size it");
    if (isSealed) check(sys.fcntl(this.fd, F_ADD_SEALS, F_SEAL_SHRINK), "Seal it");
    this.#mapping = new Mapping(sys, this.fd, size);
    this.bytes = this.#mapping.bytes;
    this.view = new DataView(this.bytes.buffer);
    this.layout = {
      guestAddress: GUEST_BASE + base,
      userAddress: USER_BASE + base,
      size,
      offset: 0,
    };
  }

  guest(offset: number): number {
    return this.layout.guestAddress + offset;
  }

  user(offset: number): number {
    return this.layout.userAddress + offset;
  }

  /** Takes the memory away; whoever touches it from now on is killed. */
  shrink(): void {
    check(this.#sys.ftruncate(this.fd, 0), "Shrink it");
  }

  close(): void {
    this.#mapping.close();
    this.#sys.close(this.fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
