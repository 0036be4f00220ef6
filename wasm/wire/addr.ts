/**
 * Classes of MAC and IPv4 addresses.
 *
 * Contract: an IPv4 address is a u32 in host order (10.0.2.2 = 0x0a000202), a MAC address the low
 * 48 bits of a u64 with the first octet most significant and the other bits zero. Pure functions.
 * Source: IEEE 802 (I/G bit), RFC 1122 §3.2.1.3, RFC 6890 §2.2.2, RFC 3927, RFC 5771.
 */

export const MAC_BROADCAST: u64 = 0xffffffffffff;

/** A network of two addresses or one has neither a network nor a broadcast address (RFC 3021). */
export const PREFIX_LENGTH_BARE: u32 = 31;

const MULTICAST_NIBBLE: u32 = 0xe;
const RESERVED_NIBBLE: u32 = 0xf;
const LOOPBACK_OCTET: u32 = 127;
const LINK_LOCAL_HALF: u32 = 0xa9fe;
/** 224.0.0.0 */
const MULTICAST_FIRST: u32 = 0xe0000000;
const ADDRESS_BITS: u32 = 32;

/** Multicast or broadcast: the I/G bit, lowest of the first octet. */
export function macIsGroup(mac: u64): bool {
  return ((mac >> 40) & 1) != 0;
}

/** 224.0.0.0/4 */
export function addressIsMulticast(a: u32): bool {
  return a >>> 28 == MULTICAST_NIBBLE;
}

/** 127.0.0.0/8 */
export function addressIsLoopback(a: u32): bool {
  return a >>> 24 == LOOPBACK_OCTET;
}

/** 0.0.0.0/8 */
export function addressIsThisNetwork(a: u32): bool {
  return a >>> 24 == 0;
}

/** 240.0.0.0/4, the limited broadcast address 255.255.255.255 included. */
export function addressIsReserved(a: u32): bool {
  return a >>> 28 == RESERVED_NIBBLE;
}

/** 169.254.0.0/16 */
export function addressIsLinkLocal(a: u32): bool {
  return a >>> 16 == LINK_LOCAL_HALF;
}

/** Whether `a` lies in `network/prefixLength`, 0 to 32; host bits of `network` do not matter. */
export function addressInPrefix(a: u32, network: u32, prefixLength: u32): bool {
  // In 64 bits because a 32-bit shift by 32 would be a shift by 0.
  return <u64>(a ^ network) >> (ADDRESS_BITS - prefixLength) == 0;
}

/**
 * No packet may come from such an address: multicast, reserved or broadcast, loopback, 0/8.
 * 0.0.0.0 is legal as the source of a DHCP request; the caller lets it through before asking.
 */
export function addressIsUnusableSource(a: u32): bool {
  return a >= MULTICAST_FIRST || addressIsLoopback(a) || addressIsThisNetwork(a);
}

/** No unicast packet may go to such an address: multicast, reserved or broadcast, loopback, 0/8. */
export function addressIsUnusableDestination(a: u32): bool {
  return a >= MULTICAST_FIRST || addressIsLoopback(a) || addressIsThisNetwork(a);
}
