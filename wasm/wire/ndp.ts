/**
 * Neighbour discovery messages and their options. Source: RFC 4861 §4, RFC 8106 §5.
 *
 *     solicitation, advertisement:  ICMPv6 header 8 | target 16 | options
 *     router solicitation:          ICMPv6 header 8 | options
 *     router advertisement:         ICMPv6 header 8 | reachable 4 | retransmit 4 | options
 *     option:                       | type | length in units of 8 | … |
 *
 * Contract: `ndpOptionsOk` proves that the options fill `length` octets exactly and none has length
 * 0; `ndpOptionFind` may be used then. The emitters write whole messages or options, checksum zero.
 */
import { ADDRESS6_SIZE, address6Copy } from "./addr6";
import { load8, store8, store16, store32, storeMac } from "./bytes";
import {
  ICMPV6_NEIGHBOR_ADVERTISEMENT,
  ICMPV6_NEIGHBOR_SOLICITATION,
  ICMPV6_ROUTER_ADVERTISEMENT,
  icmpv6Emit,
} from "./icmpv6";

export const NDP_HOP_LIMIT: u32 = 255;
export const NDP_ROUTER_SOLICITATION_SIZE: u32 = 8;
/** Of a neighbour solicitation or advertisement without options. */
export const NDP_NEIGHBOR_SIZE: u32 = 24;
export const NDP_TARGET_OFFSET: usize = 8;
export const NDP_ROUTER_SIZE: u32 = 16;
export const NDP_LINK_ADDRESS_SIZE: u32 = 8;
export const NDP_PREFIX_SIZE: u32 = 32;
export const NDP_MTU_SIZE: u32 = 8;
/** A DNS option with one address. */
export const NDP_DNS_SIZE: u32 = 24;
const SEARCH_HEADER_SIZE: u32 = 8;
const REACHABLE_OFFSET: usize = 8;
const RETRANSMIT_OFFSET: usize = 12;
const PREFIX_RESERVED_OFFSET: usize = 12;
const PREFIX_OFFSET: u32 = 16;
/** Options are as long as units of 8 octets. */
const UNIT: u32 = 8;
const UNIT_SHIFT: u32 = 3;
const OCTET_BITS: u32 = 8;
/** The bits of a mask before those of an octet. */
const HIGH_BITS: u32 = 0xff00;

export const NDP_OPTION_SOURCE: u32 = 1;
export const NDP_OPTION_TARGET: u32 = 2;
const OPTION_PREFIX: u32 = 3;
const OPTION_MTU: u32 = 5;
const OPTION_RDNSS: u32 = 25;
const OPTION_DNSSL: u32 = 31;

/** Flags of a neighbour advertisement: from a router, solicited, override. */
export const NDP_ROUTER: u32 = 0x80000000;
export const NDP_SOLICITED: u32 = 0x40000000;
export const NDP_OVERRIDE: u32 = 0x20000000;
/** Flags of a router advertisement: addresses by DHCPv6, other things by DHCPv6. */
export const NDP_MANAGED: u32 = 0x80;
export const NDP_OTHER: u32 = 0x40;
/** Flags of a prefix: on this link, good for making addresses. */
export const NDP_ON_LINK: u32 = 0x80;
export const NDP_AUTONOMOUS: u32 = 0x40;

/** Whether `length` octets at `p` are well-formed options. */
export function ndpOptionsOk(p: usize, length: u32): bool {
  let offset: u32 = 0;
  while (offset < length) {
    if (length - offset < UNIT) return false;
    const size = load8(p + offset + 1) << UNIT_SHIFT;
    if (size == 0 || size > length - offset) return false;
    offset += size;
  }
  return true;
}

/** Location of the first option of this type in well-formed options, or 0. */
export function ndpOptionFind(p: usize, length: u32, type: u32): usize {
  let offset: u32 = 0;
  while (offset < length) {
    if (load8(p + offset) == type) return p + offset;
    offset += load8(p + offset + 1) << UNIT_SHIFT;
  }
  return 0;
}

