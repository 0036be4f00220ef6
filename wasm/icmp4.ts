/**
 * ICMP messages from the guest: pings, and errors about what the engine has sent it.
 * Source: RFC 792, RFC 1122 §3.2.2.
 */
import * as abi from "./abi";
import { isOwnAddress } from "./flow/emit";
import { pingInput } from "./flow/ping";
import { icmpEchoLocal } from "./local/icmp";
import { drop } from "./stats";
import { tcpIcmp } from "./tcp/icmp";
import {
  ICMP_ECHO_REQUEST,
  ICMP_HEADER_SIZE,
  ICMP_PARAMETER_PROBLEM,
  ICMP_SOURCE_QUENCH,
  ICMP_TIME_EXCEEDED,
  ICMP_UNREACHABLE,
  Icmpv4View,
  icmpv4ChecksumOk,
} from "./wire/icmpv4";
import { IPV4_HEADER_SIZE, Ipv4View } from "./wire/ipv4";

/** The ICMP message of `length` octets at `icmp` that the packet at `ip` carries. */
export function icmpInput(ip: usize, icmp: usize, length: u32, mac: u64, now: i64): void {
  if (length < ICMP_HEADER_SIZE) {
    drop(abi.DROP_ICMP_TRUNCATED);
    return;
  }
  if (!icmpv4ChecksumOk(icmp, length)) {
    drop(abi.DROP_ICMP_CHECKSUM);
    return;
  }
  const type = Icmpv4View.at(icmp).type;
  if (type == ICMP_ECHO_REQUEST) {
    if (isOwnAddress(Ipv4View.at(ip).destination)) icmpEchoLocal(ip, icmp, length, mac);
    else pingInput(ip, icmp, length, mac, now);
    return;
  }
  const quoted = length - ICMP_HEADER_SIZE;
  if (
    type == ICMP_UNREACHABLE ||
    type == ICMP_TIME_EXCEEDED ||
    type == ICMP_PARAMETER_PROBLEM ||
    type == ICMP_SOURCE_QUENCH
  ) {
    const quote = icmp + ICMP_HEADER_SIZE;
    if (quoted < IPV4_HEADER_SIZE || Ipv4View.at(quote).headerLength < IPV4_HEADER_SIZE) {
      drop(abi.DROP_ICMP_QUOTE);
    } else tcpIcmp(icmp, quote, quoted, now);
    return;
  }
  drop(abi.DROP_ICMP_TYPE);
}
