/**
 * From starting to running: everything that needs rights is done, and the rights are given up.
 *
 * `attach` does so when the tap or the link is there, files are open and ports are published;
 * `serve` when its hook sockets are there, so that all that comes later, networks and their new
 * starts too, is done without rights, as in a container. Only then is anybody told that it is
 * ready. In order:
 *
 * 1. At the start, before a file is opened: descriptors that were left open are closed, and no
 *    child gets the environment.
 * 2. Where root gives up its rights, a process is started that reads resolv.conf on
 *    (`binding/resolv-reader.ts`).
 * 3. The environment is wiped; all capabilities of all threads go, new ones cannot come
 *    (no_new_privs), and root becomes nobody. A right that cannot be given up ends the start.
 * 4. The system call filter is loaded. Where a kernel has none that is a warning: the rights are
 *    gone all the same.
 *
 * Root stays root, without any capability, where it is asked for (`--user root`), where nobody
 * could not go on, and says so: the folder of the hook sockets or of captures is root's alone, a
 * unix socket to connect to may be root's, the user namespace has no nobody.
 */

import { writeSync } from "node:fs";
import type { ResolvReader } from "../binding/resolv-reader.ts";
import type { RightsOptions } from "../config/rights.ts";
import type { Logger } from "../lib/log.ts";
import { messageOf } from "../lib/message.ts";
import { check } from "../sys/errno.ts";
import { hasSystemCalls, type Libc, loadLibc } from "../sys/libc.ts";
import {
  closeInherited,
  dropPrivileges,
  keepDescriptors,
  mayHandOverReading,
  narrowToReading,
  readRights,
  wipeEnvironment,
} from "../sys/privileges.ts";
import type { Rights } from "../sys/rights.ts";
import { filterArch, loadFilter } from "../sys/seccomp-load.ts";
import { mayPing } from "../sys/socket.ts";
import { chooseUser, type UserNeeds } from "./choose-user.ts";

/** What the rest of the run needs. */
export interface Needs extends UserNeeds {
  /** Reads on for us what only root may read; started if that was ours to do until now. */
  readonly reader?: Pick<ResolvReader, "start">;
}

/** To be called first: closes what was left open, and hands the environment to no child. */
export async function shedInheritance(...given: (number | undefined)[]): Promise<void> {
  if (!hasSystemCalls()) return;
  const sys = await loadLibc();
  const kept = given.filter((fd) => fd !== undefined);
  closeInherited(sys, kept);
  // What a helper process gets is this; it is found by PATH.
  for (const name of Object.keys(process.env)) if (name !== "PATH") delete process.env[name];
}

/**
 * Gives up what is not needed any more; see above.
 * @throws Error, SystemError where a right stays
 */
export async function confine(options: RightsOptions, needs: Needs, log: Logger): Promise<void> {
  if (!hasSystemCalls()) {
    log.warn({}, "privileges kept: this runtime cannot drop them");
    return;
  }
  const sys = await loadLibc();
  wipeEnvironment(sys);
  const { user, gid, reason, lacksPing } = await giveUp(sys, options, needs);
  const calls = options.seccomp ? filter(sys, log) : undefined;
  log.info(
    {
      user,
      ...(reason === undefined ? {} : { reason }),
      ...(calls === undefined ? {} : { system_calls: calls }),
    },
    calls === undefined ? "privileges dropped" : "privileges dropped, seccomp filter loaded",
  );
  if (lacksPing) {
    const remedy = `let group ${gid} into it: sysctl net.ipv4.ping_group_range="${gid} ${gid}"`;
    log.warn({ remedy }, "guests cannot ping beyond the gateway: the host forbids ping sockets");
  }
}

/** What the log says of it. */
interface Outcome {
  readonly user: string;
  readonly gid: number;
  readonly reason: string | undefined;
  readonly lacksPing: boolean;
}

async function giveUp(sys: Libc, options: RightsOptions, needs: Needs): Promise<Outcome> {
  try {
    const now = readRights();
    const { user, reason } = chooseUser(options.user, now, needs);
    const [uid = -1, gid = -1] = [user?.uid ?? now.uids[0], user?.gid ?? now.gids[0]];
    await startReader(sys, now, needs);
    dropPrivileges(sys, user, now);
    return { user: `${uid}:${gid}`, gid, reason, lacksPing: !mayPing(sys) };
  } catch (error) {
    throw new Error(`Drop privileges: ${messageOf(error)}`, { cause: error });
  }
}

/** Nothing depends on it: what it is to read may be everybody's. */
async function startReader(sys: Libc, now: Rights, { reader }: Needs): Promise<void> {
  if (!mayHandOverReading(now)) return;
  await reader?.start(() => {
    keepDescriptors(sys);
    narrowToReading(sys, now);
  });
}

/** Tells whoever waits on a descriptor that all is ready. */
export async function announce(fd: number): Promise<void> {
  if (!hasSystemCalls()) {
    writeSync(fd, "1");
    return;
  }
  // Not by the runtime: Deno numbers descriptors in a way of its own.
  const sys = await loadLibc();
  sys.scratch.bytes[0] = "1".charCodeAt(0);
  check(sys.write(fd, sys.scratch.address, 1), `Write to descriptor "${fd}" that is to hear of it`);
}

function filter(sys: Libc, log: Logger): number | undefined {
  const architecture = filterArch();
  try {
    if (architecture !== undefined) return loadFilter(sys, architecture);
    log.warn({}, "no seccomp filter: there is none for this architecture");
  } catch (error) {
    log.warn({ problem: messageOf(error) }, "no seccomp filter");
  }
  return undefined;
}
