/**
 * ICMPv6 echo for the addresses that are ours: gateway, DNS server and the router's link-local one.
 * The twin of `icmp`: the reply carries identifier, sequence number, all data and the traffic class
 * of the request, comes from the address that was asked (RFC 4443 §4.2), and is fragmented when the
 * MTU is too small for it. Nothing is answered on behalf of others, nor to multicast.
 */
import * as abi from "../abi/index";
import { isOwnAddress } from "../flow/emit";
import { outgoingBegin } from "../flow/outgoing";
import { packet, pseudoSum } from "../flow/packet";
import { packetSend } from "../flow/send";
import { txKeep } from "../ring";
import { count, drop } from "../stats";
import { sumAdd, sumBytes, sumStore } from "../wire/checksum";
import {
  ICMPV6_CHECKSUM_OFFSET,
  ICMPV6_ECHO_REPLY,
  ICMPV6_HEADER_SIZE,
  Icmpv6View,
  icmpv6Emit,
  PROTOCOL_ICMPV6,
} from "../wire/icmpv6";

const HOP_LIMIT: u32 = 64;

/** Header of the reply while it is made; `packetSend` copies it. */
const HEADER: usize = memory.data(ICMPV6_HEADER_SIZE, 8);

/** Answers the packet under way, an echo request with a right checksum. */
export function icmp6EchoLocal(): void {
  const length = packet.length;
  if (length < ICMPV6_HEADER_SIZE) {
    drop(abi.DROP_ICMP_TRUNCATED);
    return;
  }
  const source = packet.source;
  const destination = packet.destination;
  if (!isOwnAddress(destination) || isOwnAddress(source)) {
    drop(abi.DROP_IP_DESTINATION);
    return;
  }
  const request = Icmpv6View.at(packet.data);
  const data = packet.data + ICMPV6_HEADER_SIZE;
  const dataLength = length - ICMPV6_HEADER_SIZE;
  icmpv6Emit(HEADER, ICMPV6_ECHO_REPLY, request.code, request.rest);
  const sum = sumAdd(sumBytes(HEADER, ICMPV6_HEADER_SIZE), sumBytes(data, dataLength));
  const pseudo = pseudoSum(destination, source, PROTOCOL_ICMPV6, length);
  sumStore(HEADER + ICMPV6_CHECKSUM_OFFSET, sumAdd(sum, pseudo));
  const kept = txKeep(data, dataLength);
  if (kept == 0) {
    drop(abi.DROP_TX_FULL);
    return;
  }
  outgoingBegin(destination, source, packet.mac, PROTOCOL_ICMPV6, HOP_LIMIT, packet.tos);
  if (!packetSend(HEADER, ICMPV6_HEADER_SIZE, kept, dataLength, 0)) return;
  count(abi.STAT_PING_LOCAL);
  count(abi.STAT_CONSUMED_LOCAL);
}
