/**
 * The engine's configuration record: octets that `init` reads, field by field as in `wasm/abi.ts`.
 * `config-values.ts` says what goes into it. The address of engine memory in the host process
 * (CONFIG_HOST_BASE_*) is left to whoever maps that memory.
 */
import * as abi from "../../wasm/abi.ts";
import type { Dns6 } from "../config/names.ts";
import { type Ipv6Groups, octetsOfIpv6 } from "../lib/addr6.ts";

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
  readonly boot?: ArrayLike<number>;
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
  readonly boot?: ArrayLike<number>;
  /** The gateway's port 69 is the host's TFTP service. */
  readonly tftp?: boolean;
  /** When the guest hears of the IPv6 DNS address; absent = always. */
  readonly dns6?: Dns6;
  /** False = serve no IPv4; absent = do. */
  readonly ipv4?: boolean;
  /** Absent = serve no IPv6. */
  readonly ipv6?: EngineIpv6Values | undefined;
}

const MAC_SIZE = 6;
const SEED_SIZE = 32;

/** Values that are a word each, and where. */
const WORDS = [
  ["guestAddress", abi.CONFIG_GUEST_ADDRESS_OFFSET],
  ["gatewayAddress", abi.CONFIG_GATEWAY_ADDRESS_OFFSET],
  ["dnsAddress", abi.CONFIG_DNS_ADDRESS_OFFSET],
  ["prefixLength", abi.CONFIG_PREFIX_LENGTH_OFFSET],
  ["mtu", abi.CONFIG_MTU_OFFSET],
  ["flowsMax", abi.CONFIG_FLOWS_MAX_OFFSET],
  ["chunksMax", abi.CONFIG_CHUNKS_MAX_OFFSET],
  ["vnetSize", abi.CONFIG_VNET_SIZE_OFFSET],
  ["linkFlags", abi.CONFIG_LINK_FLAGS_OFFSET],
  ["linkQueue", abi.CONFIG_LINK_QUEUE_OFFSET],
  ["leaseSeconds", abi.CONFIG_LEASE_SECONDS_OFFSET],
  ["udpTimeoutSeconds", abi.CONFIG_UDP_TIMEOUT_SECONDS_OFFSET],
  ["tcpIdleSeconds", abi.CONFIG_TCP_IDLE_SECONDS_OFFSET],
  ["keepaliveSeconds", abi.CONFIG_KEEPALIVE_SECONDS_OFFSET],
  ["dhcpServerAddress", abi.CONFIG_DHCP_SIADDR_OFFSET],
  ["dnsPort", abi.CONFIG_DNS_PORT_OFFSET],
] as const;

/** Bits of the flags that are set where a value is true. */
const FLAGS = [
  ["hostLoopback", abi.CONFIG_FLAG_HOST_LOOPBACK],
  ["dhcp", abi.CONFIG_FLAG_DHCP],
  ["strictFilter", abi.CONFIG_FLAG_STRICT_FILTER],
  ["refusesHost", abi.CONFIG_FLAG_REFUSE_HOST],
  ["refusesMetadata", abi.CONFIG_FLAG_REFUSE_METADATA],
  ["preservesUdpPorts", abi.CONFIG_FLAG_UDP_PRESERVE],
  ["strictDf", abi.CONFIG_FLAG_STRICT_DF],
  ["dns", abi.CONFIG_FLAG_DNS],
  ["tftp", abi.CONFIG_FLAG_TFTP],
] as const;

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
  for (const [name, offset] of WORDS) word(offset, values[name] ?? 0);
  word(abi.CONFIG_FLAGS_OFFSET, flagBits(values));
  octets(abi.CONFIG_GATEWAY_MAC_OFFSET, values.gatewayMac);
  octets(abi.CONFIG_GUEST_MAC_OFFSET, values.guestMac);
  octets(abi.CONFIG_SEED_OFFSET, values.seed);
  encodeResolvers(view, base, values.resolvers);
  word(abi.CONFIG_DHCP_OPTIONS_LENGTH_OFFSET, values.dhcpOptions.length);
  octets(abi.CONFIG_DHCP_OPTIONS_OFFSET, values.dhcpOptions);
  word(abi.CONFIG_OPTIONS_SERIAL_OFFSET, 0);
  word(abi.CONFIG_BOOT_LENGTH_OFFSET, values.boot?.length ?? 0);
  octets(abi.CONFIG_BOOT_OFFSET, values.boot ?? []);
  const { ipv6 } = values;
  if (ipv6 === undefined) return;
  octets(abi.CONFIG_GUEST6_OFFSET, octetsOfIpv6(ipv6.guest));
  octets(abi.CONFIG_GATEWAY6_OFFSET, octetsOfIpv6(ipv6.gateway));
  octets(abi.CONFIG_DNS6_OFFSET, octetsOfIpv6(ipv6.dns));
  octets(abi.CONFIG_ROUTER6_OFFSET, octetsOfIpv6(ipv6.router));
  word(abi.CONFIG_PREFIX6_LENGTH_OFFSET, ipv6.prefixLength);
  word(abi.CONFIG_DHCP6_OPTIONS_LENGTH_OFFSET, ipv6.dhcpOptions.length);
  octets(abi.CONFIG_DHCP6_OPTIONS_OFFSET, ipv6.dhcpOptions);
  word(abi.CONFIG_BOOT6_LENGTH_OFFSET, ipv6.boot?.length ?? 0);
  octets(abi.CONFIG_BOOT6_OFFSET, ipv6.boot ?? []);
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
    const isIpv6 = typeof resolver !== "number";
    view.setUint32(base + offset, isIpv6 ? abi.ADDRESS_SIX : resolver, true);
    if (!isIpv6) continue;
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
  const { dns6, ipv4, ipv6 } = values;
  let bits = FLAGS.reduce((sum, [name, flag]) => (values[name] === true ? sum | flag : sum), 0);
  if (dns6 === "never") bits |= abi.CONFIG_FLAG_NO_DNS6;
  if (dns6 === "auto") bits |= abi.CONFIG_FLAG_DNS6_AUTO;
  if (ipv6 !== undefined) bits |= abi.CONFIG_FLAG_IPV6;
  if (ipv4 === false) bits |= abi.CONFIG_FLAG_NO_IPV4;
  return bits;
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
  const { ipv6 } = values;
  if (ipv6 === undefined) return;
  checkRange("ipv6.boot octets", ipv6.boot?.length ?? 0, 0, abi.BOOT_SIZE);
  checkRange("ipv6.prefixLength", ipv6.prefixLength, 0, 126);
  checkRange("ipv6.dhcpOptions octets", ipv6.dhcpOptions.length, 0, abi.DHCP_OPTIONS_SIZE);
  for (const address of [ipv6.guest, ipv6.gateway, ipv6.dns, ipv6.router]) {
    checkRange("groups of an IPv6 address", address.length, 8, 8);
  }
}

/** @throws RangeError where it is not */
export function checkRange(name: string, value: number, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`set ${name} to an integer from ${min} to ${max}, not "${value}"`);
  }
}
