/** Memory of a pretended guest: a file that is mapped here, and sent to the back end. */

import { arch } from "node:os";
import type { RegionLayout } from "../../../src/link/vhost-user/messages.ts";
import { Block } from "../../../src/sys/block.ts";
import { check, SystemError } from "../../../src/sys/errno.ts";
import { ForeignMemory } from "../../../src/sys/foreign-memory.ts";
import type { Libc } from "../../../src/sys/libc.ts";
import { F_SEAL_SHRINK } from "../../../src/sys/linux.ts";

const RAM_SIZE = 4 << 20;
/** Where the guest and the front end have the first octet. */
export const GUEST_BASE = 0x1_0000_0000;
export const USER_BASE = 0x7f00_0000_0000;

/** The program itself makes and seals no such files (memfd_create(2), fcntl(2)). */
const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const F_ADD_SEALS = 1033;
const SYS_MEMFD_CREATE = arch() === "arm64" ? 279 : 319;

export class GuestRam {
  readonly fd: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly layout: RegionLayout;
  readonly canShrink: boolean;
  readonly #sys: Libc;
  readonly #mapping: ForeignMemory;

  constructor(sys: Libc, isSealed = true, size = RAM_SIZE, base = 0) {
    this.#sys = sys;
    const name = Block.text(sys, "guest-ram");
    const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    this.fd = check(sys.syscall(SYS_MEMFD_CREATE, name.address, flags, 0, 0, 0), "Create memory");
    check(sys.ftruncate(this.fd, size), "Size it");
    if (isSealed) check(sys.fcntl(this.fd, F_ADD_SEALS, F_SEAL_SHRINK), "Seal it");
    const mapping = ForeignMemory.map(sys, this.fd, 0, size);
    if (typeof mapping === "number") throw new SystemError("Map it", mapping);
    this.#mapping = mapping;
    this.canShrink = mapping.canShrink;
    this.bytes = new Uint8Array(sys.view(mapping.address, size));
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
