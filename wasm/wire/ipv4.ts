/**
 * IPv4 header. Source: RFC 791 §3.1, RFC 1122 §3.2.1.
 *
 *      0          1     2              4       6               8     9       10
 *     | ver, IHL | TOS | total length | ident | flags, offset | TTL | proto | checksum |
 *     | source 12 | destination 16 | options 20 … |
 *
 * Contract: `ipv4Check` returned WIRE_OK proves that header, options and payload (`totalLength`)
 * lie within the octets it was given, that header checksum and options are sound and that no source
 * route is asked for. Addresses, TTL, protocol and fragment fields are not judged. Every setter but
 * that of `checksum` makes the checksum stale.
 */

import { load8, load16, load32, store8, store16, store32 } from "./bytes";
import { sumBytes, sumOk } from "./checksum";

export const IPV4_HEADER_SIZE: u32 = 20;
export const IPV4_VERSION: u32 = 4;

export const PROTOCOL_ICMP: u32 = 1;
export const PROTOCOL_TCP: u32 = 6;
export const PROTOCOL_UDP: u32 = 17;

/** Bits of `fragmentField`; the low 13 are the offset in units of 8 octets. */
export const IPV4_DF: u32 = 0x4000;
export const IPV4_MF: u32 = 0x2000;

/** Offsets of fragments are in units of 8 octets. */
export const FRAGMENT_UNIT_SHIFT: u32 = 3;
export const FRAGMENT_UNIT_MASK: u32 = 7;
const FRAGMENT_OFFSET_BITS: u32 = 0x1fff;
/** The first octet: version and header length in words. */
const LOW_NIBBLE: u32 = 0xf;
const HIGH_NIBBLE: u32 = 0xf0;
/** First word of a header without options, TOS and length zero. */
const FIRST_WORD: u32 = (IPV4_VERSION << 28) | ((IPV4_HEADER_SIZE >>> 2) << 24);

/** Answers of `ipv4Check`; WIRE_OK is every protocol's. */
export const WIRE_OK: i32 = 0;
export const IPV4_TRUNCATED: i32 = 1;
export const IPV4_WRONG_VERSION: i32 = 2;
export const IPV4_HEADER_LENGTH: i32 = 3;
export const IPV4_TOTAL_LENGTH: i32 = 4;
export const IPV4_CHECKSUM: i32 = 5;
export const IPV4_OPTIONS: i32 = 6;

const OPTION_END: u32 = 0;
const OPTION_NOP: u32 = 1;
const OPTION_LOOSE_SOURCE_ROUTE: u32 = 131;
const OPTION_STRICT_SOURCE_ROUTE: u32 = 137;

const VERSION_OFFSET: usize = 0;
const TOS_OFFSET: usize = 1;
const TOTAL_LENGTH_OFFSET: usize = 2;
const IDENT_OFFSET: usize = 4;
const FRAGMENT_OFFSET: usize = 6;
const TTL_OFFSET: usize = 8;
const PROTOCOL_OFFSET: usize = 9;
export const IPV4_CHECKSUM_OFFSET: usize = 10;
const SOURCE_OFFSET: usize = 12;
const DESTINATION_OFFSET: usize = 16;

@unmanaged
export class Ipv4View {
  static at(p: usize): Ipv4View {
    return changetype<Ipv4View>(p);
  }

  get version(): u32 {
    return load8(changetype<usize>(this) + VERSION_OFFSET) >>> 4;
  }

  set version(v: u32) {
    const low = load8(changetype<usize>(this) + VERSION_OFFSET) & LOW_NIBBLE;
    store8(changetype<usize>(this) + VERSION_OFFSET, (v << 4) | low);
  }

  /** Octets, options included: a multiple of 4 up to 60. */
  get headerLength(): u32 {
    return (load8(changetype<usize>(this) + VERSION_OFFSET) & LOW_NIBBLE) << 2;
  }

  set headerLength(octets: u32) {
    const high = load8(changetype<usize>(this) + VERSION_OFFSET) & HIGH_NIBBLE;
    store8(changetype<usize>(this) + VERSION_OFFSET, high | ((octets >>> 2) & LOW_NIBBLE));
  }

  /** Octets. */
  get fragmentOffset(): u32 {
    return (this.fragmentField & FRAGMENT_OFFSET_BITS) << FRAGMENT_UNIT_SHIFT;
  }

  get moreFragments(): bool {
    return (this.fragmentField & IPV4_MF) != 0;
  }

  get dontFragment(): bool {
    return (this.fragmentField & IPV4_DF) != 0;
  }

  get tos(): u32 {
    return load8(changetype<usize>(this) + TOS_OFFSET);
  }

  set tos(v: u32) {
    store8(changetype<usize>(this) + TOS_OFFSET, v);
  }

  get totalLength(): u32 {
    return load16(changetype<usize>(this) + TOTAL_LENGTH_OFFSET);
  }

  set totalLength(v: u32) {
    store16(changetype<usize>(this) + TOTAL_LENGTH_OFFSET, v);
  }

  get ident(): u32 {
    return load16(changetype<usize>(this) + IDENT_OFFSET);
  }

  set ident(v: u32) {
    store16(changetype<usize>(this) + IDENT_OFFSET, v);
  }

