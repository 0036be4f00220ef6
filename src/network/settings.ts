/**
 * What a network is like for its guest, and what becomes of that in the engine's configuration.
 * Everything has a default; a value out of range is an `EngineError` CONFIG that names it.
 */
import * as abi from "../../wasm/abi.ts";
import {
  defaultGatewayMac,
  isGuestOf,
  parseSubnet,
  SUBNET_DEFAULT,
  type Subnet,
} from "../config/subnet.ts";
import { parseSubnet6, SUBNET6_DEFAULT } from "../config/subnet6.ts";
import {
  checkRange,
  type EngineConfigValues,
  type EngineIpv6Values,
  type ResolverAddress,
} from "../engine/config.ts";
import { EngineError } from "../engine/errors.ts";
import { isIpv4, parseIpv4, parseMac } from "../lib/addr.ts";
import { linkLocalOfMac, readIpv6 } from "../lib/addr6.ts";
import { messageOf } from "../lib/message.ts";
import type { DhcpLists } from "./dhcp.ts";
import { RESOLVER } from "./name-service.ts";
import type { Upstream } from "./upstream.ts";

export interface NetworkSettings {
  /** The guest's IPv4 network: gateway .2, DNS .3, guest .15. Default 10.0.2.0/24; false = none. */
  readonly ipv4?: string | false;
  /** Addresses in it other than those: IPv4, as `10.0.2.2`. */
  readonly gateway?: string;
  readonly guest?: string;
  readonly dns?: string;
  /**
   * The guest's IPv6 network: gateway ::1, guest ::2, DNS ::3. Default fd10:0:2::/64, or none where
   * the upstream does not reach IPv6; false = none.
   */
  readonly ipv6?: string | false;
  /** Octets of an IP packet, 576 to 65520, 1280 at least with IPv6. Default 1500. */
  readonly mtu?: number;
  /** What the guest gets by DHCP beside its addresses: `dhcpOptions({ hostName, … })`. */
  readonly dhcp?: DhcpLists;
  /** Name servers behind the DNS address, at most 3; not used where the upstream resolves. */
  readonly resolvers?: readonly string[];
  /** Default 52:55 and the gateway's IPv4 address. */
  readonly gatewayMac?: string;
  /** Whether the gateway's address leads to the host's loopback. Default false. */
  readonly hostLoopback?: boolean;
  /** Whether it reaches the metadata services of clouds: 169.254.169.254, … Default "allow". */
  readonly metadataAddress?: "allow" | "refuse";
  /** Flows at a time, 16 to 65536. Default 16384. */
  readonly flows?: number;
  /** Payload that is kept for the guest, MiB, 1 to 64. Default 16. */
  readonly bufferMib?: number;
  /** Seconds without traffic after which a flow of UDP, a connection of TCP is forgotten. */
  readonly udpTimeout?: number;
  readonly tcpTimeout?: number;
  /**
   * Whether each frame has a struct virtio_net_hdr of 12 octets in front, in both directions, and
   * may leave checksums and segmentation to the other side. "tcp": all but the segmentation of UDP,
   * which drivers before Linux 6.2 do not know. Default false.
   */
  readonly offloads?: boolean | "tcp";
}

const MIB = 1 << 20;
const MTU_DEFAULT = 1500;
const MTU_MIN = 576;
const MTU_MIN_IPV6 = 1280;
const MTU_MAX = 65520;
const FLOWS_MIN = 16;
const BUFFER_MIB = 16;
const BUFFER_MIB_MAX = (abi.CHUNK_CAPACITY_COUNT * abi.CHUNK_SIZE) / MIB;
const LEASE_SECONDS = 86_400;
/** RFC 4787 REQ-5 and RFC 5382 REQ-5 ask for no less. */
const UDP_TIMEOUT = 300;
const TCP_TIMEOUT = 86_400;
const KEEPALIVE = 0;
const NO_MAC = new Uint8Array(6);
const NO_OPTIONS: DhcpLists = { ipv4: new Uint8Array(0), ipv6: new Uint8Array(0) };

/** What only the network knows. */
export interface EngineSurroundings {
  /** 32 octets. */
  readonly seed: Uint8Array;
  readonly vnetSize: 0 | 12;
  readonly linkFlags: number;
  readonly linkQueue: number;
  readonly upstream: Pick<Upstream, "resolve" | "families">;
}

/** The engine's configuration. Throws `EngineError` CONFIG. */
export function engineConfigOf(
  settings: NetworkSettings,
  surroundings: EngineSurroundings,
): EngineConfigValues {
  try {
    return configOf(settings, surroundings);
  } catch (cause) {
    if (cause instanceof EngineError) throw cause;
    throw new EngineError("CONFIG", messageOf(cause), { cause });
  }
}

