/**
 * Addresses in engine memory as the text that an `Upstream` has them in, and back.
 * Source: ip(7), ipv6(7): struct sockaddr_in, struct sockaddr_in6.
 */
import { formatIpv4, isIpv4, parseIpv4 } from "../lib/addr.ts";
import { formatIpv6, groupsOfOctets, octetsOfIpv6, readIpv6 } from "../lib/addr6.ts";
import type { Endpoint } from "./upstream.ts";

const AF_INET = 2;
const AF_INET6 = 10;
const SIZE_4 = 16;
const SIZE_6 = 28;

/** Reads a name; undefined where there is none of either version. */
export function readName(view: DataView, at: number): Endpoint | undefined {
  const family = view.getUint16(at, true);
  const port = view.getUint16(at + 2);
  if (family === AF_INET) return { address: formatIpv4(view.getUint32(at + 4)), port };
  if (family !== AF_INET6) return undefined;
  const octets = new Uint8Array(view.buffer, view.byteOffset + at + 8, 16);
  return { address: formatIpv6(groupsOfOctets(octets)), port };
}

/**
 * Writes a name.
 * @returns its octets; 0 = that is no address
 */
export function writeName(view: DataView, at: number, { address, port }: Endpoint): number {
  const isFour = isIpv4(address);
  const groups = isFour ? [] : readIpv6(address.split("%", 1)[0] ?? "");
  if (groups === undefined) return 0;
  const octets = new Uint8Array(view.buffer, view.byteOffset + at, isFour ? SIZE_4 : SIZE_6);
  octets.fill(0);
  view.setUint16(at, isFour ? AF_INET : AF_INET6, true);
  view.setUint16(at + 2, port);
  if (isFour) view.setUint32(at + 4, parseIpv4(address));
  else octets.set(octetsOfIpv6(groups), 8);
  return octets.length;
}
