/**
 * Structure-aware mutation of a frame in place. What a mutation does is aimed at the fields parsers
 * decide by; afterwards `fixChecksums` makes most frames pass the checksums, or nothing behind them
 * would ever be reached.
 */
import type { Random } from "./random.ts";

const ETHERNET = 14;
/** Offsets of 16-bit fields that lengths, ports and flags live in, from the Ethernet header on. */
const FIELDS_16 = [12, 16, 18, 20, 34, 36, 38, 40, 46, 48, 50, 54, 56, 58, 62, 66, 74] as const;
const FIELDS_8 = [0, 6, 14, 15, 20, 21, 22, 23, 34, 35, 38, 46, 47, 54, 55, 56, 78, 79] as const;
const ADDRESSES = [26, 30, 38, 42] as const;
const VALUES_16 = [
  0, 1, 7, 8, 20, 28, 53, 67, 255, 576, 1500, 0x2000, 0x7fff, 0x8000, 0xffff,
] as const;
const VALUES_8 = [
  0, 1, 0x0f, 17, 43, 44, 58, 60, 0x40, 0x45, 0x4f, 0x50, 0x5f, 0x7f, 0x80, 0xf0, 0xff,
] as const;
/** Gateway, DNS, guest, broadcasts, loopback, multicast, any, a peer. */
const VALUES_32 = [
  0x0a000202, 0x0a000203, 0x0a00020f, 0x0a0002ff, 0xffffffff, 0x7f000001, 0xe0000001, 0, 0xc6336450,
] as const;

export function set16(octets: Uint8Array, at: number, value: number): void {
  octets[at] = value >>> 8;
  octets[at + 1] = value;
}

export function set32(octets: Uint8Array, at: number, value: number): void {
  set16(octets, at, value >>> 16);
  set16(octets, at + 2, value);
}

export function get16(octets: Uint8Array, at: number): number {
  return ((octets[at] ?? 0) << 8) | (octets[at + 1] ?? 0);
}

export function get32(octets: Uint8Array, at: number): number {
  return ((get16(octets, at) << 16) | get16(octets, at + 2)) >>> 0;
}

function flip(octets: Uint8Array, at: number, bit: number): void {
  octets[at] = (octets[at] ?? 0) ^ (1 << bit);
}

/**
 * Changes the frame of `length` octets at `base`, which has room for `room` octets, and returns its
 * new length. `other` is another frame to splice with.
 */
export function mutate(
  random: Random,
  octets: Uint8Array,
  base: number,
  length: number,
  room: number,
  other: Uint8Array,
): number {
  let size = length;
  for (let rounds = 1 + random.skewed(4); rounds > 0; rounds -= 1) {
    size = mutateOnce(random, octets, base, size, room, other);
  }
  return size;
}

function mutateOnce(
  random: Random,
  octets: Uint8Array,
  base: number,
  length: number,
  room: number,
  other: Uint8Array,
): number {
  switch (random.below(10)) {
    case 0: // a bit
      if (length > 0) flip(octets, base + random.below(length), random.below(8));
      return length;
    case 1: // a bit of the headers
      flip(octets, base + random.below(60), random.below(8));
      return length;
    case 2:
    case 3:
      set16(
        octets,
        base + random.pick(FIELDS_16),
        random.oneIn(3) ? random.u32() : random.pick(VALUES_16),
      );
      return length;
    case 4:
      octets[base + random.pick(FIELDS_8)] = random.oneIn(3) ? random.u32() : random.pick(VALUES_8);
      return length;
    case 5:
      set32(
        octets,
        base + random.pick(ADDRESSES),
        random.oneIn(4) ? random.u32() : random.pick(VALUES_32),
      );
      return length;
    case 6: // cut
      return random.oneIn(2) ? random.below(length + 1) : Math.max(0, length - random.skewed(64));
    case 7: // grow; what lies there is what was there
      return Math.min(room, length + random.skewed(2000));
    case 8: // the IP length follows the frame's
      set16(octets, base + 16, length - ETHERNET);
      return length;
    default: {
      // The beginning of this frame, the end of another one.
      const at = random.below(length + 1);
      const from = random.below(other.length + 1);
      const taken = Math.min(other.length - from, room - at);
      octets.set(other.subarray(from, from + taken), base + at);
      return at + taken;
    }
  }
}

