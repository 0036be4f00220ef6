/**
 * The files below one folder, to be read by names that strangers choose.
 *
 * Names are paths from the folder on, with slashes or, as firmware of Windows' kind writes them,
 * backslashes; one that begins with a slash begins at the folder, too. No name leads out: ".." is
 * refused before the kernel is asked, and the kernel resolves all else beneath the folder
 * (openat2(2), RESOLVE_BENEATH), so symbolic links work as long as they stay inside. Where there is
 * no openat2 (Linux before 5.6, a filter of system calls) links are not followed at all. Only
 * regular files are opened; a pipe or a device with a file's name is not even touched for longer
 * than it takes to see that.
 *
 * The folder itself is held open, so it is the same one whatever is renamed, and opened before
 * rights are given up; files are opened with the rights that are left.
 * Source: openat2(2), statx(2).
 */
import { Block } from "./block.ts";
import { check, EINVAL, EISDIR, ENAMETOOLONG, ENOSYS, EPERM, EXDEV } from "./errno.ts";
import type { Libc } from "./libc.ts";
import {
  AT_EMPTY_PATH,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  OPEN_HOW_SIZE,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  S_IFMT,
  S_IFREG,
  STATX_BUFFER_SIZE,
  STATX_MODE_OFFSET,
  STATX_SIZE,
  STATX_SIZE_OFFSET,
  STATX_TYPE,
} from "./linux.ts";

/** The same number on every architecture. */
const SYS_OPENAT2 = 437;
const NAME_SIZE_MAX = 1024;
const PARTS_MAX = 32;
const FILE_FLAGS = O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

/** An open regular file. */
export class FolderFile {
  /** Octets when it was opened. */
  readonly size: number;
  readonly #sys: Libc;
  #fd: number;

  constructor(sys: Libc, fd: number, size: number) {
    this.#sys = sys;
    this.#fd = fd;
    this.size = size;
  }

  /** Reads up to `length` octets to `address`; how many it were, 0 = end, or the negative errno. */
  read(address: number, length: number, offset: number): number {
    return this.#sys.pread(this.#fd, address, length, offset);
  }

  /** Idempotent. */
  close(): void {
    if (this.#fd < 0) return;
    this.#sys.close(this.#fd);
    this.#fd = -1;
  }
}

export class Folder {
  readonly #sys: Libc;
  readonly #fd: number;
  readonly #how: Block;
  readonly #stat: Block;
  readonly #empty: Block;
  #hasOpenat2: boolean;
  #isOpen = true;

  /**
   * @param hasOpenat2 false = as if the kernel had none
   * @throws SystemError where the folder is not one, or cannot be opened
   */
  constructor(sys: Libc, path: string, hasOpenat2 = true) {
    this.#sys = sys;
    this.#hasOpenat2 = hasOpenat2;
    this.#how = new Block(sys, OPEN_HOW_SIZE);
    this.#stat = new Block(sys, STATX_BUFFER_SIZE);
    this.#empty = Block.text(sys, "");
    const name = Block.text(sys, path);
    const flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
    this.#fd = check(sys.open(name.address, flags, 0), `Open folder "${path}"`);
  }

  /** Opens a file by its name; or the negative errno, EXDEV for a name that leads out. */
  open(name: string): FolderFile | number {
    if (name.length > NAME_SIZE_MAX) return -ENAMETOOLONG;
    const parts = name.split(/[/\\]/).filter((part) => part !== "" && part !== ".");
    if (parts.includes("..")) return -EXDEV;
    if (parts.length === 0 || parts.length > PARTS_MAX || name.includes("\0")) return -EINVAL;
    const fd = this.#beneath(parts);
    return fd < 0 ? fd : this.#judge(fd);
  }

  #beneath(parts: readonly string[]): number {
    if (this.#hasOpenat2) {
      const path = Block.text(this.#sys, parts.join("/"));
      this.#how.setU64(0, FILE_FLAGS);
      this.#how.setU64(8, 0);
      this.#how.setU64(16, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
      const { address } = this.#how;
      const result = this.#sys.syscall(
        SYS_OPENAT2,
        this.#fd,
        path.address,
        address,
        OPEN_HOW_SIZE,
        0,
      );
      if (result !== -ENOSYS && result !== -EPERM) return result;
      this.#hasOpenat2 = false;
    }
    return this.#walk(parts);
  }

  /** Part by part, through no link. */
  #walk(parts: readonly string[]): number {
    let at = this.#fd;
    for (const [index, part] of parts.entries()) {
      const isLast = index === parts.length - 1;
      const flags = isLast ? FILE_FLAGS : O_PATH | O_DIRECTORY | O_CLOEXEC;
      const name = Block.text(this.#sys, part);
      const next = this.#sys.openat(at, name.address, flags | O_NOFOLLOW, 0);
      if (at !== this.#fd) this.#sys.close(at);
      if (next < 0) return next;
      at = next;
    }
    return at;
  }

  #judge(fd: number): FolderFile | number {
    const { address } = this.#stat;
    const wanted = STATX_TYPE | STATX_SIZE;
    const result = this.#sys.statx(fd, this.#empty.address, AT_EMPTY_PATH, wanted, address);
    const mode = this.#stat.view.getUint16(STATX_MODE_OFFSET, true);
    if (result >= 0 && (mode & S_IFMT) === S_IFREG) {
      return new FolderFile(this.#sys, fd, this.#stat.getU64(STATX_SIZE_OFFSET));
    }
    this.#sys.close(fd);
    return result < 0 ? result : -EISDIR;
  }

  /** Idempotent; open files stay open. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#sys.close(this.#fd);
  }
}
