/**
 * Segments towards the guest: the headers of all, and those that carry no payload: SYN, ACK, FIN,
 * RST, probes (RFC 9293 §3.10, RFC 7323, RFC 2018). Headers are built in the TX slot. Where the
 * link leaves no room (`txFree`) nothing is sent; the caller has looked before what must not be
 * lost.
 */
import * as abi from "../abi/index";
import { outgoingBegin } from "../flow/outgoing";
import { pseudoSum } from "../flow/packet";
import { headersEmit, startOf } from "../flow/send";
import { handleOf } from "../flow/table";
import { txBegin, txCommit } from "../ring";
import { count } from "../stats";
import { sumAdd, sumBytes, sumStore } from "../wire/checksum";
import { PROTOCOL_TCP } from "../wire/ipv4";
import { seqLe } from "../wire/seqnum";
import {
  TCP_ACK,
  TCP_CHECKSUM_OFFSET,
  TCP_HEADER_SIZE,
  TCP_RST,
  TCP_SYN,
  TCP_WINDOW_MAX,
  tcpEmit,
} from "../wire/tcp";
import {
  TCP_SACK_COUNT_MAX,
  TCP_SACK_COUNT_TIMED,
  tcpOptionsEmitSackBlock,
  tcpOptionsEmitSackHeader,
  tcpOptionsEmitSyn,
  tcpOptionsEmitTimestamps,
} from "../wire/tcp-options";
import {
  ACK_TRUST,
  F_RTT,
  F_SACK,
  F_SCALED,
  F_TIMESTAMPS,
  has,
  mssMax,
  P_ACK,
  Tcp,
  timestamp,
} from "./conn";
import { blockLeft, blockRight, blocks } from "./reassembly";
import { sendResetFor, TTL } from "./reset";
import { windowField } from "./window";

/**
 * Ethernet and IP headers of a frame whose TCP segment has `length` octets. The identification is
 * the same for all, which atomic datagrams may have (RFC 6864 §4.1): where each had one of its own,
 * a Linux guest would merge none of them on receipt (GRO).
 */
export function emitBelow(flow: Tcp, eth: usize, length: u32): void {
  outgoingBegin(flow.peerAddress, flow.guestAddress, flow.guestMac, PROTOCOL_TCP, TTL, 0);
  headersEmit(eth, length);
}

/** The ports of a segment towards the guest. */
function portsOf(flow: Tcp): u32 {
  return ((<u32>flow.peerPort) << 16) | <u32>flow.guestPort;
}

/** Where the TCP header goes in a frame of the flow. */
export function tcpOffset(flow: Tcp): u32 {
  return startOf(flow.guestAddress);
}

/** Finishes a segment without payload: checksum and commit. */
function commitBare(flow: Tcp, eth: usize, tcpLength: u32): void {
  const tcp = eth + tcpOffset(flow);
  sumStore(
    tcp + TCP_CHECKSUM_OFFSET,
    sumAdd(
      pseudoSum(flow.peerAddress, flow.guestAddress, PROTOCOL_TCP, tcpLength),
      sumBytes(tcp, tcpLength),
    ),
  );
  txCommit(eth, tcpOffset(flow) + tcpLength, handleOf(flow));
}

/** Sends SYN (inbound) or SYN-ACK. */
export function sendSyn(flow: Tcp, now: i64): void {
  const eth = txBegin();
  if (eth == 0) return;
  const tcp = eth + tcpOffset(flow);
  const first = flow.state == <u8>abi.STATE_SYN_SENT;
  const optionLength = tcpOptionsEmitSyn(
    tcp + TCP_HEADER_SIZE,
    mssMax(flow),
    first || has(flow, F_SCALED) ? <i32>flow.rcvScale : -1,
    first || has(flow, F_SACK),
    first || has(flow, F_TIMESTAMPS),
    timestamp(flow, now),
    first ? 0 : flow.tsRecent,
  );
  const length = TCP_HEADER_SIZE + optionLength;
  emitBelow(flow, eth, length);
  if (seqLe(flow.rcvEdge, flow.rcvAck)) flow.rcvEdge = flow.rcvAck + TCP_WINDOW_MAX;
  tcpEmit(
    tcp,
    portsOf(flow),
    flow.iss,
    first ? 0 : flow.rcvAck,
    length,
    first ? TCP_SYN : TCP_SYN | TCP_ACK,
    TCP_WINDOW_MAX,
  );
  flow.lastAckSent = flow.rcvAck;
  flow.sndMax = flow.iss + 1;
  // The first round trip is that of the handshake, if nothing of it had to be sent again.
  if (flow.rttAt == 0) flow.flags |= F_RTT;
  else flow.flags &= ~F_RTT;
  flow.rttAt = now;
  commitBare(flow, eth, length);
}

/** Writes header and usual options for a segment; returns the header length. */
export function emitHeader(
  flow: Tcp,
  tcp: usize,
  sequence: u32,
  flags: u32,
  sacks: bool,
  now: i64,
): u32 {
  let length: u32 = TCP_HEADER_SIZE;
  if (has(flow, F_TIMESTAMPS)) {
    length += tcpOptionsEmitTimestamps(tcp + length, timestamp(flow, now), flow.tsRecent);
  }
  if (sacks && has(flow, F_SACK) && flow.heldHead >= 0) {
    const n = blocks(
      flow,
      has(flow, F_TIMESTAMPS) ? TCP_SACK_COUNT_TIMED : <i32>TCP_SACK_COUNT_MAX,
    );
    if (n > 0) {
      const at = tcp + length;
      length += tcpOptionsEmitSackHeader(at, n);
      for (let i = 0; i < n; i++) tcpOptionsEmitSackBlock(at, i, blockLeft(i), blockRight(i));
    }
  }
  const window = windowField(flow, now);
  tcpEmit(tcp, portsOf(flow), sequence, flow.rcvAck, length, flags, window);
  flow.lastAckSent = flow.rcvAck;
  flow.ackPending = 0;
  if (flow.ackAt != 0 && !sacks && flow.replies < ACK_TRUST) flow.replies++;
  flow.ackAt = 0;
  // Data carry no SACK blocks, so they do not replace the acknowledgment that reports a gap.
  if (sacks || flow.heldHead < 0) flow.flags &= ~P_ACK;
  return length;
}

/** Sends a segment without payload at `sequence`. */
export function sendBare(flow: Tcp, sequence: u32, flags: u32, now: i64): void {
  const eth = txBegin();
  if (eth == 0) return;
  const length = emitHeader(flow, eth + tcpOffset(flow), sequence, flags, flags == TCP_ACK, now);
  emitBelow(flow, eth, length);
  commitBare(flow, eth, length);
}

/** Acknowledges, with SACK blocks and window. */
export function sendAck(flow: Tcp, now: i64): void {
  sendBare(flow, flow.sndMax, TCP_ACK, now);
}

/** Tells the guest that the connection is gone. */
export function sendReset(flow: Tcp, now: i64): void {
  count(abi.STAT_TCP_RESET_SENT);
  if (flow.state == <u8>abi.STATE_CONNECTING) {
    outgoingBegin(flow.peerAddress, flow.guestAddress, flow.guestMac, PROTOCOL_TCP, TTL, 0);
    sendResetFor(portsOf(flow), 0, flow.irs + 1, TCP_RST | TCP_ACK);
    return;
  }
  sendBare(flow, flow.sndMax, TCP_RST | TCP_ACK, now);
}
