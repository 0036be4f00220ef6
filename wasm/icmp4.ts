/**
 * ICMP messages from the guest: pings, and errors about what the engine has sent it.
 * Source: RFC 792, RFC 1122 §3.2.2.
 */
import * as abi from "./abi/index";
import { isOwnAddress } from "./flow/emit";
import { packet } from "./flow/packet";
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

/** Takes the packet under way, an ICMP message. */
export function icmpInput(now: i64): void {
  const length = packet.length;
  if (length < ICMP_HEADER_SIZE) {
    drop(abi.DROP_ICMP_TRUNCATED);
    return;
  }
  if (!icmpv4ChecksumOk(packet.data, length)) {
    drop(abi.DROP_ICMP_CHECKSUM);
    return;
  }
  const type = Icmpv4View.at(packet.data).type;
  if (type == ICMP_ECHO_REQUEST) {
    if (isOwnAddress(packet.destination)) icmpEchoLocal();
    else pingInput(now);
    return;
  }
  if (
    type == ICMP_UNREACHABLE ||
    type == ICMP_TIME_EXCEEDED ||
    type == ICMP_PARAMETER_PROBLEM ||
    type == ICMP_SOURCE_QUENCH
  ) {
    const quoted = length - ICMP_HEADER_SIZE;
    const quote = packet.data + ICMP_HEADER_SIZE;
    if (quoted < IPV4_HEADER_SIZE || Ipv4View.at(quote).headerLength < IPV4_HEADER_SIZE) {
      drop(abi.DROP_ICMP_QUOTE);
    } else tcpIcmp(quote, quoted, now);
    return;
  }
  drop(abi.DROP_ICMP_TYPE);
}
