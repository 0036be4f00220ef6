/**
 * TCP header. Source: RFC 9293 §3.1; options in `tcp-options`.
 *
 *      0             2                  4          8
 *     | source port | destination port | sequence | acknowledgment |
 *     | data offset 12 | flags 13 | window 14 | checksum 16 | urgent 18 | options 20 … |
 *
 * Contract: `tcpCheck` returned WIRE_OK proves that the header with its options lies within the
 * segment. Flags, ports and numbers are not judged. Every setter but that of `checksum` makes the
 * checksum stale.
 */

import { load8, load16, load32, store8, store16, store32 } from "./bytes";
import { sumAdd, sumBytes, sumOk, sumPseudo4 } from "./checksum";
import { PROTOCOL_TCP, WIRE_OK } from "./ipv4";

export const TCP_HEADER_SIZE: u32 = 20;

/** The largest window that is not scaled. */
export const TCP_WINDOW_MAX: u32 = 65535;

export const TCP_FIN: u32 = 1;
export const TCP_SYN: u32 = 2;
export const TCP_RST: u32 = 4;
export const TCP_PSH: u32 = 8;
export const TCP_ACK: u32 = 16;
export const TCP_URG: u32 = 32;
export const TCP_ECE: u32 = 64;
export const TCP_CWR: u32 = 128;

/** Answers of `tcpCheck` besides WIRE_OK. */
export const TCP_TRUNCATED: i32 = 1;
export const TCP_DATA_OFFSET: i32 = 2;

const SOURCE_PORT_OFFSET: usize = 0;
const DESTINATION_PORT_OFFSET: usize = 2;
const SEQUENCE_OFFSET: usize = 4;
const ACKNOWLEDGMENT_OFFSET: usize = 8;
const DATA_OFFSET_OFFSET: usize = 12;
const DATA_OFFSET_SHIFT: u32 = 4;
export const TCP_FLAGS_OFFSET: usize = 13;
const WINDOW_OFFSET: usize = 14;
export const TCP_CHECKSUM_OFFSET: u32 = 16;
export const TCP_URGENT_OFFSET: usize = 18;

@unmanaged
export class TcpView {
  static at(p: usize): TcpView {
    return changetype<TcpView>(p);
  }

  /** Octets, options included: a multiple of 4 up to 60. */
  get dataOffset(): u32 {
    return (load8(changetype<usize>(this) + DATA_OFFSET_OFFSET) >>> DATA_OFFSET_SHIFT) << 2;
  }

  /** The reserved bits beside it become zero. */
  set dataOffset(octets: u32) {
    store8(changetype<usize>(this) + DATA_OFFSET_OFFSET, (octets >>> 2) << DATA_OFFSET_SHIFT);
  }

  get sourcePort(): u32 {
    return load16(changetype<usize>(this) + SOURCE_PORT_OFFSET);
  }

  set sourcePort(v: u32) {
    store16(changetype<usize>(this) + SOURCE_PORT_OFFSET, v);
  }

  get destinationPort(): u32 {
    return load16(changetype<usize>(this) + DESTINATION_PORT_OFFSET);
  }

  set destinationPort(v: u32) {
    store16(changetype<usize>(this) + DESTINATION_PORT_OFFSET, v);
  }

  get sequence(): u32 {
    return load32(changetype<usize>(this) + SEQUENCE_OFFSET);
  }

  set sequence(v: u32) {
    store32(changetype<usize>(this) + SEQUENCE_OFFSET, v);
  }

  get acknowledgment(): u32 {
    return load32(changetype<usize>(this) + ACKNOWLEDGMENT_OFFSET);
  }

  set acknowledgment(v: u32) {
    store32(changetype<usize>(this) + ACKNOWLEDGMENT_OFFSET, v);
  }

  get flags(): u32 {
    return load8(changetype<usize>(this) + TCP_FLAGS_OFFSET);
  }

  set flags(v: u32) {
    store8(changetype<usize>(this) + TCP_FLAGS_OFFSET, v);
  }

  get window(): u32 {
    return load16(changetype<usize>(this) + WINDOW_OFFSET);
  }

  set window(v: u32) {
    store16(changetype<usize>(this) + WINDOW_OFFSET, v);
  }

  get checksum(): u32 {
    return load16(changetype<usize>(this) + TCP_CHECKSUM_OFFSET);
  }

  set checksum(v: u32) {
    store16(changetype<usize>(this) + TCP_CHECKSUM_OFFSET, v);
  }

  get urgent(): u32 {
    return load16(changetype<usize>(this) + TCP_URGENT_OFFSET);
  }

  set urgent(v: u32) {
    store16(changetype<usize>(this) + TCP_URGENT_OFFSET, v);
  }
}

/** Judges the header of a segment of `length` octets. */
export function tcpCheck(p: usize, length: u32): i32 {
  if (length < TCP_HEADER_SIZE) return TCP_TRUNCATED;
  const dataOffset = TcpView.at(p).dataOffset;
  return dataOffset < TCP_HEADER_SIZE || dataOffset > length ? TCP_DATA_OFFSET : WIRE_OK;
}

/** Verifies a segment of `length` octets, header included. */
export function tcpChecksumOk(p: usize, length: u32, source: u32, destination: u32): bool {
  return sumOk(sumAdd(sumPseudo4(source, destination, PROTOCOL_TCP, length), sumBytes(p, length)));
}

/**
 * Writes the first 20 octets of the header; checksum and urgent pointer are zero. `ports` = source
 * << 16 | destination; `headerLength` is in octets and counts the options the caller appends.
 */
export function tcpEmit(
  p: usize,
  ports: u32,
  sequence: u32,
  acknowledgment: u32,
  headerLength: u32,
  flags: u32,
  window: u32,
): void {
  store32(p + SOURCE_PORT_OFFSET, ports);
  store32(p + SEQUENCE_OFFSET, sequence);
  store32(p + ACKNOWLEDGMENT_OFFSET, acknowledgment);
  store32(p + DATA_OFFSET_OFFSET, (headerLength << 26) | (flags << 16) | window);
  store32(p + TCP_CHECKSUM_OFFSET, 0);
}
