/**
 * Network namespaces: entering them, and making a tap inside one.
 *
 * A tap belongs to the namespace its clone device is used in, so somebody has to be there. Two
 * ways:
 * - direct: this thread enters the namespace, makes the tap and comes back. Needs CAP_SYS_ADMIN
 *   here, over the namespace and over the one it comes back to.
 * - helper, where that is refused: an unprivileged user may enter the user namespaces they own,
 *   but the kernel refuses that to a process with several threads (EINVAL), and every JavaScript
 *   runtime has several. So `nsenter` enters first and runs this program's helper mode there
 *   (tap-helper.ts), which passes the descriptor back.
 * Source: setns(2), ioctl_ns(2), user_namespaces(7).
 */

import { statSync } from "node:fs";
import { check, EACCES, EINVAL, ENOENT, EPERM, SystemError } from "./errno.ts";
import { Fd, openFile } from "./fd.ts";
import type { Libc } from "./libc.ts";
import { CLONE_NEWNET, NS_GET_USERNS, O_RDONLY } from "./linux.ts";
import type { InterfaceSetup } from "./netconfig.ts";
import { openTapHere, type TapDevice } from "./tap-device.ts";
import { openTapByHelper } from "./tap-helper.ts";
import type { TapOptions } from "./tun.ts";

export interface NamespaceTapOptions {
  /** Process id, or path of a namespace file; absent: the namespace this thread is in. */
  readonly namespace?: number | string;
  readonly tap: TapOptions;
  readonly setup: InterfaceSetup;
  /**
   * Command that runs `runTapHelper` with the arguments appended to it; absent: direct way only.
   */
  readonly helper?: readonly string[];
}

/**
 * Makes and configures a tap in a namespace, by whichever way this process is allowed.
 * @throws SystemError, RangeError; Error with the helper's words where the helper failed
 */
export async function openTapInNamespace(
  sys: Libc,
  options: NamespaceTapOptions,
): Promise<TapDevice> {
  const { namespace, tap, setup } = options;
  if (namespace === undefined) return openTapHere(sys, tap, setup);
  const network = openNamespace(sys, namespace);
  try {
    try {
      return withNamespace(sys, network, () => openTapHere(sys, tap, setup));
    } catch (error) {
      if (!(error instanceof NamespaceRefused)) throw error;
      if (options.helper === undefined) throw error;
      const owner = openOwner(sys, network);
      if (owner === undefined && !(error instanceof NoWayBack)) throw error;
      try {
        return await openTapByHelper(sys, options.helper, owner, network, { tap, setup });
      } finally {
        owner?.close();
      }
    }
  } finally {
    network.close();
  }
}

/**
 * Opens the network namespace of a process id or a path.
 * @throws SystemError
 */
export function openNamespace(sys: Libc, namespace: number | string): Fd {
  const path = typeof namespace === "number" ? `/proc/${namespace}/ns/net` : namespace;
  return openFile(sys, path, O_RDONLY, {
    [ENOENT]: 'see "ip netns" for names, or name a process',
    [EACCES]: "start as root or as the user that made it",
  });
}

const ENTER = "Enter the network namespace";
const SYS_ADMIN = "it takes CAP_SYS_ADMIN: start as root or as the user that made the namespace";

/** The kernel did not let this thread in; nothing has been changed. */
class NamespaceRefused extends SystemError {}

/** The namespace this thread is in is not one it could enter again. */
class NoWayBack extends NamespaceRefused {}

/**
 * Runs `run` with this thread inside the namespace. `run` is synchronous: other work of the thread
 * must not find itself there.
 * @throws SystemError where the thread may not enter, or not come back
 */
export function withNamespace<T>(sys: Libc, network: Fd, run: () => T): T {
  const home = openFile(sys, "/proc/thread-self/ns/net", O_RDONLY);
  try {
    // Root of a user namespace is often in a network namespace that is above it.
    const owner = sys.ioctl(home.number, NS_GET_USERNS, 0);
    if (owner === -EPERM) throw new NoWayBack(ENTER, owner, SYS_ADMIN);
    if (owner >= 0) sys.close(owner);
    const result = sys.setns(network.number, CLONE_NEWNET);
    if (result === -EPERM) throw new NamespaceRefused(ENTER, result, SYS_ADMIN);
    check(result, ENTER, { [EINVAL]: "name the file of a network namespace" });
    try {
      return run();
    } finally {
      check(sys.setns(home.number, CLONE_NEWNET), "Return to the own network namespace");
    }
  } finally {
    home.close();
  }
}

/** The user namespace that owns a network namespace; undefined where it is ours or above ours. */
function openOwner(sys: Libc, network: Fd): Fd | undefined {
  const number = sys.ioctl(network.number, NS_GET_USERNS, 0);
  if (number < 0) return undefined;
  const owner = new Fd(sys, number);
  const own = statSync("/proc/self/ns/user");
  if (statSync(`/proc/self/fd/${number}`).ino !== own.ino) return owner;
  owner.close();
  return undefined;
}
