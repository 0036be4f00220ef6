/**
 * Sockets: making them, naming them, setting options.
 *
 * Contract: every function returns zero or more, or the negative errno; none throws (but for a unix
 * path that is too long). All sockets are non-blocking and close on exec.
 * Sockets of IPv6 take IPv6 only (IPV6_V6ONLY), so that one of each version can have the same port;
 * `openUdpDual` is of both.
 * Source: socket(7), ip(7), ipv6(7), tcp(7), udp(7), icmp(7), unix(7).
 */

import { EACCES, EADDRINUSE, EPERM } from "./errno.ts";
import type { Libc } from "./libc.ts";
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  IFNAMSIZ,
  IP_PKTINFO,
  IP_RECVERR,
  IP_TOS,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPV6_RECVERR,
  IPV6_RECVPKTINFO,
  IPV6_TCLASS,
  IPV6_V6ONLY,
  SHUT_RD,
  SHUT_WR,
  SIOCATMARK,
  SO_BINDTODEVICE,
  SO_ERROR,
  SO_KEEPALIVE,
  SO_LINGER,
  SO_OOBINLINE,
  SO_REUSEADDR,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_SEQPACKET,
  SOCK_STREAM,
  SOCKADDR_STORAGE_SIZE,
  SOL_IP,
  SOL_IPV6,
  SOL_SOCKET,
  SOL_TCP,
  SOL_UDP,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
  TCP_NODELAY,
  UDP_GRO,
} from "./linux.ts";
import {
  type Ipv4Endpoint,
  type Ipv6Endpoint,
  readIpv4,
  readIpv6,
  writeIpv4,
  writeIpv6,
  writeUnix,
} from "./sockaddr.ts";

const FLAGS = SOCK_NONBLOCK | SOCK_CLOEXEC;
/** In the scratch block: a socket address first, then its length, then an option value. */
const LENGTH_OFFSET = SOCKADDR_STORAGE_SIZE;
const VALUE_OFFSET = LENGTH_OFFSET + 8;

export function openTcp(sys: Libc): number {
  return sys.socket(AF_INET, SOCK_STREAM | FLAGS, 0);
}

export function openUdp(sys: Libc): number {
  return sys.socket(AF_INET, SOCK_DGRAM | FLAGS, 0);
}

/** An unprivileged echo socket; -EACCES outside net.ipv4.ping_group_range. */
export function openPing(sys: Libc): number {
  return sys.socket(AF_INET, SOCK_DGRAM | FLAGS, IPPROTO_ICMP);
}

function openIpv6(sys: Libc, type: number, protocol: number): number {
  const fd = sys.socket(AF_INET6, type | FLAGS, protocol);
  if (fd < 0) return fd;
  const result = setOption(sys, fd, SOL_IPV6, IPV6_V6ONLY, 1);
  return result < 0 ? failed(sys, fd, result) : fd;
}

export function openTcp6(sys: Libc): number {
  return openIpv6(sys, SOCK_STREAM, 0);
}

export function openUdp6(sys: Libc): number {
  return openIpv6(sys, SOCK_DGRAM, 0);
}

/** A socket of IPv6 that takes IPv4 too, with addresses of ::ffff:0:0/96. */
export function openUdpDual(sys: Libc): number {
  const fd = sys.socket(AF_INET6, SOCK_DGRAM | FLAGS, 0);
  if (fd < 0) return fd;
  const result = setOption(sys, fd, SOL_IPV6, IPV6_V6ONLY, 0);
  return result < 0 ? failed(sys, fd, result) : fd;
}

/** An echo socket of ICMPv6; the same range rules it. */
export function openPing6(sys: Libc): number {
  return openIpv6(sys, SOCK_DGRAM, IPPROTO_ICMPV6);
}

/** Whether the kernel lets our group have ping sockets (icmp(7)). */
export function mayPing(sys: Libc): boolean {
  const fd = openPing(sys);
  if (fd >= 0) sys.close(fd);
  return fd !== -EACCES && fd !== -EPERM;
}

