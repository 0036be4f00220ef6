/**
 * Host sockets of ping flows: unprivileged echo, where net.ipv4.ping_group_range allows it.
 * Source: icmp(7). The socket's "port" is the ICMP identifier; the kernel writes it into requests
 * and delivers only replies that bear it.
 *
 * The identifier is always the kernel's choice. Ping sockets begin with SO_REUSEADDR on, so two
 * that name the same identifier both get it, and only one of them the replies; a pinger of another
 * guest network on this host is enough for that.
 */
import type { Libc } from "../sys/libc.ts";
import { SO_REUSEADDR, SOL_SOCKET } from "../sys/linux.ts";
import type { Ipv4Endpoint } from "../sys/sockaddr.ts";
import { bindIpv4, localEndpoint, openPing, setOption, setReceiveErrors } from "../sys/socket.ts";

/**
 * A socket whose identifier nobody else has or can take while it is open.
 * @param name gets the identifier, as `port`
 * @returns the descriptor, or the negative errno (-EACCES: not in the range)
 */
export function openPingFlow(sys: Libc, name: Ipv4Endpoint): number {
  const fd = openPing(sys);
  if (fd < 0) return fd;
  setReceiveErrors(sys, fd, true);
  let result = setOption(sys, fd, SOL_SOCKET, SO_REUSEADDR, 0);
  if (result >= 0) result = bindIpv4(sys, fd, 0, 0);
  if (result >= 0) result = localEndpoint(sys, fd, name);
  if (result >= 0) return fd;
  sys.close(fd);
  return result;
}
