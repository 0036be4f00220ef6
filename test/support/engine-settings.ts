/** The network that engines under test serve, and their configuration. */
import type { EngineConfigValues, EngineIpv6Values } from "../../src/engine/config.ts";
import { ip, ip6, macOctets } from "./packet.ts";
import type { Variant } from "./wasm.ts";

export const GUEST_MAC = "52:54:00:12:34:56";
export const GATEWAY_MAC = "52:55:0a:00:02:02";
export const GUEST = "10.0.2.15";
export const GATEWAY = "10.0.2.2";
export const DNS = "10.0.2.3";
export const RESOLVER = "198.18.0.53";
export const PEER = "198.51.100.80";
export const GUEST6 = "fd10:0:2::2";
export const GATEWAY6 = "fd10:0:2::1";
export const DNS6 = "fd10:0:2::3";
/** Link-local addresses of gateway and guest. */
export const ROUTER6 = "fe80::5055:aff:fe00:202";
export const LINK6 = "fe80::5054:ff:fe12:3456";
export const PEER6 = "2001:db8::80";

export interface WorldOptions extends Partial<Omit<EngineConfigValues, "seed">> {
  readonly variant?: Variant;
  /** Any number; it is spread over the engine's 32 octets. */
  readonly seed?: number;
  /** The guest lends what can be lent, or two thirds of it; wants a `vnetSize` of 12. */
  readonly lends?: boolean | "mixed";
}

const DEFAULTS: Omit<EngineConfigValues, "seed"> = {
  guestAddress: ip(GUEST),
  gatewayAddress: ip(GATEWAY),
  dnsAddress: ip(DNS),
  prefixLength: 24,
  mtu: 1500,
  hostLoopback: false,
  dhcp: true,
  dns: true,
  strictFilter: false,
  flowsMax: 256,
  chunksMax: 256,
  vnetSize: 0,
  linkFlags: 0,
  linkQueue: 500,
  gatewayMac: macOctets(GATEWAY_MAC),
  guestMac: macOctets(GUEST_MAC),
  leaseSeconds: 86400,
  udpTimeoutSeconds: 300,
  tcpIdleSeconds: 7440,
  keepaliveSeconds: 0,
  resolvers: [ip(RESOLVER)],
  dhcpOptions: new Uint8Array(0),
  dhcpServerAddress: 0,
};

/** An IPv6 address as the engine's configuration has it. */
export function groups(address: string): number[] {
  const octets = ip6(address);
  const word = (i: number): number => ((octets[2 * i] ?? 0) << 8) | (octets[2 * i + 1] ?? 0);
  return Array.from({ length: 8 }, (_, i) => word(i));
}

/** What lets the engine serve IPv6. */
export const IPV6: EngineIpv6Values = {
  guest: groups(GUEST6),
  gateway: groups(GATEWAY6),
  dns: groups(DNS6),
  router: groups(ROUTER6),
  prefixLength: 120,
  dhcpOptions: new Uint8Array(0),
};

/** The engine's configuration for these options. */
export function worldConfig(options: WorldOptions = {}): EngineConfigValues {
  const { variant: _, lends: _lends, seed = 1, ...given } = options;
  const spread = Uint8Array.from({ length: 32 }, (_octet, i) => (seed * (i + 7) + i * i) & 0xff);
  return { ...DEFAULTS, ...given, seed: spread };
}