/**
 * A bound socket that does not listen yet, so that nobody comes before its mode is set.
 * @throws RangeError where the path is too long
 */
export function bindUnix(sys: Libc, path: string): number {
  const length = writeUnix(sys.scratch, 0, path);
  const fd = sys.socket(AF_UNIX, SOCK_STREAM | FLAGS, 0);
  if (fd < 0) return fd;
  const result = sys.bind(fd, sys.scratch.address, length);
  return result < 0 ? failed(sys, fd, result) : fd;
}

/** @throws RangeError where the path is too long */
export function listenUnix(sys: Libc, path: string, backlog = 16): number {
  const fd = bindUnix(sys, path);
  if (fd < 0) return fd;
  const result = sys.listen(fd, backlog);
  return result < 0 ? failed(sys, fd, result) : fd;
}

/** @throws RangeError where the path is too long */
export function connectUnix(sys: Libc, path: string): number {
  const length = writeUnix(sys.scratch, 0, path);
  const fd = sys.socket(AF_UNIX, SOCK_STREAM | FLAGS, 0);
  if (fd < 0) return fd;
  const result = sys.connect(fd, sys.scratch.address, length);
  return result < 0 ? failed(sys, fd, result) : fd;
}

/**
 * Two connected unix sockets that keep messages apart and say when the other end is closed.
 * Zero, or the negative errno.
 */
export function openMessagePair(sys: Libc, pair: { a: number; b: number }): number {
  const result = sys.socketpair(AF_UNIX, SOCK_SEQPACKET | FLAGS, 0, sys.scratch.address);
  if (result < 0) return result;
  pair.a = sys.scratch.getI32(0);
  pair.b = sys.scratch.getI32(4);
  return 0;
}

export function bindIpv4(sys: Libc, fd: number, address: number, port: number): number {
  return sys.bind(fd, sys.scratch.address, writeIpv4(sys.scratch, 0, address, port));
}

export function bindIpv6(sys: Libc, fd: number, octets: ArrayLike<number>, port: number): number {
  return sys.bind(fd, sys.scratch.address, writeIpv6(sys.scratch, 0, octets, port));
}

/** Has all that the socket sends go out by the interface, of at most 15 characters. */
export function bindDevice(sys: Libc, fd: number, name: string): number {
  const { bytes, address } = sys.scratch;
  const { written } = new TextEncoder().encodeInto(name, bytes.subarray(0, IFNAMSIZ - 1));
  bytes[written] = 0;
  return sys.setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, address, written + 1);
}

/** Zero, or -EINPROGRESS: writable once the answer is there, `takeError` then says which. */
export function connectIpv4(sys: Libc, fd: number, address: number, port: number): number {
  return sys.connect(fd, sys.scratch.address, writeIpv4(sys.scratch, 0, address, port));
}

/** Binds and listens; the port may be 0. Zero, or the negative errno. */
export function listenIpv4(
  sys: Libc,
  fd: number,
  address: number,
  port: number,
  backlog = 128,
): number {
  const reuse = reusePort(sys, fd);
  const bound = reuse < 0 ? reuse : bindIpv4(sys, fd, address, port);
  return bound < 0 ? bound : sys.listen(fd, backlog);
}

/**
 * Binds a socket of TCP, which `bind` does, to a port that it is to listen at later. Nobody else
 * gets the port meanwhile, with SO_REUSEADDR neither, and who connects is refused.
 *
 * Bound without SO_REUSEADDR, which two sockets that do not listen could share a port by. Where
 * connections of an earlier run are in the way (TIME_WAIT) it is bound with it, and listens for a
 * moment: that finds out who else has the port, and ends the sharing for as long as it is bound.
 * Zero, or the negative errno. Source: inet_csk_get_port of Linux, socket(7).
 */
export function reservePort(sys: Libc, fd: number, bind: () => number): number {
  const bound = bind();
  if (bound !== -EADDRINUSE) return bound;
  const reuse = reusePort(sys, fd);
  const again = reuse < 0 ? reuse : bind();
  if (again < 0) return again;
  const result = sys.listen(fd, 1);
  return result < 0 ? result : stopListening(sys, fd);
}