function configOf(settings: NetworkSettings, around: EngineSurroundings): EngineConfigValues {
  const { ipv4 = SUBNET_DEFAULT, dhcp = NO_OPTIONS } = settings;
  const subnet = subnetOf(ipv4 === false ? SUBNET_DEFAULT : ipv4, settings);
  const gatewayMac =
    settings.gatewayMac === undefined
      ? Uint8Array.from(defaultGatewayMac(subnet.gateway))
      : parseMac(settings.gatewayMac);
  const ipv6 = ipv6Of(settings, around.upstream, gatewayMac);
  if (ipv4 === false && ipv6 === undefined) {
    throw new EngineError("CONFIG", "serve IPv4, IPv6 or both: neither is left");
  }
  for (const list of [dhcp.ipv4, dhcp.ipv6]) {
    within("octets of dhcp", list.length, 0, abi.DHCP_OPTIONS_SIZE);
  }
  const { seed, vnetSize, linkFlags, linkQueue } = around;
  const resolvers = resolversOf(settings, around.upstream);
  const mtuMin = ipv6 === undefined ? MTU_MIN : MTU_MIN_IPV6;
  return {
    guestAddress: subnet.guest,
    gatewayAddress: subnet.gateway,
    dnsAddress: subnet.dns,
    prefixLength: subnet.prefixLength,
    mtu: within("mtu", settings.mtu ?? MTU_DEFAULT, mtuMin, MTU_MAX),
    hostLoopback: settings.hostLoopback ?? false,
    refusesMetadata: settings.metadataAddress === "refuse",
    dhcp: true,
    dns: true,
    strictFilter: false,
    flowsMax: within(
      "flows",
      settings.flows ?? abi.FLOWS_DEFAULT_COUNT,
      FLOWS_MIN,
      abi.FLOW_CAPACITY_COUNT,
    ),
    chunksMax:
      (within("bufferMib", settings.bufferMib ?? BUFFER_MIB, 1, BUFFER_MIB_MAX) * MIB) /
      abi.CHUNK_SIZE,
    ...{ vnetSize, linkFlags, linkQueue, seed, gatewayMac },
    guestMac: NO_MAC,
    leaseSeconds: LEASE_SECONDS,
    udpTimeoutSeconds: within("udpTimeout", settings.udpTimeout ?? UDP_TIMEOUT, 1, 0xffff),
    tcpIdleSeconds: within("tcpTimeout", settings.tcpTimeout ?? TCP_TIMEOUT, 1, 0xffffff),
    keepaliveSeconds: KEEPALIVE,
    resolvers,
    dhcpOptions: dhcp.ipv4,
    dhcpServerAddress: subnet.gateway,
    ipv4: ipv4 !== false,
    ipv6,
  };
}

function subnetOf(network: string, settings: NetworkSettings): Subnet {
  const subnet = parseSubnet(network);
  const {
    gateway = subnet.gateway,
    dns = subnet.dns,
    guest = subnet.guest,
  } = {
    ...(settings.gateway && { gateway: parseIpv4(settings.gateway) }),
    ...(settings.dns && { dns: parseIpv4(settings.dns) }),
    ...(settings.guest && { guest: parseIpv4(settings.guest) }),
  };
  const first = { ...subnet, gateway: subnet.network, dns: subnet.network };
  const own = [gateway, dns, guest];
  if (new Set(own).size < own.length || own.some((address) => !isGuestOf(first, address))) {
    throw new EngineError(
      "CONFIG",
      `give gateway, dns and guest addresses of their own in ${network}`,
    );
  }
  return { ...subnet, gateway, dns, guest };
}

function ipv6Of(
  { ipv6, dhcp = NO_OPTIONS }: NetworkSettings,
  { families }: EngineSurroundings["upstream"],
  gatewayMac: Uint8Array,
): EngineIpv6Values | undefined {
  const reaches = families === undefined || families.includes(6);
  if (ipv6 === false || (ipv6 === undefined && !reaches)) return undefined;
  const { guest, gateway, dns, prefixLength } = parseSubnet6(ipv6 ?? SUBNET6_DEFAULT);
  const router = linkLocalOfMac(gatewayMac);
  return { guest, gateway, dns, router, prefixLength, dhcpOptions: dhcp.ipv6 };
}

function resolversOf(
  { resolvers = [] }: NetworkSettings,
  { resolve }: EngineSurroundings["upstream"],
): ResolverAddress[] {
  if (resolve !== undefined) return [parseIpv4(RESOLVER.address)];
  if (resolvers.length > abi.RESOLVER_COUNT) {
    throw new EngineError("CONFIG", `give at most ${abi.RESOLVER_COUNT} resolvers`);
  }
  return resolvers.map((text) => {
    if (isIpv4(text)) return parseIpv4(text);
    const groups = readIpv6(text);
    if (groups !== undefined) return { groups, scope: 0 };
    throw new EngineError("CONFIG", `set resolvers to addresses, not "${text}"`);
  });
}

/** Throws `RangeError`, which `engineConfigOf` tells as what it is. */
function within(name: string, value: number, least: number, most: number): number {
  checkRange(name, value, least, most);
  return value;
}
