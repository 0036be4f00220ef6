/**
 * The host side of a connection: connect, send, shut, receive, and what their results mean.
 *
 * Upload: `sendHost` emits one sendmsg over the entries of the batch and what is held in order
 * behind them. Its result moves `rcvAck`; what the socket did not take is copied into chunks before
 * the receive slots are reused, and the flow is blocked until the socket is writable again. FIN is
 * decided only after the results of sends (a shutdown queued beside a short send would lose the
 * rest).
 *
 * Download: `tcpReceive` asks for exactly what may be sent to the guest at once. Octets go from the
 * socket into chunks, and from the result handler straight out as frames. No chunk, no window: the
 * data stays in the kernel, whose own window then closes towards the peer.
 */
import * as abi from "../abi";
import { EAGAIN, EINTR } from "../errno";
import { isIpv6 } from "../flow/addresses";
import { HOLDS, holderMove, holderRevive } from "../flow/holders";
import { enterState } from "../flow/kinds";
import { isShortage } from "../flow/limits";
import { handleOf, markDirty, markReady } from "../flow/table";
import { Op, stakeOf } from "../layout";
import {
  CHUNKS_GUARANTEED,
  chunkAllocate,
  chunkData,
  chunkLength,
  chunkNext,
  chunkSetLength,
  chunkSetNext,
  chunkStart,
  chunksFree,
  chunksKept,
  chunksRelease,
  chunksSpare,
} from "../memory";
import {
  entryAt,
  iovAlloc,
  iovSet,
  iovsFree,
  msgAlloc,
  msgSetIov,
  msgsFree,
  opAlloc,
  opsFree,
  txFree,
} from "../ring";
import { count, countMany } from "../stats";
import { check } from "../trap";
import { restartIdle } from "./congestion";
import {
  ACK_DELAY,
  ACK_DELAY_INTERACTIVE,
  ACK_TRUST,
  F_BLOCKED,
  F_FIN_ACKED,
  F_FIN_TAKEN,
  F_GUEST_FIN,
  F_HOST_EOF,
  F_OVERRIDE,
  F_SENDING,
  F_SOCKET,
  has,
  P_ACK,
  P_ASK_HOST,
  P_CONNECT,
  P_ERROR,
  P_OUTPUT,
  P_TOS,
  Tcp,
  tcpArm,
  tcpCloseHost,
  tcpEnd,
  tcpHalfClosed,
  tcpProgress,
  tcpTimeWait,
  URGENT_IN,
  URGENT_MARK,
} from "./conn";
import { connectAgain, connected, connectHost, refused } from "./connecting";
import { askSeconds, startPersist } from "./deadline";
import { resolverNext } from "./open";
import { frameMax, sendReset, tcpOutput, usableWindow } from "./output";
import { giveBack } from "./pressure";
import { advance, consume, heldPieces, heldSum, hold } from "./reassembly";
import { askMark, atMark, sendAround } from "./urgent";
import { windowWorthTelling } from "./window";

const IOVS_PER_SEND: i32 = 128;
/**
 * Octets of one receive. Large, because each receive makes the kernel tell the peer about the room
 * and wake it up: at 512 KiB one flow carries 1.4 times what it carries at 64 KiB.
 */
const RECEIVE_MAX: u32 = 524288;
/** Its chunks, a partly filled one at either end, and one to spare. */
const RECEIVE_PIECES: i32 = 36;
const FRAMES_PER_RECEIVE: u32 = 256;
/** MAX_TCP_KEEPIDLE of Linux, seconds. */
const KEEPIDLE_MAX: u32 = 32767;

// ---------------------------------------------------------------- guest -> host

/** Moves the entries of this batch into chunks: the socket is full or no operation is to be had. */
function holdEntries(flow: Tcp, skip: u32): void {
  let sequence = flow.rcvAck;
  let index = flow.batchHead;
  while (index >= 0) {
    const entry = entryAt(index);
    const taken = min(skip, entry.length);
    skip -= taken;
    if (taken < entry.length) {
      const ok = hold(flow, sequence, entry.pointer + taken, entry.length - taken);
      if (!ok) {
        // No room: as if it had been lost on the way. What is held behind it counts as a gap.
        flow.rcvNext = sequence;
        advance(flow); // over the part that did find room
        flow.flags |= P_ACK;
        break;
      }
      sequence += entry.length - taken;
    }
    index = entry.next;
  }
  clearBatch(flow);
}

