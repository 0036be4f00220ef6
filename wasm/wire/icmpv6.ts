/**
 * ICMP for IPv6. Source: RFC 4443, RFC 4861 §4, RFC 2710, RFC 3810.
 *
 *      0      1      2          4            6          8
 *     | type | code | checksum | identifier | sequence | data …   echo
 *     | type | code | checksum | MTU, pointer or 0     | quote …  errors
 *
 * Contract: the caller has proved that ICMPV6_HEADER_SIZE octets are there. The checksum covers a
 * pseudo-header, whose sum the caller gives (`sumPseudo6`). Every setter but that of `checksum`
 * makes the checksum stale.
 */
import { load8, load16, load32, store8, store16, store32 } from "./bytes";
import { sumAdd, sumBytes, sumOk, sumStore } from "./checksum";

export const PROTOCOL_ICMPV6: u32 = 58;
export const ICMPV6_HEADER_SIZE: u32 = 8;

export const ICMPV6_UNREACHABLE: u32 = 1;
export const ICMPV6_PACKET_TOO_BIG: u32 = 2;
export const ICMPV6_TIME_EXCEEDED: u32 = 3;
export const ICMPV6_PARAMETER_PROBLEM: u32 = 4;
export const ICMPV6_ECHO_REQUEST: u32 = 128;
export const ICMPV6_ECHO_REPLY: u32 = 129;
export const ICMPV6_LISTENER_QUERY: u32 = 130;
export const ICMPV6_LISTENER_DONE: u32 = 132;
export const ICMPV6_ROUTER_SOLICITATION: u32 = 133;
export const ICMPV6_ROUTER_ADVERTISEMENT: u32 = 134;
export const ICMPV6_NEIGHBOR_SOLICITATION: u32 = 135;
export const ICMPV6_NEIGHBOR_ADVERTISEMENT: u32 = 136;
export const ICMPV6_REDIRECT: u32 = 137;
export const ICMPV6_LISTENER_REPORT2: u32 = 143;

/** Codes of ICMPV6_UNREACHABLE. */
export const UNREACHABLE_NO_ROUTE: u32 = 0;
export const UNREACHABLE_PROHIBITED: u32 = 1;
export const UNREACHABLE_SCOPE: u32 = 2;
export const UNREACHABLE_ADDRESS: u32 = 3;
export const UNREACHABLE_PORT: u32 = 4;

export const ICMPV6_CHECKSUM_OFFSET: usize = 2;
const REST_OFFSET: usize = 4;
/** Type, code and checksum. */
const SUMMED_SIZE_MIN: u32 = 4;
const SEQUENCE_OFFSET: usize = 6;

@unmanaged
export class Icmpv6View {
  static at(p: usize): Icmpv6View {
    return changetype<Icmpv6View>(p);
  }

  get type(): u32 {
    return load8(changetype<usize>(this));
  }

  set type(v: u32) {
    store8(changetype<usize>(this), v);
  }

  get code(): u32 {
    return load8(changetype<usize>(this) + 1);
  }

  set code(v: u32) {
    store8(changetype<usize>(this) + 1, v);
  }

  get checksum(): u32 {
    return load16(changetype<usize>(this) + ICMPV6_CHECKSUM_OFFSET);
  }

  set checksum(v: u32) {
    store16(changetype<usize>(this) + ICMPV6_CHECKSUM_OFFSET, v);
  }

  /** MTU of "packet too big", pointer of "parameter problem". */
  get rest(): u32 {
    return load32(changetype<usize>(this) + REST_OFFSET);
  }

  set rest(v: u32) {
    store32(changetype<usize>(this) + REST_OFFSET, v);
  }

  get identifier(): u32 {
    return load16(changetype<usize>(this) + REST_OFFSET);
  }

  set identifier(v: u32) {
    store16(changetype<usize>(this) + REST_OFFSET, v);
  }

  get sequence(): u32 {
    return load16(changetype<usize>(this) + SEQUENCE_OFFSET);
  }

  set sequence(v: u32) {
    store16(changetype<usize>(this) + SEQUENCE_OFFSET, v);
  }
}

/** Verifies a message of `length` octets; one shorter than 4 octets is wrong. */
export function icmpv6ChecksumOk(p: usize, length: u32, pseudo: u32): bool {
  return length >= SUMMED_SIZE_MIN && sumOk(sumAdd(pseudo, sumBytes(p, length)));
}

/** Writes the 8 octets of the header with checksum zero; `rest` is the second word. */
export function icmpv6Emit(p: usize, type: u32, code: u32, rest: u32): void {
  store32(p, (type << 24) | (code << 16));
  store32(p + REST_OFFSET, rest);
}

/** Sums the message of `length` octets, whatever its checksum field held, and fills that in. */
export function icmpv6ChecksumFill(p: usize, length: u32, pseudo: u32): void {
  store<u16>(p, 0, ICMPV6_CHECKSUM_OFFSET);
  sumStore(p + ICMPV6_CHECKSUM_OFFSET, sumAdd(pseudo, sumBytes(p, length)));
}