  get fragmentField(): u32 {
    return load16(changetype<usize>(this) + FRAGMENT_OFFSET);
  }

  set fragmentField(v: u32) {
    store16(changetype<usize>(this) + FRAGMENT_OFFSET, v);
  }

  get ttl(): u32 {
    return load8(changetype<usize>(this) + TTL_OFFSET);
  }

  set ttl(v: u32) {
    store8(changetype<usize>(this) + TTL_OFFSET, v);
  }

  get protocol(): u32 {
    return load8(changetype<usize>(this) + PROTOCOL_OFFSET);
  }

  set protocol(v: u32) {
    store8(changetype<usize>(this) + PROTOCOL_OFFSET, v);
  }

  get checksum(): u32 {
    return load16(changetype<usize>(this) + IPV4_CHECKSUM_OFFSET);
  }

  set checksum(v: u32) {
    store16(changetype<usize>(this) + IPV4_CHECKSUM_OFFSET, v);
  }

  get source(): u32 {
    return load32(changetype<usize>(this) + SOURCE_OFFSET);
  }

  set source(v: u32) {
    store32(changetype<usize>(this) + SOURCE_OFFSET, v);
  }

  get destination(): u32 {
    return load32(changetype<usize>(this) + DESTINATION_OFFSET);
  }

  set destination(v: u32) {
    store32(changetype<usize>(this) + DESTINATION_OFFSET, v);
  }
}

/** Sum of a header without options. */
function sumPlainHeader(p: usize): u32 {
  const wide =
    <u64>load<u32>(p) +
    <u64>load<u32>(p, IDENT_OFFSET) +
    <u64>load<u32>(p, TTL_OFFSET) +
    <u64>load<u32>(p, SOURCE_OFFSET) +
    <u64>load<u32>(p, DESTINATION_OFFSET);
  // Below 5 * 2^32: one fold leaves less than 2^32 + 5, and `sumOk` folds the rest.
  const once = (wide & 0xffffffff) + (wide >> 32);
  return <u32>((once & 0xffff) + ((once >> 16) & 0xffff) + (once >> 32));
}

/** Options are well-formed and ask for no source route; unknown ones are skipped. */
function optionsAcceptable(p: usize, end: usize): bool {
  while (p < end) {
    const kind = load8(p);
    if (kind == OPTION_END) return true;
    if (kind == OPTION_NOP) {
      p += 1;
      continue;
    }
    if (end - p < 2) return false;
    const size = load8(p + 1);
    if (size < 2 || size > <u32>(end - p)) return false;
    if (kind == OPTION_LOOSE_SOURCE_ROUTE || kind == OPTION_STRICT_SOURCE_ROUTE) return false;
    p += size;
  }
  return true;
}

/** Judges the header of a packet in `length` octets; those behind its total length are padding. */
export function ipv4Check(p: usize, length: u32): i32 {
  if (length < IPV4_HEADER_SIZE) return IPV4_TRUNCATED;
  const ip = Ipv4View.at(p);
  if (ip.version != IPV4_VERSION) return IPV4_WRONG_VERSION;
  const headerLength = ip.headerLength;
  if (headerLength < IPV4_HEADER_SIZE || headerLength > length) return IPV4_HEADER_LENGTH;
  const totalLength = ip.totalLength;
  if (totalLength < headerLength || totalLength > length) return IPV4_TOTAL_LENGTH;
  if (headerLength == IPV4_HEADER_SIZE) return sumOk(sumPlainHeader(p)) ? WIRE_OK : IPV4_CHECKSUM;
  if (!sumOk(sumBytes(p, headerLength))) return IPV4_CHECKSUM;
  return optionsAcceptable(p + IPV4_HEADER_SIZE, p + headerLength) ? WIRE_OK : IPV4_OPTIONS;
}

/** What a header of IPv4 without options says, but for its length. */
@unmanaged
export class Ipv4Fields {
  source: u32;
  destination: u32;
  protocol: u32;
  ttl: u32;
  tos: u32;
  ident: u32;
  /** As on the wire: IPV4_DF, IPV4_MF and the offset divided by 8. */
  fragmentField: u32;
}

/** Writes a header of 20 octets, checksum included, for at most 65515 octets of payload. */
export function ipv4Emit(p: usize, fields: Ipv4Fields, payloadLength: u32): void {
  const source = fields.source;
  const destination = fields.destination;
  const first = FIRST_WORD | (fields.tos << 16) | (IPV4_HEADER_SIZE + payloadLength);
  const second = (fields.ident << 16) | fields.fragmentField;
  const third = (fields.ttl << 8) | fields.protocol;
  // Summed from the values: reading back what was just stored would stall.
  let sum = (first >>> 16) + (first & 0xffff) + (second >>> 16) + (second & 0xffff) + third;
  sum += (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff);
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = (sum & 0xffff) + (sum >>> 16);
  store32(p + VERSION_OFFSET, first);
  store32(p + IDENT_OFFSET, second);
  store32(p + TTL_OFFSET, (third << 16) | (~sum & 0xffff));
  store32(p + SOURCE_OFFSET, source);
  store32(p + DESTINATION_OFFSET, destination);
}
