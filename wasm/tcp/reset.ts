/**
 * Resets towards the guest that belong to no flow: in answer to a segment, or to a SYN that comes
 * to nothing (RFC 9293 §3.10.7.1).
 */
import * as abi from "../abi/index";
import { outgoing, outgoingBegin } from "../flow/outgoing";
import { packet, pseudoSum } from "../flow/packet";
import { headersEmit, startOf } from "../flow/send";
import { txBegin, txCommit } from "../ring";
import { count } from "../stats";
import { sumAdd, sumBytes, sumStore } from "../wire/checksum";
import { PROTOCOL_TCP } from "../wire/ipv4";
import { TCP_CHECKSUM_OFFSET, TCP_HEADER_SIZE, tcpEmit } from "../wire/tcp";
import { segment } from "./segment";

/** TTL or hop limit of all that TCP sends. */
export const TTL: u32 = 64;

/** Sends a reset by the record `outgoing`; `ports` = source << 16 | destination. */
export function sendResetFor(ports: u32, sequence: u32, acknowledgment: u32, flags: u32): void {
  const ethernet = txBegin();
  if (ethernet == 0) return;
  const start = startOf(outgoing.destination);
  const tcp = ethernet + start;
  headersEmit(ethernet, TCP_HEADER_SIZE);
  tcpEmit(tcp, ports, sequence, acknowledgment, TCP_HEADER_SIZE, flags, 0);
  const pseudo = pseudoSum(outgoing.source, outgoing.destination, PROTOCOL_TCP, TCP_HEADER_SIZE);
  sumStore(tcp + TCP_CHECKSUM_OFFSET, sumAdd(pseudo, sumBytes(tcp, TCP_HEADER_SIZE)));
  txCommit(ethernet, start + TCP_HEADER_SIZE, 0);
}

/** Answers the segment under way with a reset. */
export function resetSegment(sequence: u32, acknowledgment: u32, flags: u32): void {
  count(abi.STAT_TCP_RESET_SENT);
  outgoingBegin(packet.destination, packet.source, packet.mac, PROTOCOL_TCP, TTL, 0);
  const ports = (segment.ports << 16) | (segment.ports >>> 16);
  sendResetFor(ports, sequence, acknowledgment, flags);
}