/** Listens at a port of `reservePort`. Zero, or the negative errno. */
export function startListening(sys: Libc, fd: number, backlog = 128): number {
  // What was accepted before is at this port, too, and inherits the option.
  const reuse = reusePort(sys, fd);
  return reuse < 0 ? reuse : sys.listen(fd, backlog);
}

/** Listens no more and keeps the port; who waits to be accepted is reset. Zero, or the errno. */
export function stopListening(sys: Libc, fd: number): number {
  const result = sys.shutdown(fd, SHUT_RD);
  return result < 0 ? result : setOption(sys, fd, SOL_SOCKET, SO_REUSEADDR, 0);
}

/** A port in TIME_WAIT from an earlier run is free to take: there is no second listener to rob. */
function reusePort(sys: Libc, fd: number): number {
  return setOption(sys, fd, SOL_SOCKET, SO_REUSEADDR, 1);
}

/**
 * The accepted descriptor; `peer` or `peer6` is filled in where the other side has an address of
 * that version.
 */
export function accept(sys: Libc, fd: number, peer?: Ipv4Endpoint, peer6?: Ipv6Endpoint): number {
  const { scratch } = sys;
  scratch.setI32(LENGTH_OFFSET, SOCKADDR_STORAGE_SIZE);
  const accepted = sys.accept4(fd, scratch.address, scratch.address + LENGTH_OFFSET, FLAGS);
  if (accepted >= 0 && peer !== undefined) readIpv4(scratch, 0, peer);
  if (accepted >= 0 && peer6 !== undefined) readIpv6(scratch, 0, peer6);
  return accepted;
}

/** Where the socket is bound. Zero, or the negative errno. */
export function localEndpoint(sys: Libc, fd: number, endpoint: Ipv4Endpoint): number {
  const { scratch } = sys;
  scratch.setI32(LENGTH_OFFSET, SOCKADDR_STORAGE_SIZE);
  const result = sys.getsockname(fd, scratch.address, scratch.address + LENGTH_OFFSET);
  if (result >= 0) readIpv4(scratch, 0, endpoint);
  return result;
}

/** Port, or identifier of a ping socket, whatever the version; or the negative errno. */
export function localPort(sys: Libc, fd: number): number {
  const { scratch } = sys;
  scratch.setI32(LENGTH_OFFSET, SOCKADDR_STORAGE_SIZE);
  const result = sys.getsockname(fd, scratch.address, scratch.address + LENGTH_OFFSET);
  return result < 0 ? result : scratch.view.getUint16(2, false);
}

/** No more will be sent: the peer reads end of stream, and may go on sending. */
export function halfClose(sys: Libc, fd: number): number {
  return sys.shutdown(fd, SHUT_WR);
}

/** Sets an option whose value is an int. */
export function setOption(
  sys: Libc,
  fd: number,
  level: number,
  name: number,
  value: number,
): number {
  sys.scratch.setI32(VALUE_OFFSET, value);
  return sys.setsockopt(fd, level, name, sys.scratch.address + VALUE_OFFSET, 4);
}

/** Value of an int option; of use where it cannot be negative. */
export function getOption(sys: Libc, fd: number, level: number, name: number): number {
  const { scratch } = sys;
  scratch.setI32(LENGTH_OFFSET, 4);
  const value = scratch.address + VALUE_OFFSET;
  const result = sys.getsockopt(fd, level, name, value, scratch.address + LENGTH_OFFSET);
  return result < 0 ? result : scratch.getI32(VALUE_OFFSET);
}

/** Takes the pending error of a socket (SO_ERROR): 0 = none, else the negative errno. */
export function takeError(sys: Libc, fd: number): number {
  const result = getOption(sys, fd, SOL_SOCKET, SO_ERROR);
  return result > 0 ? -result : result;
}

/** Segments leave at once: the guest's own stack has decided already what to coalesce. */
export function setNoDelay(sys: Libc, fd: number, on: boolean): number {
  return setOption(sys, fd, SOL_TCP, TCP_NODELAY, on ? 1 : 0);
}

