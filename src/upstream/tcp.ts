/**
 * Host sockets of outbound TCP connections.
 * Source: connect(2), tcp(7).
 */
import { EALREADY, EINPROGRESS } from "../sys/errno.ts";
import type { Libc } from "../sys/libc.ts";
import { SOCKADDR_IN6_SIZE } from "../sys/linux.ts";
import { connectIpv4, openTcp, openTcp6, setNoDelay, setOobInline, setTos } from "../sys/socket.ts";
import type { Outbound } from "./outbound.ts";

/** A connecting socket: `fd` (or the negative errno) and whether it is connected already. */
export interface Connecting {
  fd: number;
  connected: boolean;
}

/** How a connection begins. */
export interface ConnectManner {
  /** TOS or traffic class of its segments. */
  tos: number;
  /** It is to this machine's loopback. */
  isLoopback: boolean;
  readonly outbound: Outbound;
}

/**
 * Opens a socket and starts to connect. The guest's own segments decide what is sent when, so Nagle
 * is off. A connection to this machine is usually up before connect(2) returns although it says
 * EINPROGRESS; a second call tells, and saves a turn of the loop.
 */
export function connectTcp(
  sys: Libc,
  address: number,
  port: number,
  manner: ConnectManner,
  out: Connecting,
): void {
  out.fd = openTcp(sys);
  connectBy(sys, 4, manner, out, (fd) => connectIpv4(sys, fd, address, port));
}

/**
 * The same to a struct sockaddr_in6 of engine memory.
 * @param name its address in this process
 */
export function connectTcp6(sys: Libc, name: number, manner: ConnectManner, out: Connecting): void {
  out.fd = openTcp6(sys);
  connectBy(sys, 6, manner, out, (fd) => sys.connect(fd, name, SOCKADDR_IN6_SIZE));
}

function connectBy(
  sys: Libc,
  family: 4 | 6,
  manner: ConnectManner,
  out: Connecting,
  connect: (fd: number) => number,
): void {
  const { fd } = out;
  out.connected = false;
  if (fd < 0) return;
  setNoDelay(sys, fd, true);
  setOobInline(sys, fd);
  if (manner.tos !== 0) setTos(sys, fd, family, manner.tos);
  let result = manner.isLoopback ? 0 : manner.outbound.bind(sys, fd, family);
  if (result >= 0) result = connect(fd);
  if (result === -EINPROGRESS) {
    if (!manner.isLoopback) return;
    result = connect(fd);
    if (result < 0 && result !== -EALREADY) return void fail(sys, fd, result, out);
    out.connected = result === 0;
    return;
  }
  if (result < 0) fail(sys, fd, result, out);
  else out.connected = true;
}

function fail(sys: Libc, fd: number, errno: number, out: Connecting): void {
  sys.close(fd);
  out.fd = errno;
}
