/**
 * What a struct sockaddr_in6 of engine memory names: whether it is this machine itself, in any form
 * that the kernel takes for it. Nothing is copied: words are read where they lie.
 * Source: ipv6(7); RFC 4291 §2.5.3 (::1), §2.5.5 (IPv4 inside of IPv6).
 */

const ADDRESS_OFFSET = 8;
/** Last word of ::1, in network order. */
const ONE = 0x01000000;
/** Third word of ::ffff:a.b.c.d, in network order. */
const MAPPED = -0x10000;
/** First octet of 127.0.0.0/8. */
const LOOPBACK_NET = 127;

/** Whether an IPv4 address is of 127.0.0.0/8. */
export function isLoopback4(address: number): boolean {
  return address >>> 24 === LOOPBACK_NET;
}

/** Whether an IPv4 address is this machine's: 127.0.0.0/8, or 0.0.0.0/8, which leads there. */
export function isLocal4(address: number): boolean {
  return isLoopback4(address) || address >>> 24 === 0;
}

/** Whether the name at engine offset `name` is ::1. */
export function isLoopback6(memory: Int32Array, name: number): boolean {
  const word = (name + ADDRESS_OFFSET) >> 2;
  const isZero = memory[word] === 0 && memory[word + 1] === 0 && memory[word + 2] === 0;
  return isZero && memory[word + 3] === ONE;
}

/** Whether it is this machine in any form, ::127.0.0.1 and ::ffff:0.0.0.0 too. */
export function isLocal6(memory: Int32Array, name: number): boolean {
  const word = (name + ADDRESS_OFFSET) >> 2;
  if (memory[word] !== 0 || memory[word + 1] !== 0) return false;
  const middle = memory[word + 2] ?? 0;
  if (middle !== 0 && middle !== MAPPED) return false;
  const first = (memory[word + 3] ?? 0) & 0xff;
  return first === LOOPBACK_NET || first === 0;
}

/** Its port: behind the family, in network order. */
export function portOf(memory: Int32Array, name: number): number {
  const word = memory[name >> 2] ?? 0;
  return ((word >>> 8) & 0xff00) | (word >>> 24);
}