/** Ones' complement sum, folded. */
function sum(octets: Uint8Array, from: number, length: number, initial: number): number {
  let total = initial;
  const end = from + (length & ~1);
  for (let i = from; i < end; i += 2) total += ((octets[i] ?? 0) << 8) | (octets[i + 1] ?? 0);
  if ((length & 1) === 1) total += (octets[end] ?? 0) << 8;
  total = (total & 0xffff) + Math.floor(total / 0x10000);
  return (total & 0xffff) + (total >>> 16);
}

/** Where the transport's checksum lies, by protocol; -1 = it has none. */
function checksumOffset(protocol: number): number {
  if (protocol === 1) return 2;
  if (protocol === 6) return 16;
  return protocol === 17 ? 6 : -1;
}

/** Makes the checksum of the IPv4 header at `ip` right. */
export function fixIpChecksum(octets: Uint8Array, ip: number): void {
  set16(octets, ip + 10, 0);
  set16(octets, ip + 10, ~sum(octets, ip, ((octets[ip] ?? 0) & 15) * 4, 0));
}

/** Steps over extension headers: offset and protocol of what is behind; undefined = a fragment. */
function upper6(
  octets: Uint8Array,
  ip: number,
  end: number,
): readonly [number, number] | undefined {
  let protocol = octets[ip + 6] ?? 0;
  let at = ip + 40;
  for (
    let count = 0;
    count < 8 && [0, 43, 44, 60].includes(protocol) && at + 8 <= end;
    count += 1
  ) {
    if (protocol === 44) return undefined;
    protocol = octets[at] ?? 0;
    at += ((octets[at + 1] ?? 0) + 1) * 8;
  }
  return [at, protocol];
}

/** The same for IPv6: only the transport has a checksum, and ICMPv6's covers addresses, too. */
function fixChecksums6(octets: Uint8Array, base: number, length: number): void {
  const ip = base + ETHERNET;
  const end = ip + 40 + get16(octets, ip + 4);
  const found = length < ETHERNET + 40 ? undefined : upper6(octets, ip, end);
  if (found === undefined || end > base + length) return;
  const [at, protocol] = found;
  const field = protocol === 58 ? 2 : protocol === 1 ? -1 : checksumOffset(protocol);
  if (field < 0 || at + field + 2 > end) return;
  const pseudo = sum(octets, ip + 8, 32, protocol + (end - at));
  set16(octets, at + field, 0);
  set16(octets, at + field, ~sum(octets, at, end - at, pseudo));
}

/** Makes IPv4 and transport checksums right as far as the lengths make sense. */
export function fixChecksums(octets: Uint8Array, base: number, length: number): void {
  if (get16(octets, base + 12) === 0x86dd) fixChecksums6(octets, base, length);
  if (length < ETHERNET + 20 || get16(octets, base + 12) !== 0x0800) return;
  const ip = base + ETHERNET;
  const headerLength = ((octets[ip] ?? 0) & 15) * 4;
  const total = get16(octets, ip + 2);
  if (headerLength < 20 || headerLength > total || total > length - ETHERNET) return;
  fixIpChecksum(octets, ip);
  if ((get16(octets, ip + 6) & 0x3fff) !== 0) return; // a fragment
  const protocol = octets[ip + 9] ?? 0;
  const field = checksumOffset(protocol);
  const size = total - headerLength;
  if (field < 0 || size < field + 2) return;
  const transport = ip + headerLength;
  const pseudo = protocol === 1 ? 0 : sum(octets, ip + 12, 8, protocol + size);
  set16(octets, transport + field, 0);
  set16(octets, transport + field, ~sum(octets, transport, size, pseudo));
}

/** Makes a frame go to everybody: by its MAC address, or only by its IP address. */
export function broadcast(random: Random, octets: Uint8Array, base: number, length: number): void {
  if (random.oneIn(2)) {
    const multicast = random.oneIn(2);
    octets.fill(0xff, base, base + 6);
    if (multicast) octets.set([0x01, 0x00, 0x5e], base);
    return;
  }
  set32(octets, base + 30, random.pick([0xffffffff, 0x0a0002ff, 0xe00000fb, 0x0a000200]));
  fixChecksums(octets, base, length);
}