function clearBatch(flow: Tcp): void {
  flow.batchHead = -1;
  flow.batchTail = -1;
  flow.batchCount = 0;
  flow.batchBytes = 0;
}

/** Emits the send; false when the rings are too full. */
function sendHost(flow: Tcp): bool {
  if ((flow.urgent & URGENT_IN) != 0) {
    holdEntries(flow, 0); // what is urgent, and what is before it, go one by one
    if (sendAround(flow)) return true;
    if ((flow.urgent & URGENT_IN) != 0) return false;
  }
  const entries = flow.batchCount;
  const held = heldPieces(flow, flow.rcvAck + flow.batchBytes, IOVS_PER_SEND - min(entries, 64));
  if (entries + held == 0) return true;
  if (opsFree() < 2 || msgsFree() < 1 || iovsFree() < entries + held) return false;
  const op = opAlloc(abi.OP_TCP_SEND, handleOf(flow));
  const iov = iovAlloc(entries + held);
  const msg = msgAlloc(1);
  let n = 0;
  for (let index = flow.batchHead; index >= 0; n++) {
    const entry = entryAt(index);
    iovSet(iov, n, entry.pointer, entry.length);
    index = entry.next;
  }
  let chunk = flow.heldHead;
  for (let i = 0; i < held; i++, n++) {
    iovSet(iov, n, chunkData(chunk), chunkLength(chunk));
    chunk = chunkNext(chunk);
  }
  msgSetIov(msg, iov, n);
  op.pointer = <u32>msg;
  op.a = flow.batchBytes + heldSum;
  op.b = flow.batchBytes;
  flow.flags |= F_SENDING;
  return true;
}

/** The host socket has answered a send. */
function sent(op: Op, flow: Tcp, now: i64): void {
  const result = op.result;
  flow.flags &= ~F_SENDING;
  if (result < 0 && result != -EAGAIN && result != -EINTR) {
    clearBatch(flow);
    hostFailed(flow, now);
    return;
  }
  const taken: u32 = result < 0 ? 0 : <u32>result;
  const fromEntries = min(taken, op.b);
  flow.rcvAck += taken;
  flow.bytesToHost += taken;
  flow.ackPending += taken;
  countMany(abi.STAT_TCP_BYTES_TO_HOST, taken);
  if (taken > 0) sendProgress(flow, now);
  if (taken > fromEntries) consume(flow, taken - fromEntries);
  if (taken < op.a) {
    if (result != -EINTR) {
      if (!has(flow, F_BLOCKED)) flow.blockedAt = now;
      flow.flags |= F_BLOCKED;
    }
    flow.rcvAck -= fromEntries; // holdEntries counts from the first entry
    holdFrom(flow, fromEntries);
  } else clearBatch(flow);
  acknowledge(flow, now);
  markDirty(flow);
}

/** The host socket has taken something: who holds the rest is young again. */
function sendProgress(flow: Tcp, now: i64): void {
  tcpProgress(flow, now);
  if (stakeOf(flow).holds == HOLDS) holderMove(flow, HOLDS);
}

function holdFrom(flow: Tcp, taken: u32): void {
  const first = flow.rcvAck;
  flow.rcvAck = first + taken;
  holdEntries(flow, taken);
}

/** Decides between an ACK now and one a little later that a reply may carry (RFC 9293 §3.8.6.3). */
function acknowledge(flow: Tcp, now: i64): void {
  if (flow.ackPending == 0 || has(flow, P_ACK)) return;
  if (flow.ackPending >= flow.mss || has(flow, F_GUEST_FIN) || windowWorthTelling(flow)) {
    flow.flags |= P_ACK;
  } else if (flow.ackAt == 0) {
    flow.ackAt = now + (flow.replies < ACK_TRUST ? ACK_DELAY : ACK_DELAY_INTERACTIVE);
    tcpArm(flow);
  }
}

function shutdownDue(flow: Tcp): bool {
  return has(flow, F_GUEST_FIN) && !has(flow, F_FIN_TAKEN) && flow.rcvAck == flow.finSequence;
}

