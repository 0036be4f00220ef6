/**
 * Big-endian loads and stores, at any alignment.
 *
 * Contract: no bounds are checked; the caller has proved that the octets belong to the packet. A
 * constant added to `p` becomes the immediate offset of the WebAssembly instruction and is free.
 */

export function load8(p: usize): u32 {
  return <u32>load<u8>(p);
}

export function load16(p: usize): u32 {
  return <u32>bswap<u16>(load<u16>(p));
}

export function load32(p: usize): u32 {
  return bswap<u32>(load<u32>(p));
}

export function store8(p: usize, v: u32): void {
  store<u8>(p, <u8>v);
}

export function store16(p: usize, v: u32): void {
  store<u16>(p, bswap<u16>(<u16>v));
}

export function store32(p: usize, v: u32): void {
  store<u32>(p, bswap<u32>(v));
}

/** The 6 octets of a MAC address as a number, first octet most significant; touches no others. */
export function loadMac(p: usize): u64 {
  return ((<u64>load16(p)) << 32) | <u64>load32(p + 2);
}

export function storeMac(p: usize, mac: u64): void {
  store16(p, <u32>(mac >> 32));
  store32(p + 2, <u32>mac);
}
