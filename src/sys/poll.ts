/** What poll(2) says of one descriptor: a look that takes nothing away. */
import type { Libc } from "./libc.ts";
import { EPOLLIN, EPOLLOUT, EPOLLRDHUP } from "./linux.ts";

/** What it says of the events in `wanted` and of its end. */
function look(sys: Libc, fd: number, wanted: number, patience_ms = 0): number {
  const { scratch } = sys;
  scratch.setI32(0, fd);
  scratch.setI32(4, wanted); // struct pollfd: events in the lower half, results above
  return sys.poll(scratch.address, 1, patience_ms) > 0 ? scratch.getI32(4) >>> 16 : 0;
}

/** Whether a peer has closed its end, unread octets or not. */
export function hasHungUp(sys: Libc, fd: number): boolean {
  return look(sys, fd, EPOLLRDHUP) !== 0;
}

/** Whether a peer has sent something that is yet to be read. */
export function isReadable(sys: Libc, fd: number): boolean {
  return (look(sys, fd, EPOLLIN) & EPOLLIN) !== 0;
}

/** The same as soon as it is so, within so many milliseconds: the thread waits. */
export function becomesReadable(sys: Libc, fd: number, patience_ms: number): boolean {
  return (look(sys, fd, EPOLLIN, patience_ms) & EPOLLIN) !== 0;
}

/** Whether a descriptor takes something; a tap whose interface is down does not. */
export function isWritable(sys: Libc, fd: number): boolean {
  return (look(sys, fd, EPOLLOUT) & EPOLLOUT) !== 0;
}