/** shutdown(SHUT_WR) is done: now the guest's FIN may be acknowledged. */
function shut(flow: Tcp, now: i64): void {
  if (has(flow, F_FIN_TAKEN)) return;
  flow.flags |= F_FIN_TAKEN | P_ACK;
  flow.rcvAck = flow.finSequence + 1;
  flow.rcvNext = flow.rcvAck;
  if (has(flow, F_HOST_EOF)) tcpCloseHost(flow, false);
  tcpHalfClosed(flow, now);
  if (flow.state == <u8>abi.STATE_ESTABLISHED) enterState(flow, abi.STATE_CLOSE_WAIT);
  else if (flow.state == <u8>abi.STATE_FIN_WAIT_1) {
    if (has(flow, F_FIN_ACKED)) tcpTimeWait(flow, now);
    else enterState(flow, abi.STATE_CLOSING);
  } else if (flow.state == <u8>abi.STATE_FIN_WAIT_2) tcpTimeWait(flow, now);
  markDirty(flow);
}

// ---------------------------------------------------------------- host -> guest

/** Octets asked of host sockets in this turn. */
export let receiveAsked: u32 = 0;

export function receiveTurn(): void {
  receiveAsked = 0;
}

/** Emits a receive of what may be sent to the guest now; false when a ring has no room. */
export function tcpReceive(flow: Tcp, now: i64): bool {
  const state = flow.state;
  if (state != <u8>abi.STATE_ESTABLISHED && state != <u8>abi.STATE_CLOSE_WAIT) return true;
  if (has(flow, F_HOST_EOF) || !has(flow, F_SOCKET) || flow.sndMax != flow.sndEnd) return true;
  const flight = flow.sndMax - flow.sndUna;
  if (flight == 0) restartIdle(flow, now);
  const usable = usableWindow(flow);
  const small = usable < flow.mss && usable < max<u32>(flow.sndWindowMax >> 1, 1);
  if (usable == 0 || (small && !has(flow, F_OVERRIDE))) {
    if (flight == 0) {
      startPersist(flow, now);
      tcpArm(flow);
    }
    return true; // an acknowledgment or a window update makes it ready again
  }
  const frame = frameMax(flow);
  // What comes has to fit the link: a tiny segment size makes for small receives.
  const most = min(RECEIVE_MAX, FRAMES_PER_RECEIVE * frame);
  const frames = <i32>(most / frame) + 1;
  if (txFree() < frames + 8 || opsFree() < 2 || msgsFree() < 1) return false;
  if (iovsFree() < RECEIVE_PIECES) return false;
  let want = min(usable, most);
  if (want > frame) want -= want % frame;
  else if (want > flow.mss) want -= want % flow.mss;
  return receiveInto(flow, want);
}

/** A receive found no chunk: no use trying again before the guest has acknowledged something. */
export let poolSpent: bool = false;

export function poolTurn(): void {
  poolSpent = false;
}

/** Lays out the tail of the last chunk and new chunks for `want` octets. */
function receiveInto(flow: Tcp, want: u32): bool {
  if (chunksFree() < chunksKept()) giveBack(chunksKept());
  let limit = (chunksSpare() >> 1) - flow.sendCount;
  // Kept chunks are for those who have fewer than their due; the others wait for their own guest.
  if (limit <= 0) limit = CHUNKS_GUARANTEED - flow.sendCount;
  if (limit <= 0) return true;
  const tail = flow.sendTail;
  let room: u32 = 0;
  if (tail >= 0) room = min(<u32>abi.CHUNK_SIZE - chunkStart(tail) - chunkLength(tail), want);
  if (room == 0 && chunksFree() == 0) {
    poolSpent = true;
    return false; // before anything is taken: nothing gives iovecs back without an operation
  }
  const iov = iovAlloc(RECEIVE_PIECES);
  let n = 0;
  if (room > 0) iovSet(iov, n++, chunkData(tail) + chunkLength(tail), room);
  const fromTail = room;
  let first = -1;
  let last = -1;
  for (; room < want && n < RECEIVE_PIECES && limit > 0; limit--) {
    const chunk = chunkAllocate(flow.sndEnd + room);
    if (chunk < 0) break;
    const length = min<u32>(want - room, abi.CHUNK_SIZE);
    iovSet(iov, n++, chunkData(chunk), length);
    room += length;
    if (first < 0) first = chunk;
    else chunkSetNext(last, chunk);
    last = chunk;
  }
  check(n > 0);
  const msg = msgAlloc(1);
  msgSetIov(msg, iov, n);
  if ((flow.urgent & URGENT_MARK) != 0) askMark(flow);
  const op = opAlloc(abi.OP_TCP_RECV, handleOf(flow));
  op.pointer = <u32>msg;
  receiveAsked += room;
  op.a = room;
  op.b = <u32>first;
  op.c = fromTail;
  return true;
}

