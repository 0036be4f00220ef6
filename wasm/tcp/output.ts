/**
 * What a flow has for the guest and when it goes: data, FIN, what is lost, probes, acknowledgments
 * (RFC 9293 §3.8 and 3.10). The segments themselves are `emit`'s.
 *
 * Data leaves as one frame of up to 64 KiB with a virtio_net_hdr when the link takes TSO, otherwise
 * as one frame per segment. Headers are built in the TX slot; payload stays in its chunks and is
 * referred to by iovecs. When the link leaves no room (`txFree`), what is due stays due.
 */
import * as abi from "../abi/index";
import { isIpv6 } from "../flow/addresses";
import { enterState } from "../flow/kinds";
import { headerSize, pseudoSum } from "../flow/packet";
import { handleOf } from "../flow/table";
import { stakeOf } from "../layout";
import { chunkData, chunkLength, chunkNext, chunkSequence, config } from "../memory";
import { txBegin, txEnd, txFrame, txFree, txHeader, txOffload, txPiece, vnetSize } from "../ring";
import { count, countMany } from "../stats";
import { check } from "../trap";
import { sumAdd, sumBytes, sumConcat, sumStore, sumStorePartial } from "../wire/checksum";
import { PROTOCOL_TCP } from "../wire/ipv4";
import { seqGe, seqGt, seqLe, seqLt, seqMin } from "../wire/seqnum";
import { TCP_ACK, TCP_CHECKSUM_OFFSET, TCP_FIN, TCP_FLAGS_OFFSET, TCP_PSH } from "../wire/tcp";
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
  F_FIN_SENT,
  F_HOST_EOF,
  F_OVERRIDE,
  F_RECOVERY,
  F_RTT,
  has,
  P_ACK,
  P_KEEPALIVE,
  P_OUTPUT,
  P_PROBE,
  P_SYN,
  REPAIR_FORCE,
  Tcp,
  URGENT_OUT,
} from "./conn";
import { hurryProbe, startPersist, startRetransmit } from "./deadline";
import { emitBelow, emitHeader, sendAck, sendBare, sendSyn, tcpOffset } from "./emit";
import { tcpHalfClosed } from "./ending";
import { urgentMark } from "./urgent";

/** Octets of IP header and TCP payload in the largest offload frame, by the longest TCP header. */
const OFFLOAD_MAX: u32 = 65535 - 60;
/** Behind the header (`txPiece`). */
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

/** The chunk that holds `sequence`; the queue must hold it. */
function chunkFor(flow: Tcp, sequence: u32): i32 {
  let chunk = flow.sendCursor;
  if (chunk < 0 || seqGt(chunkSequence(chunk), sequence)) chunk = flow.sendHead;
  while (chunk >= 0 && seqLe(chunkSequence(chunk) + chunkLength(chunk), sequence)) {
    chunk = chunkNext(chunk);
  }
  return chunk;
}

/**
 * Adds the payload [sequence, +length) as pieces; sums it when asked (`txFrame.payloadSum`).
 * Returns octets added.
 */
function addPieces(flow: Tcp, sequence: u32, length: u32, sum: bool): u32 {
  let chunk = chunkFor(flow, sequence);
  let done: u32 = 0;
  txFrame.payloadSum = 0;
  for (let i = 0; i < PIECES_MAX && done < length && chunk >= 0; i++) {
    const skip = sequence + done - chunkSequence(chunk);
    const n = min(chunkLength(chunk) - skip, length - done);
    txPiece(chunkData(chunk) + skip, n);
    if (sum)
      txFrame.payloadSum = sumConcat(
        txFrame.payloadSum,
        done,
        sumBytes(chunkData(chunk) + skip, n),
      );
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
  if (sequence + n == flow.sndEnd) store<u8>(tcp, TCP_ACK | TCP_PSH, TCP_FLAGS_OFFSET);
  if (flow.urgent != 0) urgentMark(flow, tcp, sequence);
  emitBelow(flow, eth, header + n);
  const pseudo = pseudoSum(flow.peerAddress, flow.guestAddress, PROTOCOL_TCP, header + n);
  if (partial) {
    sumStorePartial(tcp + TCP_CHECKSUM_OFFSET, pseudo);
    const gso = n > flow.mss;
    const type = isIpv6(flow.guestAddress) ? GSO_TCPV6 : GSO_TCPV4;
    txOffload(
      eth,
      gso ? type : 0,
      gso ? start + header : 0,
      gso ? flow.mss : 0,
      start,
      TCP_CHECKSUM_OFFSET,
    );
  } else {
    sumStore(
      tcp + TCP_CHECKSUM_OFFSET,
      sumAdd(sumAdd(pseudo, sumBytes(tcp, header)), txFrame.payloadSum),
    );
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
    stakeOf(flow).resent++;
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
