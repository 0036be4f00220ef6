/**
 * The host side of a connection: connect, send, shut, and what their results mean; `download` has
 * the other direction.
 *
 * Upload: `sendHost` emits one sendmsg over the entries of the batch and what is held in order
 * behind them. Its result moves `rcvAck`; what the socket did not take is copied into chunks before
 * the receive slots are reused, and the flow is blocked until the socket is writable again. FIN is
 * decided only after the results of sends (a shutdown queued beside a short send would lose the
 * rest).
 */
import * as abi from "../abi/index";
import { EAGAIN, EINTR } from "../errno";
import { isIpv6 } from "../flow/addresses";
import { HOLDS, holderMove, holderRevive } from "../flow/holders";
import { enterState } from "../flow/kinds";
import { isShortage } from "../flow/limits";
import { handleOf, markDirty, markReady } from "../flow/table";
import { Op, stakeOf } from "../layout";
import { chunkData, chunkLength, chunkNext } from "../memory";
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
} from "../ring";
import { count, countMany } from "../stats";
import {
  ACK_DELAY_INTERACTIVE_US,
  ACK_DELAY_US,
  ACK_TRUST,
  F_BLOCKED,
  F_FIN_ACKED,
  F_FIN_TAKEN,
  F_GUEST_FIN,
  F_HOST_EOF,
  F_SENDING,
  F_SOCKET,
  has,
  P_ACK,
  P_ASK_HOST,
  P_CONNECT,
  P_ERROR,
  P_TOS,
  Tcp,
  tcpArm,
  tcpProgress,
  URGENT_IN,
  URGENT_MARK,
} from "./conn";
import { connectAgain, connected, connectHost, refused } from "./connecting";
import { askSeconds } from "./deadline";
import { hostFailed, received } from "./download";
import { tcpCloseHost, tcpHalfClosed, tcpTimeWait } from "./ending";
import { resolverNext } from "./open";
import { tcpOutput } from "./output";
import { advance, consume, heldPieces, hold } from "./reassembly";
import { atMark, sendAround } from "./urgent";
import { windowWorthTelling } from "./window";

const IOVS_PER_SEND: i32 = 128;
/** What of these the batch may have, the rest is what is held. */
const ENTRIES_PER_SEND: i32 = 64;
/** Operations of one flush that are no send. */
const OPS_PER_FLUSH: i32 = 4;
/** MAX_TCP_KEEPIDLE of Linux, seconds. */
const KEEPIDLE_MAX_SECONDS: u32 = 32767;

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
  const held = heldPieces(
    flow,
    flow.rcvAck + flow.batchBytes,
    IOVS_PER_SEND - min(entries, ENTRIES_PER_SEND),
  );
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
  let octets = flow.batchBytes;
  for (let i = 0; i < held; i++, n++) {
    const length = chunkLength(chunk);
    iovSet(iov, n, chunkData(chunk), length);
    octets += length;
    chunk = chunkNext(chunk);
  }
  msgSetIov(msg, iov, n);
  op.pointer = <u32>msg;
  op.a = octets;
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
    flow.ackAt = now + (flow.replies < ACK_TRUST ? ACK_DELAY_US : ACK_DELAY_INTERACTIVE_US);
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

// ---------------------------------------------------------------- entry points

/** Emits what the flow needs done before the turn ends; false = not all of it found room. */
export function tcpFlush(flow: Tcp, now: i64): bool {
  if (has(flow, P_CONNECT | P_ERROR | P_ASK_HOST | P_TOS)) {
    if (opsFree() < OPS_PER_FLUSH || msgsFree() < 1) return false;
    if (has(flow, P_CONNECT)) connectHost(flow);
    else if (has(flow, P_ERROR)) opAlloc(abi.OP_TCP_ERROR, handleOf(flow));
    if (has(flow, P_ASK_HOST) && has(flow, F_SOCKET)) {
      opAlloc(abi.OP_TCP_KEEPALIVE, handleOf(flow)).a = min(askSeconds(), KEEPIDLE_MAX_SECONDS);
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
