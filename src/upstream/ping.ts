/**
 * Host sockets of ping flows: unprivileged echo, where net.ipv4.ping_group_range allows it.
 * Source: icmp(7), ipv6(7). The socket's "port" is the ICMP identifier; the kernel writes it into
 * requests and delivers only replies that bear it.
 *
 * The identifier is always the kernel's choice. Ping sockets begin with SO_REUSEADDR on, so two
 * that name the same identifier both get it, and only one of them the replies; a pinger of another
 * guest network on this host is enough for that.
 */
import type { Libc } from "../sys/libc.ts";
import { SO_REUSEADDR, SOL_SOCKET } from "../sys/linux.ts";
import {
  localPort,
  openPing,
  openPing6,
  setOption,
  setReceiveErrors,
  setReceiveErrors6,
} from "../sys/socket.ts";
import { ANY_WAY, type Outbound } from "./outbound.ts";

/**
 * A socket whose identifier nobody else has or can take while it is open.
 * @param name gets the identifier, as `port`
 * @param family version of IP
 * @param outbound how it leaves
 * @returns the descriptor, or the negative errno (-EACCES: not in the range)
 */
export function openPingFlow(
  sys: Libc,
  name: { port: number },
  family: 4 | 6 = 4,
  outbound: Outbound = ANY_WAY,
): number {
  const isIpv6 = family === 6;
  const fd = isIpv6 ? openPing6(sys) : openPing(sys);
  if (fd < 0) return fd;
  if (isIpv6) setReceiveErrors6(sys, fd, true);
  else setReceiveErrors(sys, fd, true);
  let result = setOption(sys, fd, SOL_SOCKET, SO_REUSEADDR, 0);
  if (result >= 0) result = outbound.bindPort(sys, fd, family, 0);
  if (result >= 0) result = localPort(sys, fd);
  if (result >= 0) {
    name.port = result;
    return fd;
  }
  sys.close(fd);
  return result;
}
