/**
 * Host sockets of ping flows: unprivileged echo, where net.ipv4.ping_group_range allows it.
 * Source: icmp(7). The socket's "port" is the ICMP identifier; the kernel writes it into requests
 * and delivers only replies that bear it.
 */
import type { Libc } from "../sys/libc.ts";
import { bindIpv4, openPing, setReceiveErrors } from "../sys/socket.ts";

/** The descriptor, or the negative errno (-EACCES: not in the range). */
export function openPingFlow(sys: Libc, identifier: number): number {
  const fd = openPing(sys);
  if (fd < 0) return fd;
  setReceiveErrors(sys, fd, true);
  if (identifier === 0 || bindIpv4(sys, fd, 0, identifier) < 0) bindIpv4(sys, fd, 0, 0);
  return fd;
}