/** A link-layer address option, 8 octets. */
export function ndpLinkAddressEmit(p: usize, type: u32, mac: u64): void {
  store8(p, type);
  store8(p + 1, 1);
  storeMac(p + 2, mac);
}

/** A solicitation for the address at `target`, its source option with it: 32 octets. */
export function ndpSolicitationEmit(p: usize, target: usize, mac: u64): void {
  icmpv6Emit(p, ICMPV6_NEIGHBOR_SOLICITATION, 0, 0);
  address6Copy(p + NDP_TARGET_OFFSET, target);
  ndpLinkAddressEmit(p + NDP_NEIGHBOR_SIZE, NDP_OPTION_SOURCE, mac);
}

/** An advertisement of the address at `target`, its target option with it: 32 octets. */
export function ndpAdvertisementEmit(p: usize, target: usize, mac: u64, flags: u32): void {
  icmpv6Emit(p, ICMPV6_NEIGHBOR_ADVERTISEMENT, 0, flags);
  address6Copy(p + NDP_TARGET_OFFSET, target);
  ndpLinkAddressEmit(p + NDP_NEIGHBOR_SIZE, NDP_OPTION_TARGET, mac);
}

/** A router advertisement without options, 16 octets; `lifetime` in seconds. */
export function ndpRouterEmit(p: usize, hopLimit: u32, flags: u32, lifetime: u32): void {
  icmpv6Emit(p, ICMPV6_ROUTER_ADVERTISEMENT, 0, (hopLimit << 24) | (flags << 16) | lifetime);
  store32(p + REACHABLE_OFFSET, 0);
  store32(p + RETRANSMIT_OFFSET, 0);
}

/** A prefix option, 32 octets; lifetimes in seconds. Only `length` bits of the prefix are sent. */
export function ndpPrefixEmit(
  p: usize,
  prefix: usize,
  length: u32,
  flags: u32,
  valid: u32,
  preferred: u32,
): void {
  store8(p, OPTION_PREFIX);
  store8(p + 1, NDP_PREFIX_SIZE >>> UNIT_SHIFT);
  store8(p + 2, length);
  store8(p + 3, flags);
  store32(p + 4, valid);
  store32(p + 8, preferred);
  store32(p + PREFIX_RESERVED_OFFSET, 0);
  for (let i: u32 = 0; i < ADDRESS6_SIZE; i++) {
    const bits = length > i << 3 ? min<u32>(length - (i << 3), OCTET_BITS) : 0;
    store8(p + PREFIX_OFFSET + i, load8(prefix + i) & (HIGH_BITS >>> bits));
  }
}

export function ndpMtuEmit(p: usize, mtu: u32): void {
  store32(p, (OPTION_MTU << 24) | ((NDP_MTU_SIZE >>> UNIT_SHIFT) << 16));
  store32(p + 4, mtu);
}

/** A recursive DNS server option with one address, 24 octets. */
export function ndpDnsEmit(p: usize, lifetime: u32, address: usize): void {
  store32(p, (OPTION_RDNSS << 24) | ((NDP_DNS_SIZE >>> UNIT_SHIFT) << 16));
  store32(p + 4, lifetime);
  address6Copy(p + 8, address);
}

/**
 * A search list option: `length` octets of names in wire form, uncompressed, zero-padded to a
 * multiple of 8. Returns the octets written.
 */
export function ndpSearchEmit(p: usize, lifetime: u32, names: usize, length: u32): u32 {
  const size = SEARCH_HEADER_SIZE + ((length + UNIT - 1) & ~(UNIT - 1));
  store8(p, OPTION_DNSSL);
  store8(p + 1, size >>> UNIT_SHIFT);
  store16(p + 2, 0);
  store32(p + 4, lifetime);
  memory.copy(p + SEARCH_HEADER_SIZE, names, length);
  memory.fill(p + SEARCH_HEADER_SIZE + length, 0, size - SEARCH_HEADER_SIZE - length);
  return size;
}
