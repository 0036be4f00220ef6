/**
 * The guest's IPv6 network and who has which address in it: gateway is the network address + 1,
 * guest + 2, DNS + 3. The first two are what KubeVirt documents for its own dual-stack binding, so
 * that guests configured by hand work unchanged.
 */
import { type Ipv6Groups, readIpv6 } from "../lib/addr6.ts";
import { ConfigError, quote } from "./errors.ts";

export interface Subnet6 {
  readonly network: Ipv6Groups;
  /** Bits, 8 to 126. */
  readonly prefixLength: number;
  readonly gateway: Ipv6Groups;
  readonly guest: Ipv6Groups;
  readonly dns: Ipv6Groups;
}

export const SUBNET6_DEFAULT = "fd10:0:2::/64";

const PREFIX_LENGTH_MIN = 8;
const PREFIX_LENGTH_MAX = 126;

/**
 * Reads `fd10:0:2::/120` and hands out its addresses.
 *
 * Throws `ConfigError` when the text is not a network, the prefix is outside 8 to 126, host bits
 * are set, or the network cannot be a guest's (RFC 4291 §2.4: unspecified, loopback, mapped,
 * link-local, multicast).
 */
export function parseSubnet6(text: string): Subnet6 {
  const match = /^([0-9a-fA-F:.]+)\/([0-9]{1,3})$/.exec(text);
  const network = readIpv6(match?.[1] ?? "");
  const prefixLength = Number(match?.[2]);
  if (network === undefined || prefixLength > 128) {
    throw new ConfigError(`wanted an IPv6 network such as ${quote(SUBNET6_DEFAULT)}`);
  }
  if (prefixLength < PREFIX_LENGTH_MIN || prefixLength > PREFIX_LENGTH_MAX) {
    throw new ConfigError(`wanted a prefix from /${PREFIX_LENGTH_MIN} to /${PREFIX_LENGTH_MAX}`);
  }
  if (network.some((group, index) => (group & hostMask(prefixLength, index)) !== 0)) {
    throw new ConfigError("host bits are set");
  }
  const [first = 0] = network;
  if (first === 0 || first >= 0xff00 || (first & 0xffc0) === 0xfe80) {
    throw new ConfigError("wanted a unicast network, neither link-local nor in 0000::/16");
  }
  const host = (index: number): number[] => [...network.slice(0, -1), (network[7] ?? 0) + index];
  return { network, prefixLength, gateway: host(1), guest: host(2), dns: host(3) };
}

/** Bits of group `index` that lie beyond the prefix. */
export function hostMask(prefixLength: number, index: number): number {
  const bits = Math.min(16, Math.max(0, prefixLength - index * 16));
  return 0xffff >>> bits;
}

/** Whether a guest may have the address: in the network, and nobody else's. */
export function isGuestOf6(subnet: Subnet6, address: Ipv6Groups): boolean {
  const { network, prefixLength } = subnet;
  const isInside = network.every((group, index) => {
    const mask = 0xffff & ~hostMask(prefixLength, index);
    return ((address[index] ?? 0) & mask) === group;
  });
  const taken = [network, subnet.gateway, subnet.dns];
  return isInside && taken.every((other) => other.some((group, i) => group !== address[i]));
}
