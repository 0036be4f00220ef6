/**
 * The guest's network: addresses of both versions of IP, MTU, the gateway's MAC.
 */
import { type MacOctets, readMac } from "./address.ts";
import { ConfigError, quote } from "./errors.ts";
import { NETWORK } from "./headings.ts";
import { type Bounds, integer, negatedFlag, readGroup, value } from "./option.ts";
import type { Settings } from "./settings.ts";
import { defaultGatewayMac, parseSubnet, SUBNET_DEFAULT, type Subnet } from "./subnet.ts";
import { parseSubnet6, SUBNET6_DEFAULT, type Subnet6 } from "./subnet6.ts";

/** What is served on the link. Addresses in host order. */
export interface NetworkOptions {
  readonly subnet: Subnet;
  /** Serve IPv4. */
  readonly ipv4: boolean;
  /** Guest network of IPv6; undefined = serve none. Only with an MTU of 1280 or more. */
  readonly subnet6: Subnet6 | undefined;
  /** Octets of an IP packet, 576 to 65520. */
  readonly mtu: number;
  /** MAC address of gateway and DNS. */
  readonly gatewayMac: MacOctets;
}

export const MTU_DEFAULT = 65520;
export const MTU_BOUNDS: Bounds = [576, 65520];
/** Smallest MTU IPv6 works with (RFC 8200 §5). */
export const IPV6_MTU_MIN = 1280;

export const NETWORK_OPTIONS = {
  subnet: value({
    name: "cidr",
    argument: "A.B.C.D/N",
    description:
      "guest network, /8 to /29: gateway is its address + 2, DNS + 3, guest + 15 " +
      `(+ 4 in /28 and /29) (default ${SUBNET_DEFAULT})`,
    heading: NETWORK,
    parse: parseSubnet,
    fallback: parseSubnet(SUBNET_DEFAULT),
  }),
  subnet6: value({
    name: "cidr6",
    argument: "PREFIX/N",
    description:
      "guest network of IPv6, /8 to /126: gateway is its address + 1, guest + 2, DNS + 3; guests " +
      `make addresses of their own in a /64 (default ${SUBNET6_DEFAULT})`,
    heading: NETWORK,
    parse: parseSubnet6,
  }),
  ipv4: negatedFlag({ name: "no-ipv4", description: "serve IPv6 only", heading: NETWORK }),
  ipv6: negatedFlag({
    name: "no-ipv6",
    description: "serve IPv4 only, as with an MTU below 1280",
    heading: NETWORK,
  }),
  mtu: integer({
    name: "mtu",
    argument: "N",
    description: "octets of an IP packet, {bounds} (default {default})",
    heading: NETWORK,
    bounds: MTU_BOUNDS,
    fallback: MTU_DEFAULT,
  }),
  gatewayMac: value({
    name: "mac",
    argument: "ADDR",
    description: "MAC of the gateway (default 52:55 and its IPv4 address, 52:55:0a:00:02:02)",
    heading: NETWORK,
    parse: parseGatewayMac,
  }),
};

/** Reads them, and checks them against each other. Throws `ConfigError`. */
export function readNetwork(settings: Settings): NetworkOptions {
  const { subnet, subnet6, ipv4, ipv6, mtu, gatewayMac } = readGroup(NETWORK_OPTIONS, settings);
  if (!ipv6 && subnet6 !== undefined) {
    throw new ConfigError('drop "--cidr6" or "--no-ipv6": they contradict each other');
  }
  if (mtu < IPV6_MTU_MIN && (subnet6 !== undefined || !ipv4)) {
    throw new ConfigError(`raise "--mtu" to ${IPV6_MTU_MIN} or more for IPv6, from ${mtu}`);
  }
  const isServed = ipv6 && mtu >= IPV6_MTU_MIN;
  if (!ipv4 && !isServed) throw new ConfigError('drop "--no-ipv4" or "--no-ipv6": one has to stay');
  return {
    subnet,
    ipv4,
    subnet6: isServed ? (subnet6 ?? parseSubnet6(SUBNET6_DEFAULT)) : undefined,
    mtu,
    gatewayMac: gatewayMac ?? defaultGatewayMac(subnet.gateway),
  };
}

/** A MAC that frames can come from: one station's, not a group's, and not the unknown one. */
function parseGatewayMac(text: string): MacOctets {
  const mac = readMac(text);
  if (mac === undefined) {
    throw new ConfigError(`wanted six octets such as ${quote("52:55:0a:00:02:02")}`);
  }
  if ((mac[0] & 1) === 1 || mac.every((octet) => octet === 0)) {
    throw new ConfigError("wanted a unicast MAC address");
  }
  return mac;
}
