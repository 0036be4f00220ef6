/**
 * Things whose end is the end of a guest network: what it serves, or who wants it.
 *
 * A tap keeps the network namespace it is in alive, so the kernel never ends one that is served;
 * somebody has to see that nobody is there any more. Three things tell:
 * - a process: a pidfd is readable from the process' end on, whoever waits for it or not;
 * - the file of a namespace, as "ip netns" and container programs make it: a mount, which is gone
 *   from /proc/self/mountinfo once it is unmounted or its file deleted. The kernel tells that
 *   mounts have changed by EPOLLPRI. The file itself may be out of our user's reach by then;
 * - a descriptor that was inherited: its other end is closed.
 * Source: pidfd_open(2), proc(5), namespaces(7), poll(2).
 */

import { readlinkSync, realpathSync, statSync } from "node:fs";
import { Block } from "./block.ts";
import { check, ENOSYS, EPERM } from "./errno.ts";
import { Fd, openFile } from "./fd.ts";
import type { Libc } from "./libc.ts";
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLPRI, EPOLLRDHUP, O_RDONLY } from "./linux.ts";
import { isMounted, MOUNTINFO, type NamespaceMount } from "./namespace-mount.ts";

/** What tells of an end. Plain data: descriptors are the process', and other threads use them. */
export interface Lifeline {
  readonly fd: number;
  /** EPOLL… bits to wait for. */
  readonly events: number;
  /** What it says when it has happened, for the log. */
  readonly reason: string;
  /** The event only says that mounts have changed; the end is that this one is gone. */
  readonly mount?: NamespaceMount;
}

/** Since Linux 5.3; the same number on every architecture. */
const SYS_PIDFD_OPEN = 434;
/** A path that leads nowhere once that process has ended. */
const OF_PROCESS = /^\/proc\/([1-9][0-9]*)\//;
/** struct pollfd: i32 descriptor, i16 events, i16 events that have happened. */
const POLLFD_SIZE = 8;

/**
 * What tells that a network namespace is served no longer; to be opened before the namespace is, so
 * that no other process of the same number is taken for the one that was meant.
 * @param namespace process id or path
 * @throws SystemError where there is no such process
 */
export function watchNamespace(sys: Libc, namespace: number | string): Lifeline[] {
  const pid =
    typeof namespace === "number" ? namespace : Number(OF_PROCESS.exec(namespace)?.[1] ?? 0);
  if (pid > 0) return watchProcess(sys, pid);
  return typeof namespace === "string" ? watchMount(sys, namespace) : [];
}

function watchProcess(sys: Libc, pid: number): Lifeline[] {
  // A /proc of other process ids than ours says nothing of what to wait for.
  if (pid === sys.getpid() || readlinkSync("/proc/self") !== String(sys.getpid())) return [];
  const fd = sys.syscall(SYS_PIDFD_OPEN, pid, 0, 0, 0, 0);
  // An old kernel, a container's filter.
  if (fd === -ENOSYS || fd === -EPERM) return [];
  const reason = `process ${pid}, whose namespace is served, has ended`;
  return [{ fd: check(fd, `Find process ${pid}`), events: EPOLLIN, reason }];
}

/** Nothing where the path is no mount of this mount namespace. */
function watchMount(sys: Libc, path: string): Lifeline[] {
  let mount: NamespaceMount;
  try {
    mount = { root: `net:[${statSync(path).ino}]`, point: realpathSync(path) };
  } catch {
    return []; // whoever opens it says why
  }
  if (!isMounted(mount)) return [];
  const fd = openFile(sys, MOUNTINFO, O_RDONLY).release();
  const reason = `the namespace "${path}" has been deleted`;
  return [{ fd, events: EPOLLPRI | EPOLLERR, reason, mount }];
}

/**
 * What tells that the other end of an inherited descriptor has been closed. Octets that come in are
 * left alone.
 * @throws RangeError where it is no pipe, socket or terminal that was handed over
 */
export function watchOtherEnd(fd: number): Lifeline {
  if (!hasOtherEnd(fd)) throw new RangeError(`hand over a pipe or socket as descriptor ${fd}`);
  const reason = `the other end of descriptor ${fd} has been closed`;
  return { fd, events: EPOLLRDHUP, reason };
}

function hasOtherEnd(fd: number): boolean {
  try {
    const status = statSync(`/proc/self/fd/${fd}`);
    return status.isFIFO() || status.isSocket() || status.isCharacterDevice();
  } catch {
    return false;
  }
}

/** Whether one of them has come to its end, and why. */
export function endOf(sys: Libc, lifelines: readonly Lifeline[]): string | undefined {
  return lifelines.find((each) => (each.mount ? !isMounted(each.mount) : hasEvent(sys, each)))
    ?.reason;
}

function hasEvent(sys: Libc, { fd, events }: Lifeline): boolean {
  const block = new Block(sys, POLLFD_SIZE);
  block.setI32(0, fd);
  block.view.setInt16(4, events, true); // EPOLL… bits are those of poll
  if (sys.poll(block.address, 1, 0) <= 0) return false;
  return (block.view.getInt16(6, true) & (events | EPOLLHUP | EPOLLERR)) !== 0;
}

/** Closes what was opened for them. */
export function closeLifelines(sys: Libc, lifelines: readonly Lifeline[]): void {
  for (const { fd } of lifelines) new Fd(sys, fd).close();
}
