/**
 * From the host to the guest: receives, and what their results mean.
 *
 * `tcpReceive` asks for exactly what may be sent to the guest at once. Octets go from the
 * socket into chunks, and from the result handler straight out as frames. No chunk, no window: the
 * data stays in the kernel, whose own window then closes towards the peer.
 */
import * as abi from "../abi/index";
import { EAGAIN, EINTR } from "../errno";
import { handleOf, markDirty, markReady } from "../flow/table";
import { Op } from "../layout";
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
import { check } from "../trap";
import { restartIdle } from "./congestion";
import {
  F_FIN_TAKEN,
  F_HOST_EOF,
  F_OVERRIDE,
  F_SOCKET,
  has,
  P_OUTPUT,
  Tcp,
  tcpArm,
  tcpProgress,
  URGENT_MARK,
} from "./conn";
import { startPersist } from "./deadline";
import { sendReset } from "./emit";
import { tcpCloseHost, tcpEnd } from "./ending";
import { frameMax, tcpOutput, usableWindow } from "./output";
import { giveBack } from "./pressure";
import { askMark } from "./urgent";

/**
 * Octets of one receive. Large, because each receive makes the kernel tell the peer about the room
 * and wake it up: at 512 KiB one flow carries 1.4 times what it carries at 64 KiB.
 */
const RECEIVE_MAX: u32 = 524288;
/** Its chunks, a partly filled one at either end, and one to spare. */
const RECEIVE_PIECES: i32 = 36;
const FRAMES_PER_RECEIVE: u32 = 256;
/** Frames that are left for what else a turn has to say. */
const TX_RESERVE: i32 = 8;

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
  if (txFree() < frames + TX_RESERVE || opsFree() < 2 || msgsFree() < 1) return false;
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

/** Result of OP_TCP_RECV. */
export function received(op: Op, flow: Tcp, now: i64): void {
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
export function hostFailed(flow: Tcp, now: i64): void {
  sendReset(flow, now);
  tcpEnd(flow, true);
}
