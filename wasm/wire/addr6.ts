/**
 * Classes of IPv6 addresses, and addresses made from others.
 *
 * Contract: an address is the location of 16 octets as on the wire, at any alignment. Pure but for
 * the functions that write, which write 16 octets. Source: RFC 4291, RFC 6890 §2.2.3, RFC 2464 §7.
 */
import { load8, load16, load32, store8, store16, store32 } from "./bytes";

export const ADDRESS6_SIZE: u32 = 16;
/** The second half; in it the last four octets, where an IPv4 address may be. */
export const ADDRESS6_LOW_OFFSET: usize = 8;
export const ADDRESS6_IPV4_OFFSET: usize = 12;
const SECOND_WORD: usize = 4;
const THIRD_WORD: usize = 8;
const MAPPED_WORD: u32 = 0xffff0000; // ::ffff, as it is loaded
const MULTICAST_OCTET: u32 = 0xff;
const TEN_BITS: u32 = 0xffc0;
const LINK_LOCAL: u32 = 0xfe80;
const SITE_LOCAL: u32 = 0xfec0;
/** Modified EUI-64: three octets of the MAC, ff:fe, the other three; the U/L bit inverted. */
const EUI_FIRST_OFFSET: usize = 8;
const EUI_THIRD_OFFSET: usize = 10;
const EUI_FILLER_OFFSET: usize = 11;
const EUI_FOURTH_OFFSET: usize = 13;
const EUI_LAST_OFFSET: usize = 14;
const EUI_FILLER: u32 = 0xfffe;
const EUI_LOCAL_BIT: u32 = 0x0200;
const OCTET_BITS: u32 = 8;
const ADDRESS6_BITS: u32 = 128;
/** ff02::1:ff00:0/104 (RFC 4291 §2.7.1). */
const SOLICITED_FIRST: u32 = 0xff020000;
const SOLICITED_LAST: u32 = 0xff000000;
/** 33:33 before four octets. */
const GROUP_MAC: u64 = 0x333300000000;
/** All nodes on the link, ff02::1. */
export const ALL_NODES: usize = memory.data<u8>([
  0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
]);
/** All DHCPv6 servers and relay agents, ff02::1:2. */
export const ALL_DHCP_SERVERS: usize = memory.data<u8>([
  0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2,
]);
/** ::1 */
export const LOOPBACK6: usize = memory.data<u8>([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

export function address6Equal(a: usize, b: usize): bool {
  return (
    load<u64>(a) == load<u64>(b) &&
    load<u64>(a, ADDRESS6_LOW_OFFSET) == load<u64>(b, ADDRESS6_LOW_OFFSET)
  );
}

export function address6Copy(to: usize, from: usize): void {
  store<u64>(to, load<u64>(from));
  store<u64>(to, load<u64>(from, ADDRESS6_LOW_OFFSET), ADDRESS6_LOW_OFFSET);
}

/** :: */
export function address6IsUnspecified(p: usize): bool {
  return (load<u64>(p) | load<u64>(p, ADDRESS6_LOW_OFFSET)) == 0;
}

/** ::ffff:0:0/96, which holds an IPv4 address in its last four octets. */
export function address6IsMapped(p: usize): bool {
  return load<u64>(p) == 0 && load<u32>(p, THIRD_WORD) == MAPPED_WORD;
}

/** ::1 */
export function address6IsLoopback(p: usize): bool {
  return address6Equal(p, LOOPBACK6);
}

/** ff00::/8 */
export function address6IsMulticast(p: usize): bool {
  return load8(p) == MULTICAST_OCTET;
}

/** fe80::/10 */
export function address6IsLinkLocal(p: usize): bool {
  return (load16(p) & TEN_BITS) == LINK_LOCAL;
}

/** fec0::/10, deprecated (RFC 3879). */
export function address6IsSiteLocal(p: usize): bool {
  return (load16(p) & TEN_BITS) == SITE_LOCAL;
}

/** An IPv4 address in IPv6 form, which no packet may carry: ::/96 and ::ffff:0:0/96. */
export function address6IsEmbedded(p: usize): bool {
  if (load<u64>(p) != 0) return false;
  const middle = load32(p + THIRD_WORD);
  return middle == 0 || middle == <u32>u16.MAX_VALUE;
}

/** No packet may come from it or go to one host by it: multicast, ::, ::1, embedded IPv4. */
export function address6IsUnusable(p: usize): bool {
  return address6IsMulticast(p) || address6IsEmbedded(p);
}

/** Whether the first `length` bits, 0 to 128, are the same. */
export function address6InPrefix(p: usize, network: usize, length: u32): bool {
  let left = length;
  let i: usize = 0;
  while (left >= OCTET_BITS) {
    if (load<u8>(p + i) != load<u8>(network + i)) return false;
    left -= OCTET_BITS;
    i++;
  }
  if (left == 0) return true;
  return ((<u32>load<u8>(p + i) ^ <u32>load<u8>(network + i)) & 0xff) >>> (OCTET_BITS - left) == 0;
}

/** Whether all bits behind the first `length` are zero: the subnet-router anycast address. */
export function address6IsHostZero(p: usize, length: u32): bool {
  let bit = length;
  while (bit < ADDRESS6_BITS) {
    const octet = <u32>load<u8>(p + (<usize>bit >> 3));
    if ((octet & (<u32>u8.MAX_VALUE >>> (bit & (OCTET_BITS - 1)))) != 0) return false;
    bit = (bit | (OCTET_BITS - 1)) + 1;
  }
  return true;
}

/** The solicited-node multicast address of the one at `p` (RFC 4291 §2.7.1). */
export function address6Solicited(to: usize, p: usize): void {
  store32(to, SOLICITED_FIRST);
  store32(to + SECOND_WORD, 0);
  store32(to + THIRD_WORD, 1);
  store32(to + ADDRESS6_IPV4_OFFSET, SOLICITED_LAST | load32(p + ADDRESS6_IPV4_OFFSET));
}

/** MAC of a multicast address: 33:33 and its last four octets (RFC 2464 §7). */
export function address6GroupMac(p: usize): u64 {
  return GROUP_MAC | <u64>load32(p + ADDRESS6_IPV4_OFFSET);
}

/** The link-local address of a MAC: modified EUI-64 (RFC 4291, Appendix A). */
export function address6FromMac(to: usize, mac: u64): void {
  store32(to, LINK_LOCAL << 16);
  store32(to + SECOND_WORD, 0);
  store16(to + EUI_FIRST_OFFSET, <u32>(mac >> 32) ^ EUI_LOCAL_BIT);
  store8(to + EUI_THIRD_OFFSET, <u32>(mac >> 24));
  store16(to + EUI_FILLER_OFFSET, EUI_FILLER);
  store8(to + EUI_FOURTH_OFFSET, <u32>(mac >> 16));
  store16(to + EUI_LAST_OFFSET, <u32>mac);
}
