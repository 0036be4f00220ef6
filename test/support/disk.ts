/**
 * A file system of its own, made of a folder: as on a node whose disk has just got the image, no
 * page of it is in memory, and it is read ahead by as much as the kernel does by default. (What is
 * read ahead counts against the memory of whoever reads, and some machines have theirs at 8 MiB.)
 *
 * Needs root, mkfs.ext4 and a loop device.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { attempt, must, onEnd } from "./e2e/shell.ts";

const SIZE = "256M";
/** Sectors: 128 KiB. */
const READ_AHEAD = "256";

export interface Disk {
  /** Where it is mounted. */
  readonly folder: string;
  remove(): void;
}

/** Mounts a disk with what is in `content`; undefined where this machine has no such device. */
export function mountDisk(content: string): Disk | undefined {
  const work = mkdtempSync(join(tmpdir(), "slirp-disk-"));
  const file = join(work, "disk");
  const folder = join(work, "root");
  const drop = (): void => {
    attempt(["umount", "-l", folder]);
    rmSync(work, { recursive: true, force: true });
  };
  const forget = onEnd(drop);
  const remove = (): void => {
    forget();
    drop();
  };
  mkdirSync(folder);
  try {
    must(["mkfs.ext4", "-q", "-d", content, file, SIZE]);
    const device = must(["losetup", "--find", "--show", "--direct-io=on", file]).trim();
    try {
      must(["blockdev", "--setra", READ_AHEAD, device]);
      must(["mount", device, folder]);
    } finally {
      must(["losetup", "--detach", device]); // when it is no longer mounted
    }
  } catch {
    remove();
    return undefined;
  }
  return { folder, remove };
}
