/**
 * Classes of IPv6 addresses, and addresses made from others.
 *
 * Contract: an address is the location of 16 octets as on the wire, at any alignment. Pure but for
 * the functions that write, which write 16 octets. Source: RFC 4291, RFC 6890 §2.2.3, RFC 2464 §7.
 */
import { load8, load16, load32, store8, store16, store32 } from "./bytes";

export const ADDRESS6_SIZE: u32 = 16;
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
  return load<u64>(a) == load<u64>(b) && load<u64>(a, 8) == load<u64>(b, 8);
}

export function address6Copy(to: usize, from: usize): void {
  store<u64>(to, load<u64>(from));
  store<u64>(to, load<u64>(from, 8), 8);
}

/** :: */
export function address6IsUnspecified(p: usize): bool {
  return (load<u64>(p) | load<u64>(p, 8)) == 0;
}

/** ::ffff:0:0/96, which holds an IPv4 address in its last four octets. */
export function address6IsMapped(p: usize): bool {
  return load<u64>(p) == 0 && load<u32>(p, 8) == 0xffff0000;
}

/** ::1 */
export function address6IsLoopback(p: usize): bool {
  return address6Equal(p, LOOPBACK6);
}

/** ff00::/8 */
export function address6IsMulticast(p: usize): bool {
  return load8(p) == 0xff;
}

/** fe80::/10 */
export function address6IsLinkLocal(p: usize): bool {
  return (load16(p) & 0xffc0) == 0xfe80;
}

/** fec0::/10, deprecated (RFC 3879). */
export function address6IsSiteLocal(p: usize): bool {
  return (load16(p) & 0xffc0) == 0xfec0;
}

/** An IPv4 address in IPv6 form, which no packet may carry: ::/96 and ::ffff:0:0/96. */
export function address6IsEmbedded(p: usize): bool {
  if (load<u64>(p) != 0) return false;
  const middle = load32(p + 8);
  return middle == 0 || middle == 0xffff;
}

/** No packet may come from it or go to one host by it: multicast, ::, ::1, embedded IPv4. */
export function address6IsUnusable(p: usize): bool {
  return address6IsMulticast(p) || address6IsEmbedded(p);
}

/** Whether the first `length` bits, 0 to 128, are the same. */
export function address6InPrefix(p: usize, network: usize, length: u32): bool {
  let left = length;
  let i: usize = 0;
  while (left >= 8) {
    if (load<u8>(p + i) != load<u8>(network + i)) return false;
    left -= 8;
    i++;
  }
  if (left == 0) return true;
  return ((<u32>load<u8>(p + i) ^ <u32>load<u8>(network + i)) & 0xff) >>> (8 - left) == 0;
}

/** Whether all bits behind the first `length` are zero: the subnet-router anycast address. */
export function address6IsHostZero(p: usize, length: u32): bool {
  let bit = length;
  while (bit < 128) {
    const octet = <u32>load<u8>(p + (<usize>bit >> 3));
    if ((octet & (<u32>0xff >>> (bit & 7))) != 0) return false;
    bit = (bit | 7) + 1;
  }
  return true;
}

/** The solicited-node multicast address of the one at `p` (RFC 4291 §2.7.1). */
export function address6Solicited(to: usize, p: usize): void {
  store32(to, 0xff020000);
  store32(to + 4, 0);
  store32(to + 8, 1);
  store32(to + 12, 0xff000000 | (load32(p + 12) & 0xffffff));
}

/** MAC of a multicast address: 33:33 and its last four octets (RFC 2464 §7). */
export function address6GroupMac(p: usize): u64 {
  return 0x333300000000 | <u64>load32(p + 12);
}

/** The link-local address of a MAC: modified EUI-64 (RFC 4291, Appendix A). */
export function address6FromMac(to: usize, mac: u64): void {
  store32(to, 0xfe800000);
  store32(to + 4, 0);
  store16(to + 8, <u32>(mac >> 32) ^ 0x0200);
  store8(to + 10, <u32>(mac >> 24));
  store16(to + 11, 0xfffe);
  store8(to + 13, <u32>(mac >> 16));
  store16(to + 14, <u32>mac);
}
