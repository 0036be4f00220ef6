/**
 * What is always so of a connection between two calls of its own code. Only the checked build
 * (`trap`) asks: after each call that `dispatch` makes, and of all flows in an audit (`audit`).
 *
 * Source: RFC 9293 §3.3.1 (SND.UNA =< SND.NXT and the like), and the heads of the files named.
 */
import * as abi from "../abi/index";
import { HOLDS_NOTHING } from "../flow/holders";
import {
  LIST_ARRIVING,
  LIST_HALF_OPEN,
  LIST_PARTY,
  LIST_TIME_WAIT,
  SHARE_GUEST,
  SHARE_OUTSIDE,
  SHARE_REST,
} from "../flow/kinds";
import { stakeOf } from "../layout";
import { chunkLength, chunkMeet, chunkNext, chunkSequence } from "../memory";
import { seqGe, seqGt, seqLe } from "../wire/seqnum";
import { TCP_TIMESTAMPS_SIZE } from "../wire/tcp-options";
import { RUNS_MAX, runEnd, runStart } from "./board";
import {
  CWND_MAX,
  F_BLOCKED,
  F_FIN_ACKED,
  F_FIN_SENT,
  F_FIN_TAKEN,
  F_GUEST_FIN,
  F_HOST_EOF,
  F_PERSIST,
  F_SOCKET,
  has,
  MSS_FLOOR,
  mssMax,
  P_CONNECT,
  RTO_MAX_US,
  Tcp,
} from "./conn";

function isHalfOpen(flow: Tcp): bool {
  return flow.state < <u8>abi.STATE_ESTABLISHED;
}

/** State, list and share of the flow, and whether it owns a socket, belong together. */
function placeIsSound(flow: Tcp): void {
  const state = flow.state;
  assert(state > 0 && state < <u8>abi.STATE_COUNT, "a connection is in a state");
  if (state == <u8>abi.STATE_TIME_WAIT) {
    assert(!has(flow, F_SOCKET), "TIME-WAIT owns no socket");
    assert(flow.sendCount == 0 && flow.heldCount == 0, "TIME-WAIT owns no payload");
    assert(flow.list == LIST_TIME_WAIT && flow.share == SHARE_REST, "TIME-WAIT gives way first");
    assert(flow.rtoAt != 0, "TIME-WAIT ends");
    return;
  }
  assert(flow.share == SHARE_GUEST || flow.share == SHARE_OUTSIDE, "it is of a share of TCP's");
  if (isHalfOpen(flow)) {
    assert(flow.list == LIST_HALF_OPEN || flow.list == LIST_ARRIVING, "who opens is listed so");
    assert(has(flow, F_SOCKET | P_CONNECT), "who opens has a socket, or asks for one");
  } else assert(flow.list == LIST_PARTY, "who is established is in a party");
}

/** What the guest has sent (RFC 9293 §3.3.1: RCV.NXT and its like). */
function receiveSideIsSound(flow: Tcp): void {
  assert(seqLe(flow.rcvAck, flow.rcvNext), "no more is acknowledged than has arrived in order");
  assert(flow.rcvNext - flow.rcvAck >= flow.batchBytes, "what is listed has arrived");
  assert(seqGe(flow.rcvEdge + 1, flow.rcvNext), "nothing is taken beyond the window but a FIN");
  assert(flow.batchHead < 0 == (flow.batchCount == 0), "the batch is as long as it says");
  assert(flow.batchHead >= 0 || flow.batchBytes == 0, "an empty batch has no octets");
  if (has(flow, F_FIN_TAKEN)) {
    assert(has(flow, F_GUEST_FIN), "no FIN is passed on that has not come");
    assert(flow.rcvAck == flow.finSequence + 1, "the guest's FIN is the last that is acknowledged");
  } else if (has(flow, F_GUEST_FIN)) {
    assert(seqLe(flow.rcvNext, flow.finSequence), "nothing is taken behind the guest's FIN");
  }
  assert(flow.heldHead < 0 == (flow.heldCount == 0), "what is held is counted");
  assert(flow.heldHead < 0 == flow.heldTail < 0, "a list has two ends");
  const holds = stakeOf(flow).holds;
  assert(flow.heldHead < 0 || holds != HOLDS_NOTHING, "who holds can be asked to give back");
}

/** What goes to the guest. */
function sendSideIsSound(flow: Tcp): void {
  assert(seqLe(flow.sndUna, flow.sndMax), "no more is acknowledged than was sent");
  assert(seqLe(flow.sndMax, flow.sndEnd + 1), "no more was sent than there is, and FIN");
  if (flow.sndMax == flow.sndEnd + 1) assert(has(flow, F_FIN_SENT), "behind the octets is the FIN");
  if (has(flow, F_FIN_SENT)) assert(has(flow, F_HOST_EOF), "our FIN follows the host's end");
  if (has(flow, F_FIN_ACKED)) assert(has(flow, F_FIN_SENT), "no FIN is acknowledged unsent");
  assert(flow.sendHead < 0 == (flow.sendCount == 0), "the queue's chunks are counted");
  assert(flow.sendHead < 0 == flow.sendTail < 0, "a queue has two ends");
  assert(<i32>flow.runCount <= RUNS_MAX, "the scoreboard has so many runs");
  if (!has(flow, F_PERSIST)) return;
  assert(flow.rtoAt != 0, "the persist timer runs");
}

