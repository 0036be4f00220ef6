/**
 * What the engine is configured with: from the options of a network and what was found out at its
 * start to the values of the engine's record.
 */
import * as abi from "../../wasm/abi.ts";
import { readIpv4 } from "../config/address.ts";
import type { BindingOptions } from "../config/attach.ts";
import { encodeDhcpOptions, fitSearchList, searchOptions } from "../config/dhcp-options.ts";
import { encodeDhcp6Options, fitSearchList6 } from "../config/dhcp6-options.ts";
import { type ResolvConf, scopeOfZone } from "../config/resolv.ts";
import type { Subnet6 } from "../config/subnet6.ts";
import { linkLocalOfMac, readIpv6 } from "../lib/addr6.ts";
import type { EngineConfigValues, EngineIpv6Values, ResolverAddress } from "./config.ts";

/** What the options cannot say: found out while starting. */
export interface EngineContext {
  /** 32 random octets, unless the options bring their own. */
  readonly seed: ArrayLike<number>;
  /** The host's resolv.conf, for what the options do not override. */
  readonly resolvConf: Pick<ResolvConf, "nameservers" | "search">;
  readonly vnetSize: 0 | 10 | 12;
  readonly linkFlags: number;
  readonly linkQueue: number;
  /** What was derived from the machine and the options. */
  readonly limits: { readonly flowsMax: number; readonly bufferMib: number };
}

const MIB = 1 << 20;
/** Not known in advance. */
const NO_MAC = new Uint8Array(6);
/** One day: the address never changes hands, so renewals are only traffic. */
const LEASE_SECONDS = 86_400;

/** Works out the record's content. */
export function engineConfigValues(
  options: BindingOptions,
  context: EngineContext,
): EngineConfigValues {
  const { network, dns, boot, hostSide, limits } = options;
  const { resolvConf } = context;
  return {
    guestAddress: network.subnet.guest,
    gatewayAddress: network.subnet.gateway,
    dnsAddress: network.subnet.dns,
    prefixLength: network.subnet.prefixLength,
    mtu: network.mtu,
    hostLoopback: hostSide.hostLoopback,
    dhcp: true,
    dns: true,
    strictFilter: hostSide.strictFilter,
    refusesHost: hostSide.hostAddress === "refuse",
    refusesMetadata: hostSide.metadataAddress === "refuse",
    preservesUdpPorts: hostSide.udpPorts === "preserve",
    strictDf: hostSide.strictDf,
    flowsMax: context.limits.flowsMax,
    chunksMax: (context.limits.bufferMib * MIB) / abi.CHUNK_SIZE,
    vnetSize: context.vnetSize,
    linkFlags: context.linkFlags,
    linkQueue: context.linkQueue,
    gatewayMac: network.gatewayMac,
    guestMac: NO_MAC,
    seed: options.seed ?? context.seed,
    leaseSeconds: LEASE_SECONDS,
    udpTimeoutSeconds: limits.udpTimeoutSeconds,
    tcpIdleSeconds: limits.tcpIdleSeconds,
    keepaliveSeconds: limits.keepaliveSeconds,
    resolvers: resolverAddresses(dns.servers, resolvConf),
    dnsPort: dns.port,
    dhcpOptions: dhcpOptionOctets(options, resolvConf),
    dhcpServerAddress: boot?.nextServer ?? network.subnet.gateway,
    ...(boot === undefined ? {} : { boot: boot.list, tftp: boot.tftp !== undefined }),
    dns6: dns.announceIpv6,
    ipv4: network.ipv4,
    ipv6: network.subnet6 && ipv6Values(options, network.subnet6, resolvConf),
  };
}

/** What lists of DHCP options are made from. */
type OptionSources = Pick<BindingOptions, "dns" | "dhcp">;

/** The DHCP options on the wire. The host's own search list is sent as far as it fits. */
export function dhcpOptionOctets(
  { dns, dhcp }: OptionSources,
  resolvConf: Pick<ResolvConf, "search">,
): Uint8Array {
  if (dns.search.length > 0) return encodeDhcpOptions(dhcp); // it is among them
  const search = fitSearchList(dhcp, resolvConf.search);
  return encodeDhcpOptions([...dhcp, ...searchOptions(search)]);
}

/** The same for DHCPv6 and router advertisements. */
export function dhcp6OptionOctets(
  { dns }: Pick<BindingOptions, "dns">,
  resolvConf: Pick<ResolvConf, "search">,
): Uint8Array {
  return encodeDhcp6Options(fitSearchList6(dns.search.length > 0 ? dns.search : resolvConf.search));
}

function ipv6Values(
  options: BindingOptions,
  subnet: Subnet6,
  resolvConf: Pick<ResolvConf, "search">,
): EngineIpv6Values {
  return {
    guest: subnet.guest,
    gateway: subnet.gateway,
    dns: subnet.dns,
    router: linkLocalOfMac(options.network.gatewayMac),
    prefixLength: subnet.prefixLength,
    dhcpOptions: dhcp6OptionOctets(options, resolvConf),
    ...(options.boot === undefined ? {} : { boot: options.boot.list6 }),
  };
}

/**
 * The resolvers behind the DNS addresses: the options' if there are any, else resolv.conf's. One
 * whose zone names no interface of the host is left out.
 */
export function resolverAddresses(
  given: readonly string[],
  resolvConf: Pick<ResolvConf, "nameservers">,
): ResolverAddress[] {
  const texts = given.length > 0 ? given : resolvConf.nameservers;
  return texts.flatMap((text) => resolverOf(text) ?? []).slice(0, abi.RESOLVER_COUNT);
}

function resolverOf(text: string): ResolverAddress | undefined {
  const [bare = "", zone] = text.split("%");
  const groups = readIpv6(bare);
  if (groups === undefined) return readIpv4(text);
  const scope = zone === undefined ? 0 : scopeOfZone(zone);
  return scope === undefined ? undefined : { groups, scope };
}
