/**
 * What is due: retransmission, persist, delayed ACK, keepalive, idle, TIME-WAIT (RFC 9293 §3.8,
 * RFC 6298). A flow has one deadline, the earliest of these; `tcpTimeout` sees which have come.
 */
import * as abi from "../abi";
import { config } from "../memory";
import { linkFull } from "../ring";
import { markDirty, markReady } from "../flow/table";
import { arrivalTimeout } from "./arrival";
import { timeoutRetransmit } from "./congestion";
import {
  F_OVERRIDE, F_PERSIST, GIVE_UP_DATA, GIVE_UP_SYN, HALF_CLOSED, P_ACK, P_KEEPALIVE, P_OUTPUT,
  P_PROBE, P_SYN, RTO_MAX, Tcp, has, tcpArm, tcpEnd,
} from "./conn";
import { sendReset, startPersist } from "./output";

const KEEPALIVE_INTERVAL: i64 = 75000000;
const KEEPALIVE_PROBES: u32 = 9;
/** Until a retransmission is looked at again that the full link has no room for. */
const LINK_WAIT: i64 = 100000;

/** Gives up on both sides: the guest and the host each see a reset. */
function abandon(flow: Tcp, now: i64): void {
  if (flow.guestMac != 0) sendReset(flow, now);
  tcpEnd(flow, true);
}

function retransmitSyn(flow: Tcp, now: i64): void {
  if (now - flow.troubleAt >= GIVE_UP_SYN) {
    abandon(flow, now);
    return;
  }
  if (flow.retransmits < 255) flow.retransmits++;
  flow.rto = min(flow.rto << 1, RTO_MAX);
  flow.rtoAt = now + <i64>flow.rto;
  flow.flags |= P_SYN;
  markDirty(flow);
}

/** The guest's window is shut, or open by less than is worth sending (RFC 9293 §3.8.6.1). */
function persist(flow: Tcp, now: i64): void {
  if (flow.sndNext == flow.sndEnd && (flow.events & abi.EVENT_READABLE) == 0) {
    // Nothing is waiting after all: the host's socket had been drained to the last octet.
    flow.rtoAt = 0;
    flow.flags &= ~(F_PERSIST | F_OVERRIDE);
    return;
  }
  if (flow.probes < 255) flow.probes++;
  if (flow.persists < 255) flow.persists++;
  if (flow.sndWindow > 0) {
    flow.flags |= F_OVERRIDE | P_OUTPUT;
    markReady(flow);
  } else flow.flags |= P_PROBE;
  const shift = min<i32>(flow.persists, 8);
  flow.rtoAt = now + min<i64>((<i64>flow.rto) << shift, RTO_MAX);
  // As long as it answers the connection lives (MUST-36); a guest that is gone does not answer.
  if (now - flow.lastActive >= GIVE_UP_DATA && flow.probes > 5) {
    abandon(flow, now);
    return;
  }
  markDirty(flow);
}

function retransmission(flow: Tcp, now: i64): void {
  const state = flow.state;
  if (state == <u8>abi.STATE_TIME_WAIT || state == <u8>abi.STATE_CONNECTING) {
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
    flow.rtoAt = now + LINK_WAIT;
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
  const shrunk = flow.sndWindow == 0 && flow.sndUna != flow.sndEnd;
  if (!shrunk && flow.retransmits >= 3 && now - flow.troubleAt >= GIVE_UP_DATA) {
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

/** When the flow's silence is next worth a look; 0 for states that have timers of their own. */
export function keepaliveStart(flow: Tcp, now: i64): void {
  const keepalive = <i64>config(abi.CONFIG_KEEPALIVE_SECONDS_OFFSET) * 1000000;
  const idle = <i64>config(abi.CONFIG_TCP_IDLE_SECONDS_OFFSET) * 1000000;
  flow.keepaliveAt = now + (keepalive > 0 ? min(keepalive, idle) : idle);
}

function silence(flow: Tcp, now: i64): void {
  if (flow.state < <u8>abi.STATE_ESTABLISHED || flow.state == <u8>abi.STATE_TIME_WAIT) {
    keepaliveStart(flow, now); // these states end by timers of their own
    return;
  }
  const keepalive = <i64>config(abi.CONFIG_KEEPALIVE_SECONDS_OFFSET) * 1000000;
  let idle = <i64>config(abi.CONFIG_TCP_IDLE_SECONDS_OFFSET) * 1000000;
  if (flow.state != <u8>abi.STATE_ESTABLISHED) idle = min(idle, HALF_CLOSED);
  const quiet = now - flow.lastActive;
  if (quiet >= idle) {
    abandon(flow, now);
    return;
  }
  let wait = idle - quiet;
  if (keepalive > 0 && quiet < keepalive) wait = min(wait, keepalive - quiet);
  else if (keepalive > 0) {
    if (<u32>flow.probes >= KEEPALIVE_PROBES) {
      abandon(flow, now);
      return;
    }
    flow.probes++;
    flow.flags |= P_KEEPALIVE;
    markDirty(flow);
    wait = min(wait, KEEPALIVE_INTERVAL);
  }
  flow.keepaliveAt = now + wait;
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
    silence(flow, now);
    if (flow.kind == 0 || flow.generation != generation) return;
  }
  tcpArm(flow);
}
