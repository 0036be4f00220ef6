/** Two connected unix stream sockets, for tests of what goes through one. */
import { check } from "../../src/sys/errno.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { AF_UNIX, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from "../../src/sys/linux.ts";

/** Neither waits. @throws SystemError */
export function openUnixPair(sys: Libc): { a: number; b: number } {
  const type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  check(sys.socketpair(AF_UNIX, type, 0, sys.scratch.address), "Open a pair of sockets");
  return { a: sys.scratch.getI32(0), b: sys.scratch.getI32(4) };
}
