/**
 * struct sockaddr of IPv4, IPv6 and unix sockets, written to and read from a block.
 *
 * IPv4 addresses and ports are plain numbers in host order (10.0.2.2 = 0x0a000202), IPv6 addresses
 * 16 octets. Callers pass (block, length) on.
 * Source: ip(7), ipv6(7), unix(7).
 */

import type { Block } from "./block.ts";
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  SOCKADDR_IN_SIZE,
  SOCKADDR_IN6_SIZE,
  SOCKADDR_UN_PATH_SIZE,
} from "./linux.ts";

const PORT_OFFSET = 2;
const ADDRESS_OFFSET = 4;
const IPV6_ADDRESS_OFFSET = 8;
const IPV6_SCOPE_OFFSET = 24;
const IPV6_SIZE = 16;
const UNIX_PATH_OFFSET = 2;
const ABSTRACT_MARK = "@".charCodeAt(0);
const encoder = new TextEncoder();

/** An IPv4 transport address, to be filled in again and again. */
export interface Ipv4Endpoint {
  address: number;
  port: number;
}

/** Returns the length to pass on. */
export function writeIpv4(block: Block, offset: number, address: number, port: number): number {
  block.bytes.fill(0, offset, offset + SOCKADDR_IN_SIZE);
  block.view.setUint16(offset, AF_INET, true);
  block.view.setUint16(offset + PORT_OFFSET, port, false);
  block.view.setUint32(offset + ADDRESS_OFFSET, address, false);
  return SOCKADDR_IN_SIZE;
}

/** False where another family is written there. */
export function readIpv4(block: Block, offset: number, endpoint: Ipv4Endpoint): boolean {
  if (block.view.getUint16(offset, true) !== AF_INET) return false;
  endpoint.port = block.view.getUint16(offset + PORT_OFFSET, false);
  endpoint.address = block.view.getUint32(offset + ADDRESS_OFFSET, false);
  return true;
}

/** An IPv6 transport address, to be filled in again and again. */
export interface Ipv6Endpoint {
  readonly octets: Uint8Array;
  /** Interface index of a link-local address, else 0. */
  scope: number;
  port: number;
}

/** Returns the length to pass on. */
export function writeIpv6(
  block: Block,
  offset: number,
  octets: ArrayLike<number>,
  port: number,
  scope = 0,
): number {
  block.bytes.fill(0, offset, offset + SOCKADDR_IN6_SIZE);
  block.view.setUint16(offset, AF_INET6, true);
  block.view.setUint16(offset + PORT_OFFSET, port, false);
  block.bytes.set(octets, offset + IPV6_ADDRESS_OFFSET);
  block.view.setUint32(offset + IPV6_SCOPE_OFFSET, scope, true);
  return SOCKADDR_IN6_SIZE;
}

/** False where another family is written there. */
export function readIpv6(block: Block, offset: number, endpoint: Ipv6Endpoint): boolean {
  if (block.view.getUint16(offset, true) !== AF_INET6) return false;
  const at = offset + IPV6_ADDRESS_OFFSET;
  endpoint.port = block.view.getUint16(offset + PORT_OFFSET, false);
  endpoint.octets.set(block.bytes.subarray(at, at + IPV6_SIZE));
  endpoint.scope = block.view.getUint32(offset + IPV6_SCOPE_OFFSET, true);
  return true;
}

/**
 * Returns the length to pass on. A path that begins with "@" is a name of Linux's abstract ones.
 * @throws RangeError where the path does not fit: cutting it would name another file
 */
export function writeUnix(block: Block, offset: number, path: string): number {
  const octets = encoder.encode(path);
  if (octets.length === 0 || octets.length >= SOCKADDR_UN_PATH_SIZE) {
    const limit = SOCKADDR_UN_PATH_SIZE - 1;
    throw new RangeError(
      `Use a socket path of 1 to ${limit} octets: "${path}" has ${octets.length}`,
    );
  }
  block.view.setUint16(offset, AF_UNIX, true);
  block.bytes.set(octets, offset + UNIX_PATH_OFFSET);
  if (octets[0] === ABSTRACT_MARK) {
    block.bytes[offset + UNIX_PATH_OFFSET] = 0;
    return UNIX_PATH_OFFSET + octets.length; // every octet counts: no terminating zero
  }
  block.bytes[offset + UNIX_PATH_OFFSET + octets.length] = 0;
  return UNIX_PATH_OFFSET + octets.length + 1;
}
