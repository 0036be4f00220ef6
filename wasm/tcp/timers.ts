/**
 * What is due: retransmission, persist, delayed ACK, silence, TIME-WAIT (RFC 9293 §3.8, RFC 6298).
 * A flow has one deadline, the earliest of these; `tcpTimeout` sees which have come.
 *
 * Silence. Nobody can tell a connection that has nothing to say from one whose ends are gone, so
 * both are asked: the guest by a segment that it has to answer, the host's peer by SO_KEEPALIVE on
 * the host socket, set when it is first needed. Who answers starts the time over; a connection of
 * which one end is gone ends on both sides.
 *
 *     open          asked after tcpIdleSeconds (RFC 5382 REQ-5: 2 h 4 min), or keepaliveSeconds if
 *                   that is less, then every 75 s; ends at the tenth question, 11 min later
 *     half-closed   the guest is asked after 60 s without an octet, then every 15 s: one that has
 *                   closed both directions knows it no longer and resets it. It ends after 240 s,
 *                   answered or not, unless octets wait for someone
 *     in doubt      the guest has come back or begun anew (`guest`): asked at once, then every 2 s;
 *                   ends at the sixth question
 *
 * While data are on their way to the guest the retransmission timer alone decides, so a machine
 * that is paused for GIVE_UP_DATA_US finds its connections as they were.
 */
import * as abi from "../abi/index";
import { flowAt, flowsFresh, markDirty, markReady } from "../flow/table";
import { STAKE_TICK, stakeOf } from "../layout";
import { linkFull } from "../ring";
import { MILLISECOND_US, SECOND_US } from "../timer";
import { seqGe } from "../wire/seqnum";
import { arrivalTimeout } from "./arrival";
import { boardFirst, LOST } from "./board";
import {
  F_BLOCKED,
  F_OVERRIDE,
  F_PERSIST,
  GIVE_UP_DATA_US,
  GIVE_UP_SYN_US,
  HALF_CLOSED_ASK_US,
  HALF_CLOSED_US,
  has,
  P_ACK,
  P_ASK_HOST,
  P_KEEPALIVE,
  P_OUTPUT,
  P_PROBE,
  P_SYN,
  RTO_MAX_US,
  Tcp,
  TIMER_PROBE,
  TIMER_REORDER,
  TIMER_RETRANSMIT,
  tcpArm,
} from "./conn";
import { armRetransmit, askAfter, keepaliveStart, startPersist } from "./deadline";
import { sendReset } from "./emit";
import { tcpEnd } from "./ending";
import { resolverNext } from "./open";
import { probe, reorderOver, timeoutRetransmit } from "./recovery";

const KEEPALIVE_INTERVAL_US: i64 = 75 * SECOND_US;
const KEEPALIVE_PROBES: u32 = 9;
const HALF_CLOSED_INTERVAL_US: i64 = 15 * SECOND_US;
const DOUBT_INTERVAL_US: i64 = 2 * SECOND_US;
const DOUBT_PROBES: u32 = 5;
const PERSIST_SHIFT_MAX: i32 = 8;
/** Probes of a shut window without an answer that tell of a guest that is gone. */
const GONE_PROBES: u8 = 5;
/** Retransmissions before time alone ends a connection (R1 of RFC 9293 §3.8.3). */
const GIVE_UP_RETRANSMITS: u8 = 3;
/** Until a retransmission is looked at again that the full link has no room for. */
const LINK_WAIT_US: i64 = 100 * MILLISECOND_US;

/** What was last heard before this time may be another machine's (`tcpDoubt`); 0 = nothing may. */
let doubtAt: i64 = 0;

/** Gives up on both sides: the guest and the host each see a reset. */
function abandon(flow: Tcp, now: i64): void {
  if (flow.guestMac != 0) sendReset(flow, now);
  tcpEnd(flow, true);
}

function retransmitSyn(flow: Tcp, now: i64): void {
  if (now - flow.troubleAt >= GIVE_UP_SYN_US) {
    abandon(flow, now);
    return;
  }
  if (flow.retransmits < u8.MAX_VALUE) flow.retransmits++;
  flow.rto = min(flow.rto << 1, RTO_MAX_US);
  flow.rtoAt = now + <i64>flow.rto;
  flow.flags |= P_SYN;
  markDirty(flow);
}