/** As Linux does by default (tcp(7)); questions that nobody answers. */
const KEEPALIVE_INTERVAL_MAX = 75;
const KEEPALIVE_COUNT = 9;

/**
 * Asks the peer after `seconds` of silence, 1 to 32,767, then as often again but every 75 seconds
 * at least; the ninth question without an answer ends it with ETIMEDOUT. 0 switches it off.
 */
export function setKeepalive(sys: Libc, fd: number, seconds: number): number {
  if (seconds <= 0) return setOption(sys, fd, SOL_SOCKET, SO_KEEPALIVE, 0);
  const interval = Math.min(seconds, KEEPALIVE_INTERVAL_MAX);
  let result = setOption(sys, fd, SOL_TCP, TCP_KEEPIDLE, seconds);
  if (result >= 0) result = setOption(sys, fd, SOL_TCP, TCP_KEEPINTVL, interval);
  if (result >= 0) result = setOption(sys, fd, SOL_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT);
  return result < 0 ? result : setOption(sys, fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

/**
 * What the peer marks as urgent stays in its place in the stream. What a listener accepts has it,
 * too.
 */
export function setOobInline(sys: Libc, fd: number): number {
  return setOption(sys, fd, SOL_SOCKET, SO_OOBINLINE, 1);
}

/** Whether the next octet to be read is the urgent one: 1 or 0 (sockatmark(3)). */
export function isAtMark(sys: Libc, fd: number): number {
  const { scratch } = sys;
  const result = sys.ioctl(fd, SIOCATMARK, scratch.address + VALUE_OFFSET);
  return result < 0 ? result : scratch.getI32(VALUE_OFFSET);
}

/** @param tos TOS, or traffic class, of what is sent from now on; ECN of TCP is the kernel's */
export function setTos(sys: Libc, fd: number, family: 4 | 6, tos: number): number {
  return family === 6
    ? setOption(sys, fd, SOL_IPV6, IPV6_TCLASS, tos)
    : setOption(sys, fd, SOL_IP, IP_TOS, tos);
}

/** Makes the next close send RST and drop what is unsent, where `seconds` is 0. */
export function setLinger(sys: Libc, fd: number, on: boolean, seconds: number): number {
  sys.scratch.setI32(VALUE_OFFSET, on ? 1 : 0);
  sys.scratch.setI32(VALUE_OFFSET + 4, seconds);
  return sys.setsockopt(fd, SOL_SOCKET, SO_LINGER, sys.scratch.address + VALUE_OFFSET, 8);
}

/** ICMP errors are queued for MSG_ERRQUEUE, with the payload they are about. */
export function setReceiveErrors(sys: Libc, fd: number, on: boolean): number {
  return setOption(sys, fd, SOL_IP, IP_RECVERR, on ? 1 : 0);
}

/** The same for a socket of IPv6. */
export function setReceiveErrors6(sys: Libc, fd: number, on: boolean): number {
  return setOption(sys, fd, SOL_IPV6, IPV6_RECVERR, on ? 1 : 0);
}

/** The local address of each datagram comes as control message IP_PKTINFO. */
export function setReceiveAddress(sys: Libc, fd: number, on: boolean): number {
  return setOption(sys, fd, SOL_IP, IP_PKTINFO, on ? 1 : 0);
}

/** The same, IPV6_PKTINFO, for a socket of IPv6. */
export function setReceiveAddress6(sys: Libc, fd: number, on: boolean): number {
  return setOption(sys, fd, SOL_IPV6, IPV6_RECVPKTINFO, on ? 1 : 0);
}

/** Received runs of equal-sized datagrams come as one, with control message UDP_GRO. */
export function setUdpGro(sys: Libc, fd: number, on: boolean): number {
  return setOption(sys, fd, SOL_UDP, UDP_GRO, on ? 1 : 0);
}

function failed(sys: Libc, fd: number, result: number): number {
  sys.close(fd);
  return result;
}
