/**
 * `userdata/` of the hooks folder: the only place in it where virt-launcher takes no file for a
 * hook socket, so sockets for QEMU and for commands are there.
 */
import { chmodSync, mkdirSync, rmdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "../lib/message.ts";

const NAME = "userdata";
const MODE = 0o770;

export function userFolderOf(hooksDir: string): string {
  return join(hooksDir, NAME);
}

/** Makes it if it is not there. @throws Error where it cannot be made, or has no folder to be in */
export function makeUserFolder(hooksDir: string): string {
  const folder = userFolderOf(hooksDir);
  try {
    statSync(hooksDir);
    if (mkdirSync(folder, { recursive: true }) !== undefined) {
      // Whatever the umask: QEMU may be another user of our group. Bits of the file system stay.
      chmodSync(folder, (statSync(folder).mode & ~0o777) | MODE);
    }
  } catch (error) {
    throw new Error(`make folder "${folder}": ${messageOf(error)}`, { cause: error });
  }
  return folder;
}

/** Removes it if nothing is in it. */
export function removeUserFolder(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // Not empty, or not to be removed: then it stays.
  }
}
