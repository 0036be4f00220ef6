/**
 * UDP header. Source: RFC 768, RFC 1122 §4.1.3.4.
 *
 *      0             2                  4        6          8
 *     | source port | destination port | length | checksum | payload …
 *
 * Contract: `udpCheck` returned WIRE_OK proves that `length` octets are there; octets behind them
 * are padding. Ports are not judged.
 */

import { load16, store16, store32 } from "./bytes";
import { sumAdd, sumBytes, sumOk, sumPseudo4 } from "./checksum";
import { PROTOCOL_UDP, WIRE_OK } from "./ipv4";

export const UDP_HEADER_SIZE: u32 = 8;

/** Answers of `udpCheck` besides WIRE_OK. */
export const UDP_TRUNCATED: i32 = 1;
export const UDP_LENGTH: i32 = 2;

const SOURCE_PORT_OFFSET: usize = 0;
const DESTINATION_PORT_OFFSET: usize = 2;
const LENGTH_OFFSET: usize = 4;
export const UDP_CHECKSUM_OFFSET: u32 = 6;

@unmanaged
export class UdpView {
  static at(p: usize): UdpView {
    return changetype<UdpView>(p);
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

  get length(): u32 {
    return load16(changetype<usize>(this) + LENGTH_OFFSET);
  }

  set length(v: u32) {
    store16(changetype<usize>(this) + LENGTH_OFFSET, v);
  }

  get checksum(): u32 {
    return load16(changetype<usize>(this) + UDP_CHECKSUM_OFFSET);
  }

  set checksum(v: u32) {
    store16(changetype<usize>(this) + UDP_CHECKSUM_OFFSET, v);
  }
}

/** Judges the header of a datagram in an IP payload of `available` octets. */
export function udpCheck(p: usize, available: u32): i32 {
  if (available < UDP_HEADER_SIZE) return UDP_TRUNCATED;
  const length = UdpView.at(p).length;
  return length < UDP_HEADER_SIZE || length > available ? UDP_LENGTH : WIRE_OK;
}

/** Verifies a datagram of `length` octets, header included; no checksum (0) is right. */
export function udpChecksumOk(p: usize, length: u32, source: u32, destination: u32): bool {
  if (UdpView.at(p).checksum == 0) return true;
  return sumOk(sumAdd(sumPseudo4(source, destination, PROTOCOL_UDP, length), sumBytes(p, length)));
}

/**
 * Writes the 8 octets of the header. `length` counts header and payload. The checksum is zero,
 * which is both "none" and what the field has to hold while the caller sums.
 */
export function udpEmit(p: usize, sourcePort: u32, destinationPort: u32, length: u32): void {
  store32(p + SOURCE_PORT_OFFSET, (sourcePort << 16) | destinationPort);
  store32(p + LENGTH_OFFSET, length << 16);
}