/** The guest's window is shut, or open by less than is worth sending (RFC 9293 §3.8.6.1). */
function persist(flow: Tcp, now: i64): void {
  const all = seqGe(flow.sndMax, flow.sndEnd) && boardFirst(flow, LOST) < 0;
  if (all && (flow.events & abi.EVENT_READABLE) == 0) {
    // Nothing is waiting after all: the host's socket had been drained to the last octet.
    flow.rtoAt = 0;
    flow.flags &= ~(F_PERSIST | F_OVERRIDE);
    return;
  }
  if (flow.probes < u8.MAX_VALUE) flow.probes++;
  if (flow.persists < u8.MAX_VALUE) flow.persists++;
  if (flow.sndWindow > 0) {
    flow.flags |= F_OVERRIDE | P_OUTPUT;
    markReady(flow);
  } else flow.flags |= P_PROBE;
  const shift = min<i32>(flow.persists, PERSIST_SHIFT_MAX);
  flow.rtoAt = now + min<i64>((<i64>flow.rto) << shift, RTO_MAX_US);
  // As long as it answers the connection lives (MUST-36); a guest that is gone does not answer.
  if (now - flow.lastActive >= GIVE_UP_DATA_US && flow.probes > GONE_PROBES) {
    abandon(flow, now);
    return;
  }
  markDirty(flow);
}

/** A timer of the repair, before the timeout: `tcp/deadline`, `tcp/recovery`. */
function early(flow: Tcp, now: i64): void {
  const kind = flow.timer;
  if (kind == TIMER_PROBE && flow.sndWindow > 0) probe(flow, now);
  else {
    flow.timer = TIMER_RETRANSMIT;
    armRetransmit(flow, now);
    if (kind == TIMER_REORDER) reorderOver(flow, now);
  }
  markDirty(flow);
}

function retransmission(flow: Tcp, now: i64): void {
  const state = flow.state;
  if (state == <u8>abi.STATE_TIME_WAIT || state == <u8>abi.STATE_CONNECTING) {
    if (resolverNext(flow, now)) return;
    tcpEnd(flow, true);
    return;
  }
  if (state == <u8>abi.STATE_SYN_SENT) {
    arrivalTimeout(flow, now);
    return;
  }
  if (state == <u8>abi.STATE_SYN_RECEIVED) {
    retransmitSyn(flow, now);
    return;
  }
  if (linkFull) {
    // Nothing is lost that is still here (RFC 6298 times what is in the network), and a machine
    // that is paused finds its connections as they were.
    flow.rtoAt = now + LINK_WAIT_US;
    flow.troubleAt = now;
    flow.probes = 0;
    return;
  }
  if (has(flow, F_PERSIST)) {
    persist(flow, now);
    return;
  }
  if (flow.sndUna == flow.sndMax) {
    flow.rtoAt = 0;
    return;
  }
  if (flow.timer != TIMER_RETRANSMIT) {
    early(flow, now);
    return;
  }
  const shrunk = flow.sndWindow == 0 && flow.sndUna != flow.sndEnd;
  if (
    !shrunk &&
    flow.retransmits >= GIVE_UP_RETRANSMITS &&
    now - flow.troubleAt >= GIVE_UP_DATA_US
  ) {
    abandon(flow, now);
    return;
  }
  timeoutRetransmit(flow, now);
  if (shrunk) {
    // The guest took its window back (SHLD-17): no data until it opens, but a question.
    startPersist(flow, now);
    flow.retransmits = 0;
    persist(flow, now);
    return;
  }
  markDirty(flow);
}

/** Asks the guest, and with the first question of a row the host's peer, too. */
function ask(flow: Tcp, now: i64, interval: i64): void {
  if (flow.probes == 0) flow.flags |= P_ASK_HOST;
  flow.probes++;
  flow.flags |= P_KEEPALIVE;
  markDirty(flow);
  flow.keepaliveAt = now + interval;
}

