/**
 * Socket addresses as Linux has them: struct sockaddr_in and sockaddr_in6. Ports and addresses are
 * as on the wire, all else is in the machine's order.
 *
 *      0        2      4         8             24
 *     | family | port | address | zero                      of 16 octets
 *     | family | port | label   | address 16  | scope       of 28 octets
 *
 * Source: ip(7), ipv6(7).
 */

export const AF_INET: u16 = 2;
export const AF_INET6: u16 = 10;

export const SOCKADDR_PORT_OFFSET: usize = 2;
export const SOCKADDR_ADDRESS_OFFSET: usize = 4;
const SOCKADDR_ZERO_OFFSET: usize = 8;
export const SOCKADDR_SIZE: u32 = 16;

const SOCKADDR6_LABEL_OFFSET: usize = 4;
export const SOCKADDR6_ADDRESS_OFFSET: usize = 8;
const SOCKADDR6_LOW_OFFSET: usize = 16;
export const SOCKADDR6_SCOPE_OFFSET: usize = 24;
export const SOCKADDR6_SIZE: u32 = 28;

/** Octets of an IPv6 address, and where its second half is. */
const ADDRESS6_SIZE: i32 = 16;
const ADDRESS6_LOW_OFFSET: usize = 8;

/** ::ffff:A.B.C.D under way: behind eight octets of zero this word, then the address. */
const MAPPED: usize = memory.data(ADDRESS6_SIZE, 8);
const MAPPED_WORD: u32 = 0xffff0000;
const MAPPED_IPV4_OFFSET: usize = 12;

function portStore(name: usize, port: u32): void {
  store<u16>(name, bswap<u16>(<u16>port), SOCKADDR_PORT_OFFSET);
}

/** Writes a struct sockaddr_in. */
export function sockaddr4(name: usize, address: u32, port: u32): void {
  store<u16>(name, AF_INET);
  portStore(name, port);
  store<u32>(name, bswap<u32>(address), SOCKADDR_ADDRESS_OFFSET);
  store<u64>(name, 0, SOCKADDR_ZERO_OFFSET);
}

/** Writes a struct sockaddr_in6 of the address at a location. */
export function sockaddr6(name: usize, address: usize, scope: u32, port: u32): void {
  store<u16>(name, AF_INET6);
  portStore(name, port);
  store<u32>(name, 0, SOCKADDR6_LABEL_OFFSET);
  store<u64>(name, load<u64>(address), SOCKADDR6_ADDRESS_OFFSET);
  store<u64>(name, load<u64>(address, ADDRESS6_LOW_OFFSET), SOCKADDR6_LOW_OFFSET);
  store<u32>(name, scope, SOCKADDR6_SCOPE_OFFSET);
}

/** Location of ::ffff:A.B.C.D, until the next call. */
export function mappedOf(address: u32): usize {
  store<u64>(MAPPED, 0);
  store<u32>(MAPPED, MAPPED_WORD, ADDRESS6_LOW_OFFSET);
  store<u32>(MAPPED, bswap<u32>(address), MAPPED_IPV4_OFFSET);
  return MAPPED;
}
