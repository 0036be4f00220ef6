/**
 * Host sockets of UDP flows, published ports and DNS.
 * Source: udp(7), ip(7), ipv6(7); RFC 4787 REQ-3, REQ-4 (keep the guest's port where it is free).
 */
import type { Libc } from "../sys/libc.ts";
import { SOCKADDR_IN6_SIZE } from "../sys/linux.ts";
import {
  bindIpv4,
  bindIpv6,
  connectIpv4,
  openUdp,
  openUdp6,
  setReceiveErrors,
  setReceiveErrors6,
  setUdpGro,
} from "../sys/socket.ts";

/** Ports below need a privilege we do not have and a guest must not borrow. */
const PORT_UNPRIVILEGED = 1024;

const UNSPECIFIED6 = new Uint8Array(16);

function prepare(sys: Libc, fd: number, family: 4 | 6 = 4): void {
  if (family === 6) setReceiveErrors6(sys, fd, true);
  else setReceiveErrors(sys, fd, true);
  setUdpGro(sys, fd, true); // refused by old kernels, which then deliver one datagram at a time
}

/** A socket for a flow: bound to `port` if it is free, connected when `peer` is not 0. */
export function openUdpFlow(sys: Libc, port: number, peer: number, peerPort: number): number {
  const fd = openUdp(sys);
  if (fd < 0) return fd;
  prepare(sys, fd);
  if (peer !== 0) {
    const result = connectIpv4(sys, fd, peer, peerPort);
    if (result >= 0) return fd;
    sys.close(fd);
    return result;
  }
  if (port < PORT_UNPRIVILEGED || bindIpv4(sys, fd, 0, port) < 0) bindIpv4(sys, fd, 0, 0);
  return fd;
}

/** A socket for a published port. The descriptor, or the negative errno. */
export function openUdpPort(sys: Libc, address: number, port: number): number {
  const fd = openUdp(sys);
  if (fd < 0) return fd;
  prepare(sys, fd);
  const result = bindIpv4(sys, fd, address, port);
  if (result >= 0) return fd;
  sys.close(fd);
  return result;
}

/**
 * A socket of IPv6 for a flow: bound to `port` if it is free, connected when `name`, the address of
 * a struct sockaddr_in6 in this process, is not 0.
 */
export function openUdpFlow6(sys: Libc, port: number, name: number): number {
  const fd = openUdp6(sys);
  if (fd < 0) return fd;
  prepare(sys, fd, 6);
  if (name !== 0) {
    const result = sys.connect(fd, name, SOCKADDR_IN6_SIZE);
    if (result >= 0) return fd;
    sys.close(fd);
    return result;
  }
  const isTaken = port < PORT_UNPRIVILEGED || bindIpv6(sys, fd, UNSPECIFIED6, port) < 0;
  if (isTaken) bindIpv6(sys, fd, UNSPECIFIED6, 0);
  return fd;
}

/** A socket of IPv6 for a published port. The descriptor, or the negative errno. */
export function openUdpPort6(sys: Libc, octets: ArrayLike<number>, port: number): number {
  const fd = openUdp6(sys);
  if (fd < 0) return fd;
  prepare(sys, fd, 6);
  const result = bindIpv6(sys, fd, octets, port);
  if (result >= 0) return fd;
  sys.close(fd);
  return result;
}