/** The guest may no longer be the machine that the connection belongs to (`tcpDoubt`). */
function doubted(flow: Tcp, now: i64): void {
  if (<u32>flow.probes >= DOUBT_PROBES) abandon(flow, now);
  else ask(flow, now, DOUBT_INTERVAL_US);
}

/** Neither side has been heard of, as it seems: both are asked. */
function silentOpen(flow: Tcp, now: i64): void {
  const due = flow.lastActive + askAfter();
  if (now < due || flow.sndUna != flow.sndMax) {
    flow.keepaliveAt = now < due ? due : now + KEEPALIVE_INTERVAL_US;
  } else if (linkFull) {
    flow.probes = 0; // the question would wait as long as everything else
    flow.keepaliveAt = now + KEEPALIVE_INTERVAL_US;
  } else if (<u32>flow.probes >= KEEPALIVE_PROBES) abandon(flow, now);
  else ask(flow, now, KEEPALIVE_INTERVAL_US);
}

/** When octets last moved, or a direction ended: late by a tick at most. */
function movedAt(flow: Tcp): i64 {
  return (<i64>stakeOf(flow).progress + 1) << STAKE_TICK;
}

function silentHalf(flow: Tcp, now: i64): void {
  const stuck = has(flow, F_BLOCKED) && now - flow.lastActive < HALF_CLOSED_US;
  if (stuck || flow.rtoAt != 0) {
    flow.keepaliveAt = now + HALF_CLOSED_ASK_US; // another timer runs, or the guest asks for room
    return;
  }
  const quiet = now - movedAt(flow);
  if (quiet >= HALF_CLOSED_US) {
    abandon(flow, now);
    return;
  }
  if (quiet < HALF_CLOSED_ASK_US) flow.keepaliveAt = now + HALF_CLOSED_ASK_US - quiet;
  else {
    flow.flags |= P_KEEPALIVE;
    markDirty(flow);
    flow.keepaliveAt = now + min(HALF_CLOSED_INTERVAL_US, HALF_CLOSED_US - quiet);
  }
}

function onKeepaliveTimer(flow: Tcp, now: i64): void {
  if (flow.state < <u8>abi.STATE_ESTABLISHED || flow.state == <u8>abi.STATE_TIME_WAIT) {
    keepaliveStart(flow, now); // these states end by timers of their own
  } else if (flow.lastActive < doubtAt) doubted(flow, now);
  else if (flow.state == <u8>abi.STATE_ESTABLISHED) silentOpen(flow, now);
  else silentHalf(flow, now);
}

/** Nobody is in doubt. */
export function timersInit(): void {
  doubtAt = 0;
}

/**
 * The machine at the link may be another one, or may have started anew: each connection is asked
 * for now. One that answers goes on; one it does not know of is reset by the guest; one that it
 * does not answer for ends after DOUBT_PROBES questions.
 */
export function tcpDoubt(now: i64): void {
  doubtAt = now;
  const slots = flowsFresh();
  for (let slot = 0; slot < slots; slot++) {
    const flow = changetype<Tcp>(flowAt(slot));
    if (flow.kind != <u8>abi.KIND_TCP || flow.state < <u8>abi.STATE_ESTABLISHED) continue;
    if (flow.state == <u8>abi.STATE_TIME_WAIT || flow.lastActive >= now) continue;
    flow.probes = 0;
    flow.keepaliveAt = now;
    tcpArm(flow);
  }
}

/** Some deadline of the flow has come. */
export function tcpTimeout(flow: Tcp, now: i64): void {
  const generation = flow.generation;
  if (flow.ackAt != 0 && flow.ackAt <= now) {
    flow.ackAt = 0;
    flow.replies = 0;
    flow.flags |= P_ACK;
    markDirty(flow);
  }
  if (flow.rtoAt != 0 && flow.rtoAt <= now) {
    retransmission(flow, now);
    if (flow.kind == 0 || flow.generation != generation) return;
  }
  if (flow.keepaliveAt != 0 && flow.keepaliveAt <= now) {
    onKeepaliveTimer(flow, now);
    if (flow.kind == 0 || flow.generation != generation) return;
  }
  tcpArm(flow);
}
