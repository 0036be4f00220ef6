/**
 * What goes to the guest: SYN, data, FIN, ACK, RST, probes (RFC 9293 §3.10, RFC 7323, RFC 2018).
 *
 * Data leaves as one frame of up to 64 KiB with a virtio_net_hdr when the link takes TSO, otherwise
 * as one frame per segment. Headers are built in the TX slot; payload stays in its chunks and is
 * referred to by iovecs. When the link leaves no room (`txFree`), what is due stays due.
 */
import * as abi from "../abi";
import { isIpv6 } from "../flow/addresses";
import { enterState } from "../flow/kinds";
import { outgoingBegin } from "../flow/outgoing";
import { headerSize, pseudoSum } from "../flow/packet";
import { headersEmit, startOf } from "../flow/send";
import { handleOf } from "../flow/table";
import { chunkData, chunkLength, chunkNext, chunkSequence, config } from "../memory";
import { txBegin, txCommit, txEnd, txFree, txHeader, txOffload, txPiece, vnetSize } from "../ring";
import { count, countMany } from "../stats";
import { check } from "../trap";
import { sumAdd, sumBytes, sumConcat, sumStore, sumStorePartial } from "../wire/checksum";
import { PROTOCOL_TCP } from "../wire/ipv4";
import { seqGe, seqGt, seqLe, seqLt, seqMin } from "../wire/seqnum";
import { TCP_ACK, TCP_FIN, TCP_HEADER_SIZE, TCP_PSH, TCP_RST, TCP_SYN, tcpEmit } from "../wire/tcp";
import {
  tcpOptionsEmitSackBlock,
  tcpOptionsEmitSackHeader,
  tcpOptionsEmitSyn,
  tcpOptionsEmitTimestamps,
} from "../wire/tcp-options";
import { GSO_TCPV4, GSO_TCPV6 } from "../wire/vnet";
import {
  AGAIN,
  boardExtend,
  boardFirst,
  boardMark,
  LOST,
  pipeOf,
  runEnd,
  runStart,
  stampOf,
} from "./board";
import {
  ACK_TRUST,
  F_FIN_SENT,
  F_HOST_EOF,
  F_OVERRIDE,
  F_RECOVERY,
  F_RTT,
  F_SACK,
  F_SCALED,
  F_TIMESTAMPS,
  has,
  mssMax,
  P_ACK,
  P_KEEPALIVE,
  P_OUTPUT,
  P_PROBE,
  P_SYN,
  REPAIR_FORCE,
  Tcp,
  tcpHalfClosed,
  timestamp,
  URGENT_OUT,
} from "./conn";
import { hurryProbe, startPersist, startRetransmit } from "./deadline";
import { blockLeft, blockRight, blocks } from "./reassembly";
import { sendResetFor, TTL } from "./reset";
import { urgentMark } from "./urgent";
import { windowField } from "./window";

/** Octets of IP header and TCP payload in the largest offload frame, by the longest TCP header. */
const OFFLOAD_MAX: u32 = 65535 - 60;
const PIECES_MAX: i32 = 11;

function linkFlags(): u32 {
  return config(abi.CONFIG_LINK_FLAGS_OFFSET);
}

/** Most octets one frame of this flow may carry: a multiple of its segment size. */
export function frameMax(flow: Tcp): u32 {
  // virtio 1.2 §5.1.3.1: no segmentation offload without checksum offload.
  const guest = flow.guestAddress;
  const offload = (isIpv6(guest) ? abi.LINK_TSO6 : abi.LINK_TSO4) | abi.LINK_CSUM;
  if ((linkFlags() & offload) != <u32>offload || vnetSize == 0) return flow.mss;
  if ((flow.urgent & URGENT_OUT) != 0 && seqGt(flow.sndUrgent, flow.sndUna)) return flow.mss;
  return max((OFFLOAD_MAX - headerSize(guest)) / flow.mss, 1) * flow.mss;
}

