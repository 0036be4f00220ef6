/**
 * Host sockets of UDP flows, published ports and DNS.
 * Source: udp(7), ip(7); RFC 4787 REQ-3, REQ-4 (keep the guest's port where it is free).
 */
import type { Libc } from "../sys/libc.ts";
import { SO_RCVBUF, SO_SNDBUF, SOL_SOCKET } from "../sys/linux.ts";
import {
  bindIpv4,
  connectIpv4,
  openUdp,
  setOption,
  setReceiveErrors,
  setUdpGro,
} from "../sys/socket.ts";

/** A burst of full-size datagrams; the kernel caps it at net.core.rmem_max. */
const BUFFER_SIZE = 1 << 20;
/** Ports below need a privilege we do not have and a guest must not borrow. */
const PORT_UNPRIVILEGED = 1024;

function prepare(sys: Libc, fd: number): void {
  setReceiveErrors(sys, fd, true);
  setUdpGro(sys, fd, true); // refused by old kernels, which then deliver one datagram at a time
  setOption(sys, fd, SOL_SOCKET, SO_RCVBUF, BUFFER_SIZE);
  setOption(sys, fd, SOL_SOCKET, SO_SNDBUF, BUFFER_SIZE);
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
