/**
 * Descriptors over unix sockets (SCM_RIGHTS).
 *
 * Contract: results are zero or more or the negative errno. Received descriptors are close-on-exec
 * and belong to the caller; where the kernel had to cut the list, all of them are closed again,
 * because nobody can tell which are missing.
 * Source: unix(7), cmsg(3).
 */

import { EPROTO } from "./errno.ts";
import { recvFds, sendFds } from "./fd-messages.ts";
import type { Libc } from "./libc.ts";

export function sendFd(sys: Libc, socket: number, fd: number, payload: Uint8Array): number {
  return sendFds(sys, socket, [fd], payload);
}

/** Receives exactly one descriptor: it, or the negative errno (-EPROTO: none or several came). */
export function recvFd(sys: Libc, socket: number, payload: Uint8Array): number {
  const fds: number[] = [];
  const n = recvFds(sys, socket, payload, fds);
  if (n < 0) return n;
  const [fd, ...rest] = fds;
  if (fd !== undefined && rest.length === 0) return fd;
  for (const each of fds) sys.close(each);
  return -EPROTO;
}
