/**
 * The engine's configuration record: from `AttachOptions` and what was found out at start to the
 * octets that `init` reads. Field by field as in `wasm/abi.ts`; the address of engine memory in the
 * host process (CONFIG_HOST_BASE_*) is left to whoever maps that memory.
 */
import * as abi from "../../wasm/abi.ts";
import { readIpv4 } from "../config/address.ts";
import { type Dns6, encodeBoot, encodeBoot6 } from "../config/boot.ts";
import type { AttachOptions } from "../config/config.ts";
import { buildDhcpOptions, fitSearchList } from "../config/dhcp-options.ts";
import { buildDhcp6Options, fitSearchList6 } from "../config/dhcp6-options.ts";
import { type ResolvConf, scopeOfZone } from "../config/resolv.ts";
import type { Subnet6 } from "../config/subnet6.ts";
import { formatIpv4 } from "../lib/addr.ts";
import { type Ipv6Groups, linkLocalOfMac, octetsOfIpv6, readIpv6 } from "../lib/addr6.ts";

/** An IPv6 address and, if it is link-local, the index of the host's interface it is on. */
export interface ScopedIpv6 {
  readonly groups: Ipv6Groups;
  readonly scope: number;
}

/** A resolver of either version of IP. */
export type ResolverAddress = number | ScopedIpv6;

/** What the engine is told to serve IPv6. */
export interface EngineIpv6Values {
  readonly guest: Ipv6Groups;
  readonly gateway: Ipv6Groups;
  readonly dns: Ipv6Groups;
  /** Link-local address of the gateway. */
  readonly router: Ipv6Groups;
  readonly prefixLength: number;
  /** DHCPv6 options, at most `DHCP_OPTIONS_SIZE` octets. */
  readonly dhcpOptions: Uint8Array;
  /** What to boot, at most `BOOT_SIZE` octets; absent = nothing. */
  readonly boot?: Uint8Array;
}

/** Content of the record. Addresses in host order, octets as on the wire. */
export interface EngineConfigValues {
  readonly guestAddress: number;
  readonly gatewayAddress: number;
  readonly dnsAddress: number;
  readonly prefixLength: number;
  /** Octets of an IP packet. */
  readonly mtu: number;
  readonly hostLoopback: boolean;
  /** Answer DHCP. */
  readonly dhcp: boolean;
  /** Forward the DNS address to the resolvers. */
  readonly dns: boolean;
  readonly strictFilter: boolean;
  /** The host's own addresses and link-local ones are out of reach; absent = they are not. */
  readonly refusesHost?: boolean;
  /** The same for metadata services. */
  readonly refusesMetadata?: boolean;
  /** Datagrams with DF that the way out does not take whole are refused; absent = they are not. */
  readonly strictDf?: boolean;
  /** Host sockets of UDP take the guest's port if it is free; absent = the kernel chooses. */
  readonly preservesUdpPorts?: boolean;
  readonly flowsMax: number;
  /** Payload chunks of `CHUNK_SIZE` octets. */
  readonly chunksMax: number;
  /** Octets of the virtio_net_hdr before each frame. */
  readonly vnetSize: 0 | 10 | 12;
  /** `LINK_*` bits. */
  readonly linkFlags: number;
  /** Frames the link queues from the guest towards us. */
  readonly linkQueue: number;
  readonly gatewayMac: ArrayLike<number>;
  /** Six octets; all zero when the guest's MAC is not known in advance. */
  readonly guestMac: ArrayLike<number>;
  /** 32 octets. */
  readonly seed: ArrayLike<number>;
  readonly leaseSeconds: number;
  readonly udpTimeoutSeconds: number;
  readonly tcpIdleSeconds: number;
  /** 0 = off. */
  readonly keepaliveSeconds: number;
  /** At most `RESOLVER_COUNT`. */
  readonly resolvers: readonly ResolverAddress[];
  /** Port the resolvers take queries at; absent = 53. */
  readonly dnsPort?: number;
  /** Option TLVs, at most `DHCP_OPTIONS_SIZE` octets. */
  readonly dhcpOptions: Uint8Array;
  /** DHCP's siaddr, the next server to boot from; 0 = none. */
  readonly dhcpServerAddress: number;
  /** What to boot, at most `BOOT_SIZE` octets; absent = nothing. */
  readonly boot?: Uint8Array;
  /** The gateway's port 69 is the host's TFTP service. */
  readonly tftp?: boolean;
  /** When the guest hears of the IPv6 DNS address; absent = always. */
  readonly dns6?: Dns6;
  /** False = serve no IPv4; absent = do. */
  readonly ipv4?: boolean;
  /** Absent = serve no IPv6. */
  readonly ipv6?: EngineIpv6Values | undefined;
}

