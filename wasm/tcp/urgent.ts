/**
 * Urgent data: an octet of the stream that its sender wants noticed early (RFC 9293 §3.8.5, RFC
 * 6093).
 *
 * Theory of operation
 *   The octet stays in its place in the stream, in both directions: the host's sockets are set to
 *   SO_OOBINLINE, so the kernel takes nothing out. That it is urgent is passed on beside that. What
 *   counts is one octet, the one before the urgent pointer, as all stacks have it (RFC 6093 §3.1),
 *   and the latest one: an earlier one that has not gone out yet goes as any other octet.
 *
 *   guest -> host   A segment with URG names the octet (`rcvUrgent`, URGENT_IN). When the octets
 *                   before it have gone to the host socket it goes alone, with MSG_OOB, which marks
 *                   the last octet of a send; then the rest. A pointer that is zero, or names an
 *                   octet that has gone or lies outside of the window, says nothing.
 *   host -> guest   EPOLLPRI says that there is one (URGENT_MARK). Reads end before it; from then
 *                   on each read is preceded by the question whether it begins there
 *                   (OP_TCP_AT_MARK). Where it does its sequence number is known (`sndUrgent`,
 *                   URGENT_OUT): until that is acknowledged segments with octets up to it have URG
 *                   and the pointer, and no frame is left to the link to be cut, as the pointer
 *                   would be wrong in all parts but the first.
 *
 * Source: tcp(7), sockatmark(3), tcp_recvmsg_locked in net/ipv4/tcp.c.
 */
import * as abi from "../abi/index";
import { handleOf } from "../flow/table";
import { Op } from "../layout";
import { chunkData, chunkLength, chunkNext, chunkSequence } from "../memory";
import {
  iovAlloc,
  iovSet,
  iovsFree,
  msgAlloc,
  msgSetIov,
  msgsFree,
  opAlloc,
  opsFree,
} from "../ring";
import { load8, store8, store16 } from "../wire/bytes";
import { seqGe, seqGt, seqLe, seqLt } from "../wire/seqnum";
import { TCP_FLAGS_OFFSET, TCP_URG, TCP_URGENT_OFFSET } from "../wire/tcp";
import { F_SENDING, Tcp, URGENT_IN, URGENT_MARK, URGENT_OUT } from "./conn";

const PIECES_MAX: i32 = 64;
const POINTER_MAX: u32 = 65535;

/** A segment that begins at `sequence` has come with URG and this pointer. */
export function urgentInput(flow: Tcp, sequence: u32, pointer: u32): void {
  const octet = sequence + pointer - 1;
  if (pointer == 0 || seqLt(octet, flow.rcvAck) || seqGe(octet, flow.rcvEdge)) return;
  if ((flow.urgent & URGENT_IN) != 0 && seqGe(flow.rcvUrgent, octet)) return;
  flow.rcvUrgent = octet;
  flow.urgent |= URGENT_IN;
}

/**
 * Sends what is held in order up to the urgent octet, or that octet. False = nothing was sent: the
 * octet has gone already (URGENT_IN is off then), or the rings are too full.
 */
export function sendAround(flow: Tcp): bool {
  if (seqGt(flow.rcvAck, flow.rcvUrgent)) {
    flow.urgent &= ~URGENT_IN;
    return false;
  }
  const held = flow.rcvNext - flow.rcvAck;
  if (held == 0) return true;
  if (opsFree() < 2 || msgsFree() < 1 || iovsFree() < PIECES_MAX) return false;
  const before = flow.rcvUrgent - flow.rcvAck;
  const wanted: u32 = before == 0 ? 1 : min(held, before);
  const iov = iovAlloc(PIECES_MAX);
  let sum: u32 = 0;
  let n = 0;
  for (let chunk = flow.heldHead; chunk >= 0 && n < PIECES_MAX && sum < wanted; n++) {
    if (chunkSequence(chunk) != flow.rcvAck + sum) break;
    const length = min(chunkLength(chunk), wanted - sum);
    iovSet(iov, n, chunkData(chunk), length);
    sum += length;
    chunk = chunkNext(chunk);
  }
  if (sum == 0) return true; // what came in order found no room, and is sent again
  const msg = msgAlloc(1);
  msgSetIov(msg, iov, n);
  const op = opAlloc(abi.OP_TCP_SEND, handleOf(flow));
  op.pointer = <u32>msg;
  op.a = sum;
  op.c = before == 0 ? 1 : 0;
  flow.flags |= F_SENDING;
  return true;
}

/** Asks whether the next read begins with the urgent octet. */
export function askMark(flow: Tcp): void {
  opAlloc(abi.OP_TCP_AT_MARK, handleOf(flow));
}

/** Result of that: what is read next belongs behind all that was. */
export function atMark(op: Op, flow: Tcp): void {
  if (op.result != 1) return;
  flow.sndUrgent = flow.sndEnd + 1;
  flow.urgent = (flow.urgent & ~URGENT_MARK) | URGENT_OUT;
}

/** Adds flag and pointer to the header of a segment at `sequence`, if they belong there. */
export function urgentMark(flow: Tcp, tcp: usize, sequence: u32): void {
  if ((flow.urgent & URGENT_OUT) == 0) return;
  if (seqLe(flow.sndUrgent, flow.sndUna)) {
    flow.urgent &= ~URGENT_OUT;
    return;
  }
  const pointer = flow.sndUrgent - sequence;
  if (seqLe(flow.sndUrgent, sequence) || pointer > POINTER_MAX) return;
  store8(tcp + TCP_FLAGS_OFFSET, load8(tcp + TCP_FLAGS_OFFSET) | TCP_URG);
  store16(tcp + TCP_URGENT_OFFSET, pointer);
}