/**
 * Ethernet and IP headers of a frame whose TCP segment has `length` octets. The identification is
 * the same for all, which atomic datagrams may have (RFC 6864 §4.1): where each had one of its own,
 * a Linux guest would merge none of them on receipt (GRO).
 */
function emitBelow(flow: Tcp, eth: usize, length: u32): void {
  outgoingBegin(flow.peerAddress, flow.guestAddress, flow.guestMac, PROTOCOL_TCP, TTL, 0);
  headersEmit(eth, length);
}

/** The ports of a segment towards the guest. */
function portsOf(flow: Tcp): u32 {
  return ((<u32>flow.peerPort) << 16) | <u32>flow.guestPort;
}

/** Where the TCP header goes in a frame of the flow. */
function tcpOffset(flow: Tcp): u32 {
  return startOf(flow.guestAddress);
}

/** Finishes a segment without payload: checksum and commit. */
function commitBare(flow: Tcp, eth: usize, tcpLength: u32): void {
  const tcp = eth + tcpOffset(flow);
  sumStore(
    tcp + 16,
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
  if (seqLe(flow.rcvEdge, flow.rcvAck)) flow.rcvEdge = flow.rcvAck + 65535;
  tcpEmit(
    tcp,
    portsOf(flow),
    flow.iss,
    first ? 0 : flow.rcvAck,
    length,
    first ? TCP_SYN : TCP_SYN | TCP_ACK,
    65535,
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
function emitHeader(flow: Tcp, tcp: usize, sequence: u32, flags: u32, sacks: bool, now: i64): u32 {
  let length: u32 = TCP_HEADER_SIZE;
  if (has(flow, F_TIMESTAMPS)) {
    length += tcpOptionsEmitTimestamps(tcp + length, timestamp(flow, now), flow.tsRecent);
  }
  if (sacks && has(flow, F_SACK) && flow.heldHead >= 0) {
    const n = blocks(flow, has(flow, F_TIMESTAMPS) ? 3 : 4);
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

/** The chunk that holds `sequence`; the queue must hold it. */
function chunkFor(flow: Tcp, sequence: u32): i32 {
  let chunk = flow.sendCursor;
  if (chunk < 0 || seqGt(chunkSequence(chunk), sequence)) chunk = flow.sendHead;
  while (chunk >= 0 && seqLe(chunkSequence(chunk) + chunkLength(chunk), sequence)) {
    chunk = chunkNext(chunk);
  }
  return chunk;
}

let pieceSum: u32 = 0;

/** Adds the payload [sequence, +length) as pieces; sums it when asked. Returns octets added. */
function addPieces(flow: Tcp, sequence: u32, length: u32, sum: bool): u32 {
  let chunk = chunkFor(flow, sequence);
  let done: u32 = 0;
  pieceSum = 0;
  for (let i = 0; i < PIECES_MAX && done < length && chunk >= 0; i++) {
    const skip = sequence + done - chunkSequence(chunk);
    const n = min(chunkLength(chunk) - skip, length - done);
    txPiece(chunkData(chunk) + skip, n);
    if (sum) pieceSum = sumConcat(pieceSum, done, sumBytes(chunkData(chunk) + skip, n));
    done += n;
    flow.sendCursor = chunk;
    chunk = chunkNext(chunk);
  }
  return done;
}

/** Sends one frame of data from the queue; returns the octets sent, 0 when the link is full. */
function sendData(flow: Tcp, sequence: u32, length: u32, now: i64): u32 {
  if (txFree() <= 0) return 0;
  const eth = txBegin();
  const start = tcpOffset(flow);
  const tcp = eth + start;
  const header = emitHeader(flow, tcp, sequence, TCP_ACK, false, now);
  const flags = linkFlags();
  const partial = (flags & abi.LINK_CSUM) != 0 && vnetSize > 0;
  txHeader(eth, start + header);
  const n = addPieces(flow, sequence, length, !partial);
  check(n > 0); // the queue holds every octet between sndUna and sndEnd
  if (sequence + n == flow.sndEnd) store<u8>(tcp + 13, TCP_ACK | TCP_PSH);
  if (flow.urgent != 0) urgentMark(flow, tcp, sequence);
  emitBelow(flow, eth, header + n);
  const pseudo = pseudoSum(flow.peerAddress, flow.guestAddress, PROTOCOL_TCP, header + n);
  if (partial) {
    sumStorePartial(tcp + 16, pseudo);
    const gso = n > flow.mss;
    const type = isIpv6(flow.guestAddress) ? GSO_TCPV6 : GSO_TCPV4;
    txOffload(eth, gso ? type : 0, gso ? start + header : 0, gso ? flow.mss : 0, start, 16);
  } else {
    sumStore(tcp + 16, sumAdd(sumAdd(pseudo, sumBytes(tcp, header)), pieceSum));
  }
  txEnd(handleOf(flow));
  if (has(flow, F_RECOVERY)) flow.prrOut += n;
  countMany(abi.STAT_TCP_BYTES_TO_GUEST, n);
  return n;
}

/** Octets of the guest's window that nothing was sent into yet. */
function windowLeft(flow: Tcp): u32 {
  const flight = flow.sndMax - flow.sndUna;
  return flow.sndWindow > flight ? flow.sndWindow - flight : 0;
}

/** Octets that may be sent beyond what was ever sent: the guest's window and ours. */
export function usableWindow(flow: Tcp): u32 {
  if (flow.runCount == 0 && flow.dupAcks == 0) {
    const window = min(flow.sndWindow, flow.cwnd);
    const flight = flow.sndMax - flow.sndUna;
    return window > flight ? window - flight : 0;
  }
  if (boardFirst(flow, LOST) >= 0) return 0; // what is lost goes first
  const pipe = pipeOf(flow);
  return min(windowLeft(flow), flow.cwnd > pipe ? flow.cwnd - pipe : 0);
}

/** Sends new data and starts the timer for it. */
function sendQueue(flow: Tcp, now: i64): bool {
  const first = flow.sndMax;
  const few = first - flow.sndUna <= flow.mss;
  const done = sendNew(flow, now);
  if (flow.sndMax != first) {
    startRetransmit(flow, now);
    if (few) hurryProbe(flow, now);
  }
  return done;
}

function sendNew(flow: Tcp, now: i64): bool {
  const limit = frameMax(flow);
  while (seqLt(flow.sndMax, flow.sndEnd)) {
    const queued = flow.sndEnd - flow.sndMax;
    const usable = usableWindow(flow);
    let n = min(min(queued, usable), limit);
    // Silly window avoidance, RFC 9293 §3.8.6.2.1: all that is queued, a segment, or half the
    // window.
    const silly = n < queued && n < flow.mss && n < max<u32>(flow.sndWindowMax >> 1, 1);
    if (n == 0 || (silly && !has(flow, F_OVERRIDE))) {
      if (flow.sndMax == flow.sndUna) startPersist(flow, now);
      return true;
    }
    if (n > flow.mss && n < queued) n -= n % flow.mss;
    const sent = sendData(flow, flow.sndMax, n, now);
    if (sent == 0) return false;
    flow.flags &= ~F_OVERRIDE;
    if (!has(flow, F_RTT)) {
      flow.flags |= F_RTT;
      flow.rttSequence = flow.sndMax + sent;
      flow.rttAt = now;
    }
    boardExtend(flow, flow.sndMax + sent, now);
    flow.sndMax += sent;
  }
  return true;
}

function sendFin(flow: Tcp, now: i64): bool {
  if (!has(flow, F_HOST_EOF) || flow.sndMax != flow.sndEnd) return true;
  if (txFree() <= 0) return false;
  flow.flags |= F_FIN_SENT;
  sendBare(flow, flow.sndEnd, TCP_FIN | TCP_ACK, now);
  boardExtend(flow, flow.sndEnd + 1, now);
  flow.sndMax = flow.sndEnd + 1;
  tcpHalfClosed(flow, now);
  if (flow.state == <u8>abi.STATE_ESTABLISHED) enterState(flow, abi.STATE_FIN_WAIT_1);
  else if (flow.state == <u8>abi.STATE_CLOSE_WAIT) enterState(flow, abi.STATE_LAST_ACK);
  startRetransmit(flow, now);
  return true;
}

/** Octets that may go again now, of those from `from` to `end`; 0 = wait for an acknowledgment. */
function againMost(flow: Tcp, from: u32, end: u32): u32 {
  const pipe = pipeOf(flow);
  let room = flow.cwnd > pipe ? flow.cwnd - pipe : 0;
  if ((flow.repair & REPAIR_FORCE) != 0) room = max(room, flow.mss);
  // A guest may have taken back a part of its window (RFC 9293 SHLD-14, -16).
  const whole = seqMin(end, flow.sndEnd) - from;
  const edge = flow.sndUna + flow.sndWindow;
  if (seqGe(from, edge)) return 0;
  const n = min(min(min(whole, edge - from), room), frameMax(flow));
  if (n < flow.mss && n < whole && pipe > 0) return 0;
  return n > flow.mss && n < whole ? n - (n % flow.mss) : n;
}

/** Sends again what is lost, the lowest first, as far as the windows allow. */
function sendLost(flow: Tcp, now: i64): bool {
  for (let i = boardFirst(flow, LOST); i >= 0; i = boardFirst(flow, LOST)) {
    const from = runStart(flow, i);
    if (flow.sndWindow == 0 && from != flow.sndEnd) {
      if (pipeOf(flow) == 0) startPersist(flow, now);
      return true;
    }
    let sent: u32 = 1;
    if (from == flow.sndEnd) {
      // FIN, of which LOST says that it was sent
      if (txFree() <= 0) return false;
      sendBare(flow, from, TCP_FIN | TCP_ACK, now);
    } else {
      const n = againMost(flow, from, runEnd(flow, i));
      if (n == 0) return true;
      sent = sendData(flow, from, n, now);
      if (sent == 0) return false;
    }
    boardMark(flow, from, from + sent, stampOf(now), AGAIN);
    flow.againStamp = stampOf(now);
    flow.repair &= ~REPAIR_FORCE;
    flow.flags &= ~F_RTT; // Karn: what was sent twice is not timed
    count(abi.STAT_TCP_RETRANSMITS);
    startRetransmit(flow, now);
  }
  return true;
}

/** A segment the guest must answer, carrying nothing new: keepalive and zero-window probe. */
function sendProbe(flow: Tcp, now: i64): void {
  count(abi.STAT_TCP_PROBES);
  sendBare(flow, flow.sndUna - 1, TCP_ACK, now);
}

/** Sends all that is due; false when the link had no room and something stays due. */
export function tcpOutput(flow: Tcp, now: i64): bool {
  if (txFree() <= 0) return false;
  if (has(flow, P_SYN)) {
    flow.flags &= ~(P_SYN | P_ACK);
    sendSyn(flow, now);
  }
  if (has(flow, P_PROBE | P_KEEPALIVE)) {
    flow.flags &= ~(P_PROBE | P_KEEPALIVE);
    sendProbe(flow, now);
  }
  if (has(flow, P_OUTPUT)) {
    if (flow.runCount > 0 && !sendLost(flow, now)) return false;
    if (!sendQueue(flow, now) || !sendFin(flow, now)) return false;
    flow.flags &= ~P_OUTPUT;
  }
  if (has(flow, P_ACK)) {
    if (txFree() <= 0) return false;
    flow.flags &= ~P_ACK;
    reportGap(flow, now);
  }
  return true;
}

/**
 * Acknowledges, once for each segment behind a gap that is still there (RFC 5681 §4.2): many come
 * at once, and a guest without SACK sends what is missing only after three duplicates.
 */
function reportGap(flow: Tcp, now: i64): void {
  const duplicates = flow.heldHead >= 0 ? <i32>flow.gapAcks : 0;
  flow.gapAcks = 0;
  for (let i = flow.rcvAck == flow.lastAckSent ? 1 : 0; i < duplicates; i++) {
    if (txFree() <= 1) break;
    sendAck(flow, now);
  }
  sendAck(flow, now);
}