function controlIsSound(flow: Tcp): void {
  assert(flow.rto > 0 && flow.rto <= RTO_MAX_US, "RFC 6298 §2.5: a bound of 60 s or more");
  assert(flow.mss >= MSS_FLOOR - TCP_TIMESTAMPS_SIZE && flow.mss <= mssMax(flow), "segments fit");
  assert(flow.cwnd > 0 && flow.cwnd <= CWND_MAX + flow.mss, "the congestion window has bounds");
  if (has(flow, F_BLOCKED)) assert(flow.blockedAt != 0, "since when it is blocked is known");
}

/** The connection is as it must be between two calls. */
export function tcpIsSound(flow: Tcp): void {
  placeIsSound(flow);
  if (flow.state == <u8>abi.STATE_TIME_WAIT) return;
  sendSideIsSound(flow);
  if (flow.state != <u8>abi.STATE_SYN_SENT) receiveSideIsSound(flow);
  controlIsSound(flow);
}

/** The flow's timers are in the heap: nothing of it is forgotten. */
export function tcpIsArmed(flow: Tcp): void {
  const some = flow.rtoAt != 0 || flow.ackAt != 0 || flow.keepaliveAt != 0;
  assert(some, "a connection that nobody asks about would stay for good");
  assert(flow.heapIndex >= 0 && flow.deadline != 0, "its deadline is in the heap");
  const late = flow.rtoAt != 0 && flow.deadline > flow.rtoAt;
  assert(!late && (flow.ackAt == 0 || flow.deadline <= flow.ackAt), "none is forgotten");
  assert(flow.keepaliveAt == 0 || flow.deadline <= flow.keepaliveAt, "none is forgotten");
}

/** Walks over the chunks that go to the guest; returns how many. */
function sendQueueAudit(flow: Tcp): i32 {
  let chunks = 0;
  let cursor = flow.sendCursor < 0;
  let last = -1;
  for (let chunk = flow.sendHead; chunk >= 0; chunk = chunkNext(chunk)) {
    chunkMeet(chunk);
    if (last >= 0) {
      const end = chunkSequence(last) + chunkLength(last);
      assert(chunkSequence(chunk) == end, "the queue has no gaps");
    } else assert(seqLe(chunkSequence(chunk), flow.sndUna), "what is not acknowledged is there");
    if (chunk == flow.sendCursor) cursor = true;
    last = chunk;
    chunks++;
  }
  assert(chunks == flow.sendCount && last == flow.sendTail, "the queue's chunks are counted");
  assert(cursor, "the cursor is in the queue");
  if (last < 0) {
    if (!isHalfOpen(flow)) assert(seqGe(flow.sndUna, flow.sndEnd), "all was acknowledged");
  } else {
    assert(
      chunkSequence(last) + chunkLength(last) == flow.sndEnd,
      "the queue ends with the octets",
    );
  }
  return chunks;
}

/** Walks over the chunks that the host has not taken; returns how many. */
function heldAudit(flow: Tcp): i32 {
  let chunks = 0;
  let last = -1;
  let end = flow.rcvAck + flow.batchBytes;
  for (let chunk = flow.heldHead; chunk >= 0; chunk = chunkNext(chunk)) {
    chunkMeet(chunk);
    assert(chunkLength(chunk) > 0, "no chunk is held for nothing");
    assert(seqGe(chunkSequence(chunk), end), "what is held is in order and held once");
    end = chunkSequence(chunk) + chunkLength(chunk);
    last = chunk;
    chunks++;
  }
  assert(chunks == flow.heldCount && last == flow.heldTail, "what is held is counted");
  assert(chunks == 0 || seqLe(end, flow.rcvEdge), "nothing is held from beyond the window");
  return chunks;
}

function boardAudit(flow: Tcp): void {
  const runs = <i32>flow.runCount;
  for (let i = 0; i < runs; i++) {
    assert(seqGt(runEnd(flow, i), runStart(flow, i)), "runs follow each other");
  }
  if (runs > 0) assert(runEnd(flow, runs - 1) == flow.sndMax, "runs cover all that is in flight");
}

/** Walks over everything that the connection has; returns its chunks. */
export function tcpAudit(flow: Tcp): i32 {
  tcpIsSound(flow);
  boardAudit(flow);
  return sendQueueAudit(flow) + heldAudit(flow);
}