/** What the options cannot say: found out while starting. */
export interface EngineSurroundings {
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
const MAC_SIZE = 6;
const SEED_SIZE = 32;
/** One day: the address never changes hands, so renewals are only traffic. */
const LEASE_SECONDS = 86_400;

/** Works out the record's content. */
export function engineConfigValues(
  options: AttachOptions,
  surroundings: EngineSurroundings,
): EngineConfigValues {
  const { resolvConf } = surroundings;
  const { boot } = options;
  return {
    guestAddress: options.subnet.guest,
    gatewayAddress: options.subnet.gateway,
    dnsAddress: options.subnet.dns,
    prefixLength: options.subnet.prefixLength,
    mtu: options.mtu,
    hostLoopback: options.hostLoopback,
    dhcp: true,
    dns: true,
    strictFilter: options.strictFilter,
    refusesHost: options.hostAddress === "refuse",
    refusesMetadata: options.metadataAddress === "refuse",
    preservesUdpPorts: options.udpPorts === "preserve",
    strictDf: options.strictDf,
    flowsMax: surroundings.limits.flowsMax,
    chunksMax: (surroundings.limits.bufferMib * MIB) / abi.CHUNK_SIZE,
    vnetSize: surroundings.vnetSize,
    linkFlags: surroundings.linkFlags,
    linkQueue: surroundings.linkQueue,
    gatewayMac: options.gatewayMac,
    guestMac: new Uint8Array(MAC_SIZE),
    seed: options.seed ?? surroundings.seed,
    leaseSeconds: LEASE_SECONDS,
    udpTimeoutSeconds: options.udpTimeoutSeconds,
    tcpIdleSeconds: options.tcpIdleSeconds,
    keepaliveSeconds: options.keepaliveSeconds,
    resolvers: resolverAddresses(options, resolvConf),
    dnsPort: options.dnsPort,
    dhcpOptions: dhcpOptionsOf(options, resolvConf),
    dhcpServerAddress: boot?.nextServer ?? options.subnet.gateway,
    ...(boot === undefined ? {} : { boot: encodeBoot(boot), tftp: boot.tftp !== undefined }),
    dns6: options.dns6 ?? "always",
    ipv4: options.ipv4,
    ipv6: options.subnet6 && ipv6Values(options, options.subnet6, resolvConf),
  };
}

/** Option 66, by address: for whoever does not look at siaddr. */
function nextServerName({
  boot,
  subnet,
}: Pick<AttachOptions, "boot" | "subnet">): string | undefined {
  return boot === undefined ? undefined : formatIpv4(boot.nextServer ?? subnet.gateway);
}

/** What search lists are made from. */
type OptionSources = Pick<AttachOptions, "hostname" | "search" | "dhcpOptions" | "boot" | "subnet">;

/**
 * The DHCP options for this resolv.conf. The user's own search list was checked to fit; the host's
 * is sent as far as it does.
 */
export function dhcpOptionsOf(
  options: OptionSources,
  resolvConf: Pick<ResolvConf, "search">,
): Uint8Array {
  if (options.dhcpOptions !== undefined) return Uint8Array.from(options.dhcpOptions);
  const named = { hostName: options.hostname, tftpServerName: nextServerName(options) };
  const search =
    options.search.length > 0 ? options.search : fitSearchList(named, resolvConf.search);
  return buildDhcpOptions({ ...named, search });
}

/** The same for DHCPv6 and router advertisements. */
export function dhcp6OptionsOf(
  options: Pick<AttachOptions, "search">,
  resolvConf: Pick<ResolvConf, "search">,
): Uint8Array {
  const wanted = options.search.length > 0 ? options.search : resolvConf.search;
  return buildDhcp6Options({ search: fitSearchList6({}, wanted) });
}

function ipv6Values(
  options: AttachOptions,
  subnet: Subnet6,
  resolvConf: Pick<ResolvConf, "search">,
): EngineIpv6Values {
  return {
    guest: subnet.guest,
    gateway: subnet.gateway,
    dns: subnet.dns,
    router: linkLocalOfMac(options.gatewayMac),
    prefixLength: subnet.prefixLength,
    dhcpOptions: dhcp6OptionsOf(options, resolvConf),
    ...(options.boot === undefined ? {} : { boot: encodeBoot6(options.boot, subnet.gateway) }),
  };
}

/**
 * The resolvers behind the DNS addresses: the options' if there are any, else resolv.conf's. One
 * whose zone names no interface of the host is left out.
 */
export function resolverAddresses(
  options: Pick<AttachOptions, "dns">,
  resolvConf: Pick<ResolvConf, "nameservers">,
): ResolverAddress[] {
  const texts = options.dns.length > 0 ? options.dns : resolvConf.nameservers;
  return texts.flatMap((text) => resolverOf(text) ?? []).slice(0, abi.RESOLVER_COUNT);
}

function resolverOf(text: string): ResolverAddress | undefined {
  const [bare = "", zone] = text.split("%");
  const groups = readIpv6(bare);
  if (groups === undefined) return readIpv4(text);
  const scope = zone === undefined ? 0 : scopeOfZone(zone);
  return scope === undefined ? undefined : { groups, scope };
}

/**
 * Writes the record at `base`. Throws `RangeError`, before anything is written, when a value cannot
 * be held by its field or is more than the engine has room for.
 */
export function encodeEngineConfig(view: DataView, base: number, values: EngineConfigValues): void {
  checkValues(values);
  const word = (offset: number, value: number): void => view.setUint32(base + offset, value, true);
  const octets = (offset: number, source: ArrayLike<number>): void => {
    new Uint8Array(view.buffer, view.byteOffset + base + offset, source.length).set(source);
  };
  word(abi.CONFIG_GUEST_ADDRESS_OFFSET, values.guestAddress);
  word(abi.CONFIG_GATEWAY_ADDRESS_OFFSET, values.gatewayAddress);
  word(abi.CONFIG_DNS_ADDRESS_OFFSET, values.dnsAddress);
  word(abi.CONFIG_PREFIX_LENGTH_OFFSET, values.prefixLength);
  word(abi.CONFIG_MTU_OFFSET, values.mtu);
  word(abi.CONFIG_FLAGS_OFFSET, flagBits(values));
  word(abi.CONFIG_FLOWS_MAX_OFFSET, values.flowsMax);
  word(abi.CONFIG_CHUNKS_MAX_OFFSET, values.chunksMax);
  word(abi.CONFIG_VNET_SIZE_OFFSET, values.vnetSize);
  word(abi.CONFIG_LINK_FLAGS_OFFSET, values.linkFlags);
  word(abi.CONFIG_LINK_QUEUE_OFFSET, values.linkQueue);
  octets(abi.CONFIG_GATEWAY_MAC_OFFSET, values.gatewayMac);
  octets(abi.CONFIG_GUEST_MAC_OFFSET, values.guestMac);
  octets(abi.CONFIG_SEED_OFFSET, values.seed);
  word(abi.CONFIG_LEASE_SECONDS_OFFSET, values.leaseSeconds);
  word(abi.CONFIG_UDP_TIMEOUT_SECONDS_OFFSET, values.udpTimeoutSeconds);
  word(abi.CONFIG_TCP_IDLE_SECONDS_OFFSET, values.tcpIdleSeconds);
  word(abi.CONFIG_KEEPALIVE_SECONDS_OFFSET, values.keepaliveSeconds);
  encodeResolvers(view, base, values.resolvers);
  word(abi.CONFIG_DHCP_OPTIONS_LENGTH_OFFSET, values.dhcpOptions.length);
  word(abi.CONFIG_DHCP_SIADDR_OFFSET, values.dhcpServerAddress);
  octets(abi.CONFIG_DHCP_OPTIONS_OFFSET, values.dhcpOptions);
  word(abi.CONFIG_DNS_PORT_OFFSET, values.dnsPort ?? 0);
  word(abi.CONFIG_OPTIONS_SERIAL_OFFSET, 0);
  word(abi.CONFIG_BOOT_LENGTH_OFFSET, values.boot?.length ?? 0);
  octets(abi.CONFIG_BOOT_OFFSET, values.boot ?? []);
  const six = values.ipv6;
  if (six === undefined) return;
  octets(abi.CONFIG_GUEST6_OFFSET, octetsOfIpv6(six.guest));
  octets(abi.CONFIG_GATEWAY6_OFFSET, octetsOfIpv6(six.gateway));
  octets(abi.CONFIG_DNS6_OFFSET, octetsOfIpv6(six.dns));
  octets(abi.CONFIG_ROUTER6_OFFSET, octetsOfIpv6(six.router));
  word(abi.CONFIG_PREFIX6_LENGTH_OFFSET, six.prefixLength);
  word(abi.CONFIG_DHCP6_OPTIONS_LENGTH_OFFSET, six.dhcpOptions.length);
  octets(abi.CONFIG_DHCP6_OPTIONS_OFFSET, six.dhcpOptions);
  word(abi.CONFIG_BOOT6_LENGTH_OFFSET, six.boot?.length ?? 0);
  octets(abi.CONFIG_BOOT6_OFFSET, six.boot ?? []);
}

/** Rewrites the resolvers in a record; allowed at any time between calls into the engine. */
export function encodeResolvers(
  view: DataView,
  base: number,
  resolvers: readonly ResolverAddress[],
): void {
  checkRange("resolvers", resolvers.length, 0, abi.RESOLVER_COUNT);
  view.setUint32(base + abi.CONFIG_RESOLVERS_COUNT_OFFSET, resolvers.length, true);
  for (let index = 0; index < abi.RESOLVER_COUNT; index += 1) {
    const offset = abi.CONFIG_RESOLVERS_OFFSET + index * Uint32Array.BYTES_PER_ELEMENT;
    const resolver = resolvers[index] ?? 0;
    const isSix = typeof resolver !== "number";
    view.setUint32(base + offset, isSix ? abi.ADDRESS_SIX : resolver, true);
    if (!isSix) continue;
    const at = base + abi.CONFIG_RESOLVERS6_OFFSET + index * abi.CONFIG_RESOLVER6_SIZE;
    octetsOfIpv6(resolver.groups).forEach((octet, i) => {
      view.setUint8(at + i, octet);
    });
    view.setUint32(at + 16, resolver.scope, true);
  }
}

/**
 * Rewrites the lists of DHCP and DHCPv6 options in a record; allowed at any time between calls into
 * the engine. Throws `RangeError`, before anything is written, for one that is too long.
 */
export function encodeOptions(
  view: DataView,
  base: number,
  options: { readonly dhcp: Uint8Array; readonly dhcp6: Uint8Array },
): void {
  const places = [
    [options.dhcp, abi.CONFIG_DHCP_OPTIONS_LENGTH_OFFSET, abi.CONFIG_DHCP_OPTIONS_OFFSET],
    [options.dhcp6, abi.CONFIG_DHCP6_OPTIONS_LENGTH_OFFSET, abi.CONFIG_DHCP6_OPTIONS_OFFSET],
  ] as const;
  for (const [octets] of places) {
    checkRange("octets of DHCP options", octets.length, 0, abi.DHCP_OPTIONS_SIZE);
  }
  for (const [octets, lengthOffset, offset] of places) {
    view.setUint32(base + lengthOffset, octets.length, true);
    const room = new Uint8Array(
      view.buffer,
      view.byteOffset + base + offset,
      abi.DHCP_OPTIONS_SIZE,
    );
    room.fill(0);
    room.set(octets);
  }
  const serial = base + abi.CONFIG_OPTIONS_SERIAL_OFFSET;
  view.setUint32(serial, view.getUint32(serial, true) + 1, true);
}

function flagBits(values: EngineConfigValues): number {
  return (
    (values.hostLoopback ? abi.CONFIG_FLAG_HOST_LOOPBACK : 0) |
    (values.dhcp ? abi.CONFIG_FLAG_DHCP : 0) |
    (values.strictFilter ? abi.CONFIG_FLAG_STRICT_FILTER : 0) |
    (values.refusesHost === true ? abi.CONFIG_FLAG_REFUSE_HOST : 0) |
    (values.refusesMetadata === true ? abi.CONFIG_FLAG_REFUSE_METADATA : 0) |
    (values.preservesUdpPorts === true ? abi.CONFIG_FLAG_UDP_PRESERVE : 0) |
    (values.strictDf === true ? abi.CONFIG_FLAG_STRICT_DF : 0) |
    (values.dns ? abi.CONFIG_FLAG_DNS : 0) |
    (values.dns6 === "never" ? abi.CONFIG_FLAG_NO_DNS6 : 0) |
    (values.dns6 === "auto" ? abi.CONFIG_FLAG_DNS6_AUTO : 0) |
    (values.tftp === true ? abi.CONFIG_FLAG_TFTP : 0) |
    (values.ipv6 === undefined ? 0 : abi.CONFIG_FLAG_IPV6) |
    (values.ipv4 === false ? abi.CONFIG_FLAG_NO_IPV4 : 0)
  );
}

function checkValues(values: EngineConfigValues): void {
  for (const [name, value] of Object.entries(values)) {
    if (typeof value === "number") checkRange(name, value, 0, 0xffffffff);
  }
  checkRange("dnsPort", values.dnsPort ?? 0, 0, 0xffff);
  checkRange("flowsMax", values.flowsMax, 1, abi.FLOW_CAPACITY_COUNT);
  checkRange("chunksMax", values.chunksMax, 1, abi.CHUNK_CAPACITY_COUNT);
  checkRange("prefixLength", values.prefixLength, 0, 32);
  checkRange("gatewayMac octets", values.gatewayMac.length, MAC_SIZE, MAC_SIZE);
  checkRange("guestMac octets", values.guestMac.length, MAC_SIZE, MAC_SIZE);
  checkRange("seed octets", values.seed.length, SEED_SIZE, SEED_SIZE);
  checkRange("resolvers", values.resolvers.length, 0, abi.RESOLVER_COUNT);
  checkRange("dhcpOptions octets", values.dhcpOptions.length, 0, abi.DHCP_OPTIONS_SIZE);
  checkRange("boot octets", values.boot?.length ?? 0, 0, abi.BOOT_SIZE);
  const six = values.ipv6;
  if (six === undefined) return;
  checkRange("ipv6.boot octets", six.boot?.length ?? 0, 0, abi.BOOT_SIZE);
  checkRange("ipv6.prefixLength", six.prefixLength, 0, 126);
  checkRange("ipv6.dhcpOptions octets", six.dhcpOptions.length, 0, abi.DHCP_OPTIONS_SIZE);
  for (const address of [six.guest, six.gateway, six.dns, six.router]) {
    checkRange("groups of an IPv6 address", address.length, 8, 8);
  }
}

function checkRange(name: string, value: number, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`set ${name} to an integer from ${min} to ${max}, not "${value}"`);
  }
}
