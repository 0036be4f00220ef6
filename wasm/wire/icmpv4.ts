/**
 * ICMP for IPv4. Source: RFC 792, RFC 1191 §4 (next-hop MTU).
 *
 *      0      1      2          4            6          8
 *     | type | code | checksum | identifier | sequence | data …   echo
 *     | type | code | checksum | unused     | MTU      | quote …  unreachable, fragmentation needed
 *
 * Contract: the caller has proved that ICMP_HEADER_SIZE octets are there. Every setter but that of
 * `checksum` makes the checksum stale.
 */

import { load8, load16, load32, store8, store16, store32 } from "./bytes";
import { sumBytes, sumOk, sumStore } from "./checksum";

export const ICMP_HEADER_SIZE: u32 = 8;

export const ICMP_ECHO_REPLY: u32 = 0;
export const ICMP_UNREACHABLE: u32 = 3;
export const ICMP_SOURCE_QUENCH: u32 = 4;
export const ICMP_ECHO_REQUEST: u32 = 8;
export const ICMP_TIME_EXCEEDED: u32 = 11;
export const ICMP_PARAMETER_PROBLEM: u32 = 12;

/** Codes of ICMP_UNREACHABLE (RFC 792, RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1). */
export const ICMP_NET: u32 = 0;
export const ICMP_HOST: u32 = 1;
export const ICMP_PROTOCOL: u32 = 2;
export const ICMP_PORT: u32 = 3;
export const ICMP_FRAGMENTATION_NEEDED: u32 = 4;
/** By an administrator. */
export const ICMP_PROHIBITED: u32 = 13;
/** Code of ICMP_TIME_EXCEEDED: in reassembly. */
export const ICMP_REASSEMBLY: u32 = 1;
/** The highest codes of errors that are in use. */
export const ICMP_UNREACHABLE_LAST: u32 = 15;
export const ICMP_PARAMETER_LAST: u32 = 2;

const TYPE_OFFSET: usize = 0;
const CODE_OFFSET: usize = 1;
export const ICMP_CHECKSUM_OFFSET: usize = 2;
const REST_OFFSET: usize = 4;
const IDENTIFIER_OFFSET: usize = 4;
const SEQUENCE_OFFSET: usize = 6;
const MTU_OFFSET: usize = 6;

@unmanaged
export class Icmpv4View {
  static at(p: usize): Icmpv4View {
    return changetype<Icmpv4View>(p);
  }

  get type(): u32 {
    return load8(changetype<usize>(this) + TYPE_OFFSET);
  }

  set type(v: u32) {
    store8(changetype<usize>(this) + TYPE_OFFSET, v);
  }

  get code(): u32 {
    return load8(changetype<usize>(this) + CODE_OFFSET);
  }

  set code(v: u32) {
    store8(changetype<usize>(this) + CODE_OFFSET, v);
  }

  get checksum(): u32 {
    return load16(changetype<usize>(this) + ICMP_CHECKSUM_OFFSET);
  }

  set checksum(v: u32) {
    store16(changetype<usize>(this) + ICMP_CHECKSUM_OFFSET, v);
  }

  get identifier(): u32 {
    return load16(changetype<usize>(this) + IDENTIFIER_OFFSET);
  }

  set identifier(v: u32) {
    store16(changetype<usize>(this) + IDENTIFIER_OFFSET, v);
  }

  get sequence(): u32 {
    return load16(changetype<usize>(this) + SEQUENCE_OFFSET);
  }

  set sequence(v: u32) {
    store16(changetype<usize>(this) + SEQUENCE_OFFSET, v);
  }

  get rest(): u32 {
    return load32(changetype<usize>(this) + REST_OFFSET);
  }

  set rest(v: u32) {
    store32(changetype<usize>(this) + REST_OFFSET, v);
  }

  get mtu(): u32 {
    return load16(changetype<usize>(this) + MTU_OFFSET);
  }

  set mtu(v: u32) {
    store16(changetype<usize>(this) + MTU_OFFSET, v);
  }
}

/** Verifies a message of `length` octets, header included; one shorter than a header is wrong. */
export function icmpv4ChecksumOk(p: usize, length: u32): bool {
  return length >= ICMP_HEADER_SIZE && sumOk(sumBytes(p, length));
}

/** Writes the 8 octets of the header with checksum zero; `rest` is the second word. */
export function icmpv4Emit(p: usize, type: u32, code: u32, rest: u32): void {
  store32(p + TYPE_OFFSET, (type << 24) | (code << 16));
  store32(p + REST_OFFSET, rest);
}

/** Sums the message of `length` octets, whatever its checksum field held, and fills that in. */
export function icmpv4ChecksumFill(p: usize, length: u32): void {
  store<u16>(p, 0, ICMP_CHECKSUM_OFFSET);
  sumStore(p + ICMP_CHECKSUM_OFFSET, sumBytes(p, length));
}
