/**
 * The guest's IPv4 network and who has which address in it.
 *
 * Gateway is the network address + 2, DNS + 3, guest + 15: the numbers of QEMU's user networking,
 * so that guests with hard-coded addresses keep working. A network too small for + 15 (/28 and /29)
 * gives its guest + 4. /29 is the smallest that has room for all of them.
 */
import { formatIpv4 } from "../lib/addr.ts";
import { type MacOctets, readIpv4 } from "./address.ts";
import { ConfigError, quote } from "./errors.ts";

/** Addresses in host order. */
export interface Subnet {
  readonly network: number;
  /** Bits, 8 to 29. */
  readonly prefixLength: number;
  readonly gateway: number;
  readonly dns: number;
  readonly guest: number;
}

export const SUBNET_DEFAULT = "10.0.2.0/24";

const PREFIX_LENGTH_MIN = 8;
const PREFIX_LENGTH_MAX = 29;
const GATEWAY_INDEX = 2;
const DNS_INDEX = 3;
const GUEST_INDEX = 15;
const GUEST_INDEX_SMALL = 4;

/**
 * Reads `A.B.C.D/N` and hands out its addresses.
 *
 * Throws `ConfigError` when the text is not a network, N is outside 8 to 29, host bits are set, or
 * the network cannot be a guest's: "this network" (0/8), loopback (127/8), multicast and above.
 */
export function parseSubnet(text: string): Subnet {
  const match = /^([0-9.]+)\/([0-9]{1,2})$/.exec(text);
  const address = readIpv4(match?.[1] ?? "");
  const prefixLength = Number(match?.[2]);
  if (address === undefined || prefixLength > 32) {
    throw new ConfigError(`wanted an IPv4 network such as ${quote(SUBNET_DEFAULT)}`);
  }
  if (prefixLength < PREFIX_LENGTH_MIN || prefixLength > PREFIX_LENGTH_MAX) {
    throw new ConfigError(`wanted a prefix from /${PREFIX_LENGTH_MIN} to /${PREFIX_LENGTH_MAX}`);
  }
  const size = 2 ** (32 - prefixLength);
  const network = address - (address % size);
  if (network !== address) {
    const wanted = quote(`${formatIpv4(network)}/${prefixLength}`);
    throw new ConfigError(`host bits are set, the network is ${wanted}`);
  }
  // With a prefix of 8 or more a network lies in one /8, so the first octet tells.
  const first = network >>> 24;
  if (first === 0 || first === 127 || first >= 224) {
    throw new ConfigError("wanted a unicast network outside 0.0.0.0/8 and 127.0.0.0/8");
  }
  const guestIndex = GUEST_INDEX < size - 1 ? GUEST_INDEX : GUEST_INDEX_SMALL;
  return {
    network,
    prefixLength,
    gateway: network + GATEWAY_INDEX,
    dns: network + DNS_INDEX,
    guest: network + guestIndex,
  };
}

/** The gateway's MAC when none is asked for: 52:55 and its IPv4 address, as slirp always had. */
export function defaultGatewayMac(gateway: number): MacOctets {
  const octet = (shift: number): number => (gateway >>> shift) & 255;
  return [0x52, 0x55, octet(24), octet(16), octet(8), octet(0)];
}

/** Whether a guest may have the address: in the network, and nobody else's. */
export function isGuestOf(subnet: Subnet, address: number): boolean {
  const { network, prefixLength, gateway, dns } = subnet;
  const place = address - network;
  const last = 2 ** (32 - prefixLength) - 1;
  return place > 0 && place < last && address !== gateway && address !== dns;
}
