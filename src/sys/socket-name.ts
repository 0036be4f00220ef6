/** Where a socket is bound, as text, whatever its version of IP. Source: getsockname(2). */
import { formatIpv4 } from "../lib/addr.ts";
import { formatIpv6, groupsOfOctets } from "../lib/addr6.ts";
import type { Libc } from "./libc.ts";
import { SOCKADDR_STORAGE_SIZE } from "./linux.ts";
import { type Ipv4Endpoint, type Ipv6Endpoint, readIpv4, readIpv6 } from "./sockaddr.ts";

const LENGTH_OFFSET = SOCKADDR_STORAGE_SIZE;

export interface SocketName {
  readonly address: string;
  readonly port: number;
}

/** Undefined where it has no name of IP, or is no socket any more. */
export function socketName(sys: Libc, fd: number): SocketName | undefined {
  const { scratch } = sys;
  scratch.setI32(LENGTH_OFFSET, SOCKADDR_STORAGE_SIZE);
  if (sys.getsockname(fd, scratch.address, scratch.address + LENGTH_OFFSET) < 0) return undefined;
  const four: Ipv4Endpoint = { address: 0, port: 0 };
  if (readIpv4(scratch, 0, four)) return { address: formatIpv4(four.address), port: four.port };
  const six: Ipv6Endpoint = { octets: new Uint8Array(16), scope: 0, port: 0 };
  if (!readIpv6(scratch, 0, six)) return undefined;
  return { address: addressText(six.octets), port: six.port };
}

/** IPv4 inside of IPv6 (RFC 4291 §2.5.5.2), as a dual socket has it, is shown as IPv4. */
function addressText(octets: Uint8Array): string {
  const isMapped = octets.every((octet, i) => i > 11 || octet === (i < 10 ? 0 : 0xff));
  if (!isMapped) return formatIpv6(groupsOfOctets(octets));
  return octets.subarray(12).join(".");
}
