/** Network namespaces: opened, and entered for the length of a call. */

import { check, EACCES, EINVAL, ENOENT, EPERM, SystemError } from "./errno.ts";
import { type Fd, openFile } from "./fd.ts";
import type { Libc } from "./libc.ts";
import { CLONE_NEWNET, NS_GET_USERNS, O_RDONLY } from "./linux.ts";

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
export class NamespaceRefused extends SystemError {}

/** The namespace this thread is in is not one it could enter again. */
export class NoWayBack extends NamespaceRefused {}

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
