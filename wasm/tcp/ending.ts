/**
 * How a connection ends: the host socket closed, payload given back, the slot free; TIME-WAIT,
 * which owns neither of them any more; and one direction that ends before the other.
 */
import * as abi from "../abi/index";
import { closeLater } from "../flow/evict";
import { heldCount, holderLeave } from "../flow/holders";
import { enterState, LIST_TIME_WAIT, SHARE_REST } from "../flow/kinds";
import { partyLeave } from "../flow/parties";
import { flowRelease, handleOf, listTouch, shareMove } from "../flow/table";
import { chunkNext, chunkRelease } from "../memory";
import { txCount } from "../ring";
import { count } from "../stats";
import {
  F_PERSIST,
  F_SOCKET,
  HALF_CLOSED_ASK_US,
  has,
  P_ERROR,
  P_OUTPUT,
  Tcp,
  TIME_WAIT_US,
  tcpArm,
  tcpProgress,
} from "./conn";

function freeList(head: i32): void {
  const held = txCount > 0;
  let chunk = head;
  while (chunk >= 0) {
    const next = chunkNext(chunk);
    chunkRelease(chunk, held);
    chunk = next;
  }
}

/** Frees all payload of the connection. */
export function tcpFreeChunks(flow: Tcp): void {
  holderLeave(flow);
  heldCount(flow, -flow.heldCount);
  freeList(flow.heldHead);
  freeList(flow.sendHead);
  flow.heldHead = -1;
  flow.heldTail = -1;
  flow.heldCount = 0;
  flow.sendHead = -1;
  flow.sendTail = -1;
  flow.sendCount = 0;
  flow.sendCursor = -1;
}

/** Closes the host socket if there is one; `abort` makes the host send RST. */
export function tcpCloseHost(flow: Tcp, abort: bool): void {
  if (!has(flow, F_SOCKET)) return;
  flow.flags &= ~(F_SOCKET | P_ERROR); // nobody to ask any more
  closeLater(handleOf(flow), abort);
}

/** Ends the flow: socket, payload, slot. */
export function tcpEnd(flow: Tcp, abort: bool): void {
  tcpCloseHost(flow, abort);
  tcpFreeChunks(flow);
  count(abi.STAT_TCP_CLOSED);
  partyLeave(flow);
  flowRelease(flow);
}

/** Enters TIME-WAIT: nothing left but the memory that this tuple was used. */
export function tcpTimeWait(flow: Tcp, now: i64): void {
  tcpCloseHost(flow, false);
  tcpFreeChunks(flow);
  enterState(flow, abi.STATE_TIME_WAIT);
  flow.ackAt = 0;
  flow.flags &= ~(P_OUTPUT | F_PERSIST);
  flow.rtoAt = now + TIME_WAIT_US;
  partyLeave(flow);
  shareMove(flow, SHARE_REST);
  listTouch(flow, LIST_TIME_WAIT);
  tcpArm(flow);
}

/** One direction has ended: from now on the connection may be silent for less time. */
export function tcpHalfClosed(flow: Tcp, now: i64): void {
  tcpProgress(flow, now);
  const at = now + HALF_CLOSED_ASK_US;
  if (flow.keepaliveAt == 0 || flow.keepaliveAt > at) flow.keepaliveAt = at;
}
