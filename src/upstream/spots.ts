/**
 * The sockets that a rule for published ports wants: a spot is one of them, a version of IP and an
 * address of the host.
 */
import type { PublishRule } from "../config/publish-rule.ts";
import { mappedOctetsOf, octetsOfIpv6 } from "../lib/addr6.ts";
import { EADDRNOTAVAIL, EAFNOSUPPORT } from "../sys/errno.ts";
import { isLoopback4 } from "./socket-name.ts";

const UNSPECIFIED6: readonly number[] = new Array<number>(8).fill(0);

export interface Spot {
  readonly family: 4 | 6;
  /** Of IPv4. */
  readonly address: number;
  /** 16 octets, of IPv4 ::ffff:A.B.C.D. */
  readonly octets: readonly number[];
}

/** Versions of IP the guest is served. */
export interface Versions {
  readonly ipv4: boolean;
  readonly ipv6: boolean;
}

/** Whether it reaches nobody but this machine. */
export function isLoopback({ family, address, octets }: Spot): boolean {
  if (family === 4) return isLoopback4(address);
  return octets.every((octet, i) => octet === (i === 15 ? 1 : 0));
}

function ipv4Spot(address: number): Spot {
  return { family: 4, address, octets: mappedOctetsOf(address) };
}

function ipv6Spot(groups: readonly number[]): Spot {
  return { family: 6, address: 0, octets: octetsOfIpv6(groups) };
}

/**
 * The sockets a rule wants: one where it names an address, which is of a version that the guest is
 * served (config has refused others); else one of each version that the guest is served.
 */
export function spotsOf(rule: PublishRule, versions: Versions): Spot[] {
  const { hostAddress, guestAddress, protocol } = rule;
  if (typeof hostAddress !== "number") return [ipv6Spot(hostAddress)];
  const isForAll = hostAddress === 0 && rule.ipv4Only !== true;
  let { ipv4, ipv6 } = versions;
  if (protocol === "udp" && isForAll && guestAddress !== undefined) {
    // Datagrams stay within their version.
    if (typeof guestAddress === "number") ipv6 = false;
    else ipv4 = false;
  }
  return [
    ...(ipv4 ? [ipv4Spot(hostAddress)] : []),
    ...(isForAll && ipv6 ? [ipv6Spot(UNSPECIFIED6)] : []),
  ];
}

/**
 * Whether a socket that cannot be had is done without: the IPv6 one of a rule for all addresses, on
 * a host that has no IPv6.
 * @param result the negative errno
 */
export function isLeftOut(result: number, spot: Spot, spots: readonly Spot[]): boolean {
  const isAbsent = result === -EAFNOSUPPORT || result === -EADDRNOTAVAIL;
  return isAbsent && spot.family === 6 && spots.length > 1;
}
