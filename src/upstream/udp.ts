/**
 * Host sockets of UDP flows, published ports and DNS.
 * Source: udp(7), ip(7), ipv6(7); RFC 4787 REQ-3, REQ-4 (keep the guest's port where it is free).
 */
import type { Libc } from "../sys/libc.ts";
import { SO_RCVBUF, SOCKADDR_IN6_SIZE, SOL_SOCKET } from "../sys/linux.ts";
import {
  bindIpv4,
  bindIpv6,
  connectIpv4,
  openUdp,
  openUdp6,
  openUdpDual,
  setOption,
  setReceiveAddress,
  setReceiveAddress6,
  setReceiveErrors,
  setReceiveErrors6,
  setUdpGro,
} from "../sys/socket.ts";
import { ANY_WAY, type Outbound } from "./outbound.ts";
import { isLoopback4 } from "./socket-name.ts";

/** Ports below need a privilege we do not have and a guest must not borrow. */
const PORT_UNPRIVILEGED = 1024;

function prepare(sys: Libc, fd: number, family: 4 | 6 = 4): void {
  if (family === 6) setReceiveErrors6(sys, fd, true);
  else setReceiveErrors(sys, fd, true);
  setUdpGro(sys, fd, true); // refused by old kernels, which then deliver one datagram at a time
}

/**
 * A socket for a flow: bound to `port` if it is free, connected when `peer` is not 0. It leaves as
 * `outbound` says, unless it is connected to this machine's loopback.
 */
export function openUdpFlow(
  sys: Libc,
  port: number,
  peer: number,
  peerPort: number,
  outbound: Outbound = ANY_WAY,
): number {
  const fd = openUdp(sys);
  if (fd < 0) return fd;
  prepare(sys, fd);
  if (peer === 0) return bindFlow(sys, fd, 4, port, outbound);
  let result = isLoopback4(peer) ? 0 : outbound.bind(sys, fd, 4);
  if (result >= 0) result = connectIpv4(sys, fd, peer, peerPort);
  if (result >= 0) return fd;
  sys.close(fd);
  return result;
}

/** Binds to `port` if it may be had, else to any; closes the socket where that fails, too. */
function bindFlow(sys: Libc, fd: number, family: 4 | 6, port: number, outbound: Outbound): number {
  if (port >= PORT_UNPRIVILEGED && outbound.bindPort(sys, fd, family, port) >= 0) return fd;
  const result = outbound.bindPort(sys, fd, family, 0);
  if (result >= 0) return fd;
  sys.close(fd);
  return result;
}

/**
 * A socket of IPv6 for a flow: bound to `port` if it is free, connected when `name`, the address of
 * a struct sockaddr_in6 in this process, is not 0.
 * @param outbound how it leaves; of no account where `name` is this machine's loopback
 */
export function openUdpFlow6(
  sys: Libc,
  port: number,
  name: number,
  outbound: Outbound = ANY_WAY,
): number {
  const fd = openUdp6(sys);
  if (fd < 0) return fd;
  prepare(sys, fd, 6);
  if (name === 0) return bindFlow(sys, fd, 6, port, outbound);
  let result = outbound.bind(sys, fd, 6);
  if (result >= 0) result = sys.connect(fd, name, SOCKADDR_IN6_SIZE);
  if (result >= 0) return fd;
  sys.close(fd);
  return result;
}

/** Versions of IP of a socket: both = of IPv6, IPv4 by addresses of ::ffff:0:0/96. */
export type Family = 4 | 6 | "both";

/** Asked for until a flow has the socket; the kernel doubles it. Any one datagram fits. */
const PARKED_BUFFER = 32_768;

/**
 * A socket for a published port. What it costs per port is what counts: a range may have thousands,
 * so all that only matters once it is used is left to `readyUdpPort`.
 * @param octets 16 octets of address, of IPv4 ::ffff:A.B.C.D
 * @returns the descriptor, or the negative errno
 */
export function openUdpPort(
  sys: Libc,
  family: Family,
  octets: ArrayLike<number>,
  port: number,
): number {
  const fd = family === 4 ? openUdp(sys) : family === 6 ? openUdp6(sys) : openUdpDual(sys);
  if (fd < 0) return fd;
  if (isAll(octets)) {
    // Answers are to leave from the address that was asked.
    if (family === 4) setReceiveAddress(sys, fd, true);
    else setReceiveAddress6(sys, fd, true);
  }
  setOption(sys, fd, SOL_SOCKET, SO_RCVBUF, PARKED_BUFFER);
  const result =
    family === 4 ? bindIpv4(sys, fd, addressOf(octets), port) : bindIpv6(sys, fd, octets, port);
  if (result >= 0) return fd;
  sys.close(fd);
  return result;
}

/** A flow is about to use the socket of a published port. */
export function readyUdpPort(sys: Libc, fd: number, family: Family): void {
  if (family === "both") setReceiveErrors(sys, fd, true);
  prepare(sys, fd, family === 4 ? 4 : 6);
}

/** IPv4 address at the end of 16 octets. */
function addressOf(octets: ArrayLike<number>): number {
  let address = 0;
  for (let i = 12; i < 16; i += 1) address = address * 256 + (octets[i] ?? 0);
  return address;
}

/** :: or ::ffff:0.0.0.0. */
function isAll(octets: ArrayLike<number>): boolean {
  for (let i = 0; i < 16; i += 1) if ((i < 10 || i > 11) && octets[i] !== 0) return false;
  return true;
}
