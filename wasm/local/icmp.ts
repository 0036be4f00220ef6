/**
 * Echo for the addresses that are ours: gateway and DNS server.
 *
 * The reply carries identifier, sequence number, all data and the TOS of the request, comes from
 * the address that was asked (RFC 1122 §3.2.2.6, §3.2.1.6), and is fragmented when the MTU is too
 * small for it. A ping to any other address is never answered here: only the far side can vouch
 * for that.
 *
 * The data of the reply is a copy (`txKeep`), because the next batch may come in before the link
 * has taken the frames.
 */
import * as abi from "../abi/index";
import { ipv4Send, isOwnAddress } from "../flow/emit";
import { outgoingBegin } from "../flow/outgoing";
import { packet } from "../flow/packet";
import { txKeep } from "../ring";
import { count, drop } from "../stats";
import { addressIsUnusableSource } from "../wire/addr";
import { sumAdd, sumBytes, sumStore } from "../wire/checksum";
import {
  ICMP_CHECKSUM_OFFSET,
  ICMP_ECHO_REPLY,
  ICMP_ECHO_REQUEST,
  ICMP_HEADER_SIZE,
  Icmpv4View,
  icmpv4Emit,
} from "../wire/icmpv4";
import { PROTOCOL_ICMP } from "../wire/ipv4";

const TTL: u32 = 64;

/** Header of the reply while it is made; `ipv4Send` copies it. */
const HEADER: usize = memory.data(ICMP_HEADER_SIZE, 8);

/** Answers the packet under way, an echo request with a right checksum. */
export function icmpEchoLocal(): void {
  const length = packet.length;
  if (length < ICMP_HEADER_SIZE) {
    drop(abi.DROP_ICMP_TRUNCATED);
    return;
  }
  const request = Icmpv4View.at(packet.data);
  if (request.type != ICMP_ECHO_REQUEST) {
    drop(abi.DROP_ICMP_TYPE);
    return;
  }
  if (!isOwnAddress(packet.destination)) {
    drop(abi.DROP_IP_DESTINATION);
    return;
  }
  if (addressIsUnusableSource(packet.source) || isOwnAddress(packet.source)) {
    drop(abi.DROP_IP_SOURCE);
    return;
  }
  const data = packet.data + ICMP_HEADER_SIZE;
  const dataLength = length - ICMP_HEADER_SIZE;
  icmpv4Emit(HEADER, ICMP_ECHO_REPLY, request.code, request.rest);
  const sum = sumAdd(sumBytes(HEADER, ICMP_HEADER_SIZE), sumBytes(data, dataLength));
  sumStore(HEADER + ICMP_CHECKSUM_OFFSET, sum);
  const kept = txKeep(data, dataLength);
  if (kept == 0) {
    drop(abi.DROP_TX_FULL);
    return;
  }
  outgoingBegin(packet.destination, packet.source, packet.mac, PROTOCOL_ICMP, TTL, packet.tos);
  if (!ipv4Send(HEADER, ICMP_HEADER_SIZE, kept, dataLength, 0)) return;
  count(abi.STAT_PING_LOCAL);
  count(abi.STAT_CONSUMED_LOCAL);
}