function received(op: Op, flow: Tcp, now: i64): void {
  const result = op.result;
  let chunk = <i32>op.b;
  if (result <= 0) {
    chunksRelease(chunk);
    if (result == 0) endOfStream(flow, now);
    else if (result == -EAGAIN) {
      flow.events &= ~abi.EVENT_READABLE;
      flow.urgent &= ~URGENT_MARK; // it was passed before its event came
    } else if (result == -EINTR) markReady(flow);
    else hostFailed(flow, now);
    return;
  }
  const total = min(<u32>result, op.a);
  let left = total;
  const fromTail = min(left, op.c);
  if (fromTail > 0) {
    chunkSetLength(flow.sendTail, chunkLength(flow.sendTail) + fromTail);
    left -= fromTail;
  }
  while (left > 0 && chunk >= 0) {
    const next = chunkNext(chunk);
    const n = min<u32>(left, abi.CHUNK_SIZE);
    chunkSetLength(chunk, n);
    chunkSetNext(chunk, -1);
    if (flow.sendTail < 0) flow.sendHead = chunk;
    else chunkSetNext(flow.sendTail, chunk);
    flow.sendTail = chunk;
    flow.sendCount++;
    left -= n;
    chunk = next;
  }
  chunksRelease(chunk);
  flow.sndEnd += total;
  flow.bytesToGuest += total;
  flow.lastActive = now;
  flow.flags |= P_OUTPUT;
  if (flow.sndEnd - flow.sndUna == total) tcpProgress(flow, now); // they begin to wait
  // A short result means the socket is drained; a later arrival raises a new edge. When the peer
  // has closed, its edge is past, so read on until the end of stream shows; and a read ends before
  // an urgent octet, too.
  const ends = (flow.events & abi.EVENT_READ_HANGUP) != 0 || (flow.urgent & URGENT_MARK) != 0;
  if (total < op.a && !ends) {
    flow.events &= ~abi.EVENT_READABLE;
  }
  if (!tcpOutput(flow, now)) markDirty(flow);
  if ((flow.events & abi.EVENT_READABLE) != 0) markReady(flow);
  tcpArm(flow);
}

/** The host's stream has ended: our FIN follows the last octet. */
function endOfStream(flow: Tcp, now: i64): void {
  flow.flags |= F_HOST_EOF | P_OUTPUT;
  flow.events &= ~abi.EVENT_READABLE;
  if (has(flow, F_FIN_TAKEN)) tcpCloseHost(flow, false);
  if (!tcpOutput(flow, now)) markDirty(flow);
  tcpArm(flow);
}

/** The host connection broke: the guest sees a reset. */
function hostFailed(flow: Tcp, now: i64): void {
  sendReset(flow, now);
  tcpEnd(flow, true);
}

// ---------------------------------------------------------------- entry points

