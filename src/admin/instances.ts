/**
 * Running programs, each by its socket in the runtime folder: how they are made known, and found.
 *
 *     $XDG_RUNTIME_DIR/slirp-binding    where the user has such a folder
 *     /run/slirp-binding                of root
 *     /tmp/slirp-binding-UID            of whoever has neither
 *
 * The folder is ours alone (mode 0700) or is not used: in /tmp somebody else could have made it. A
 * program that was killed leaves its socket behind, as does one that has given up the right to
 * remove it; nobody listens there, so it is not listed, and the next start of a program removes it.
 */
import { chmodSync, lstatSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ROOT_ID } from "../config/rights.ts";
import { isListening } from "../lib/unix-socket.ts";

const NAME = "slirp-binding";
const SUFFIX = ".sock";
const FOLDER_MODE = 0o700;
const OTHERS = 0o077;
/** Socket of a sidecar, in `userdata/` of the hooks folder. */
export const SIDECAR_SOCKET = "admin.sock";
/** In a folder that is full of sockets, the first ones are looked at. */
const SOCKETS_MOST = 1024;

/** A program that answers. */
export interface Instance {
  /** As `--instance` takes it: command and process id. */
  readonly name: string;
  readonly socket: string;
}

/** @param runtimeDir XDG_RUNTIME_DIR, if the user has one */
export function runtimeFolder(uid: number, runtimeDir: string | undefined): string {
  if (runtimeDir?.startsWith("/") === true) return join(runtimeDir, NAME);
  return uid === ROOT_ID ? join("/run", NAME) : `/tmp/${NAME}-${uid}`;
}

/** @throws Error where the folder is not ours alone, or cannot be made */
export function makeRuntimeFolder(folder: string, uid: number): void {
  if (mkdirSync(folder, { recursive: true, mode: FOLDER_MODE }) !== undefined) {
    chmodSync(folder, FOLDER_MODE); // whatever the umask
  }
  const { uid: owner, mode } = lstatSync(folder);
  const isFolder = lstatSync(folder).isDirectory();
  if (!isFolder || owner !== uid || (mode & OTHERS) !== 0) {
    throw new Error(`folder "${folder}" must be a folder of user ${uid} alone, mode 0700`);
  }
}

export function socketOf(folder: string, name: string): string {
  return join(folder, `${name}${SUFFIX}`);
}

/** Those that answer, by name; a folder that is not there has none. */
export async function findInstances(folder: string): Promise<readonly Instance[]> {
  const all = socketsIn(folder);
  const answers = await Promise.all(all.map(({ socket }) => isListening(socket)));
  return all.filter((_, i) => answers[i]);
}

/** Removes sockets that nobody listens on, as far as that is allowed. */
export async function sweepInstances(folder: string): Promise<void> {
  const live = new Set((await findInstances(folder)).map(({ socket }) => socket));
  for (const { socket } of socketsIn(folder)) {
    if (!live.has(socket)) rmSync(socket, { force: true });
  }
}

function socketsIn(folder: string): Instance[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  return names
    .filter((name) => name.endsWith(SUFFIX))
    .sort()
    .slice(0, SOCKETS_MOST)
    .map((file) => ({ name: file.slice(0, -SUFFIX.length), socket: join(folder, file) }));
}