/** Emits what the flow needs done before the turn ends; false = not all of it found room. */
export function tcpFlush(flow: Tcp, now: i64): bool {
  if (has(flow, P_CONNECT | P_ERROR | P_ASK_HOST | P_TOS)) {
    if (opsFree() < 4 || msgsFree() < 1) return false;
    if (has(flow, P_CONNECT)) connectHost(flow);
    else if (has(flow, P_ERROR)) opAlloc(abi.OP_TCP_ERROR, handleOf(flow));
    if (has(flow, P_ASK_HOST) && has(flow, F_SOCKET)) {
      opAlloc(abi.OP_TCP_KEEPALIVE, handleOf(flow)).a = min(askSeconds(), KEEPIDLE_MAX);
    }
    if (has(flow, P_TOS) && has(flow, F_SOCKET)) {
      const op = opAlloc(abi.OP_TCP_TOS, handleOf(flow));
      op.a = flow.tos;
      op.count = isIpv6(flow.hostAddress) ? abi.FAMILY_SIX : 0;
    }
    flow.flags &= ~(P_CONNECT | P_ERROR | P_ASK_HOST | P_TOS);
  }
  if (has(flow, F_BLOCKED)) {
    if (flow.batchHead >= 0) holdEntries(flow, 0);
  } else if (flow.batchHead >= 0 || (flow.heldHead >= 0 && flow.rcvNext != flow.rcvAck)) {
    if (!sendHost(flow)) {
      holdEntries(flow, 0); // the receive slots will not wait
      return false;
    }
    if (flow.rcvNext != flow.rcvAck) {
      // The acknowledgment waits for the result of the send.
      const wait = flow.flags & P_ACK;
      flow.flags &= ~P_ACK;
      const ok = tcpOutput(flow, now);
      flow.flags |= wait;
      tcpArm(flow);
      return ok;
    }
  } else if (shutdownDue(flow)) {
    if (opsFree() < 2) return false;
    opAlloc(abi.OP_TCP_SHUTDOWN, handleOf(flow));
    flow.flags &= ~P_ACK; // it comes with the result
  }
  const ok = tcpOutput(flow, now);
  if (flow.state != <u8>abi.STATE_TIME_WAIT) tcpArm(flow);
  return ok;
}

/** The host has carried out an operation. */
export function tcpResult(op: Op, flow: Tcp, now: i64): void {
  const kind = op.kind;
  if (kind == abi.OP_TCP_SEND) sent(op, flow, now);
  else if (kind == abi.OP_TCP_RECV) received(op, flow, now);
  else if (kind == abi.OP_TCP_SHUTDOWN) shut(flow, now);
  else if (kind == abi.OP_TCP_AT_MARK) atMark(op, flow);
  else if (kind == abi.OP_TCP_CONNECT) {
    if (op.result < 0) {
      flow.flags &= ~F_SOCKET;
      const isAgain = isShortage(op.result) ? connectAgain(flow) : resolverNext(flow, now);
      if (!isAgain) refused(flow, -op.result, now);
    } else if (op.result > 0) connected(flow, now);
  } else if (kind == abi.OP_TCP_ERROR) {
    if (op.result < 0) {
      if (flow.state == <u8>abi.STATE_CONNECTING) {
        if (resolverNext(flow, now)) return;
        tcpCloseHost(flow, true);
        refused(flow, -op.result, now);
      } else hostFailed(flow, now);
    } else if (flow.state == <u8>abi.STATE_CONNECTING) connected(flow, now);
  }
}

/** The host socket has news (EVENT_*). */
export function tcpEvent(flow: Tcp, events: u32, now: i64): void {
  if (!has(flow, F_SOCKET)) {
    count(abi.STAT_STALE_EVENTS); // closed already; the guest's side is still ending
    return;
  }
  flow.events |= events & (abi.EVENT_READABLE | abi.EVENT_READ_HANGUP);
  const broken = (events & (abi.EVENT_ERROR | abi.EVENT_HANGUP)) != 0;
  if (flow.state == <u8>abi.STATE_CONNECTING) {
    if (broken) {
      flow.flags |= P_ERROR;
      markDirty(flow);
    } else if ((events & abi.EVENT_WRITABLE) != 0 && has(flow, F_SOCKET)) connected(flow, now);
    return;
  }
  if (broken) {
    flow.flags |= P_ERROR;
    flow.events |= abi.EVENT_READABLE;
    markDirty(flow);
  }
  if ((events & abi.EVENT_WRITABLE) != 0 && has(flow, F_BLOCKED)) {
    flow.flags &= ~F_BLOCKED;
    holderRevive(flow, flow.heldHead >= 0);
    // Where nothing is left to send, the guest would not learn of the room before its own timer.
    if (flow.rcvNext == flow.rcvAck) flow.flags |= P_ACK;
    markDirty(flow);
  }
  if ((events & abi.EVENT_URGENT) != 0) {
    flow.urgent |= URGENT_MARK;
    flow.events |= abi.EVENT_READABLE;
  }
  if ((events & abi.EVENT_READ_HANGUP) != 0) flow.events |= abi.EVENT_READABLE;
  if ((flow.events & abi.EVENT_READABLE) != 0) markReady(flow);
}
