/**
 * When the guest is asked again: probe, retransmission and persist timer, all in `rtoAt`.
 *
 * Theory of operation
 *  While octets are in flight the timer runs from the last acknowledgment of something new. At
 *  first it is for a probe (RFC 8985 §7): after two round trips and PROBE_SLACK_US one segment goes
 *  out, so that the guest says what it has. A probe that is not answered is followed by another
 *  one after twice the time, up to PROBES_MAX in a row (as RFC 9002 §6.2 has it; RFC 8985 has
 *  one), and then by the timeout of RFC 6298, which takes everything for lost. Probes take the
 *  place of timeouts for what a guest's ring has dropped at the end of a burst, and for
 *  retransmissions that were lost. A single small segment may have its acknowledgment delayed, so
 *  it is left to the timeout.
 *
 *  While nothing is in flight silence is what counts; after `askSeconds` of it both ends are asked
 *  (`timers`).
 *
 * Limits: 3 probes of a segment each for every timeout.
 */
import * as abi from "../abi/index";
import { config } from "../memory";
import { SECOND_US } from "../timer";
import { AGAIN, boardFirst, pipeOf } from "./board";
import { F_PERSIST, has, Tcp, TIMER_PROBE, TIMER_RETRANSMIT } from "./conn";

const PROBES_MAX: u8 = 3;
/** For what a guest does not do at once; long enough for the loop's alarm (`loop/alarm`). */
const PROBE_SLACK_US: u32 = 3000;

/** Until a probe, microseconds; 0 = none is due, the timeout comes first. */
function probeWait(flow: Tcp): u32 {
  if (flow.srtt == 0 || flow.probesOut >= PROBES_MAX || flow.sndWindow == 0) return 0;
  if (flow.state < <u8>abi.STATE_ESTABLISHED) return 0;
  // RFC 8985 §7.2: the acknowledgment of a single segment may be delayed, of one sent again not.
  if (pipeOf(flow) <= flow.mss && boardFirst(flow, AGAIN) < 0) return 0;
  const wait = max(2 * flow.srtt, flow.srtt + 4 * flow.rttVariance) + PROBE_SLACK_US;
  const backedOff = (<u64>wait) << flow.probesOut;
  return backedOff < <u64>flow.rto ? <u32>backedOff : 0;
}

/** Starts the timer over, for what comes first. */
export function armRetransmit(flow: Tcp, now: i64): void {
  flow.flags &= ~F_PERSIST;
  const wait = probeWait(flow);
  flow.timer = wait > 0 ? TIMER_PROBE : TIMER_RETRANSMIT;
  flow.rtoAt = now + <i64>(wait > 0 ? wait : flow.rto);
}

/** Starts the retransmission timer when it is not running (RFC 6298 §5.1). */
export function startRetransmit(flow: Tcp, now: i64): void {
  if (flow.rtoAt != 0 && !has(flow, F_PERSIST)) return;
  armRetransmit(flow, now);
  if (flow.retransmits == 0) flow.troubleAt = now;
}

/** A single segment was out, and now more are: they need not wait for the timeout. */
export function hurryProbe(flow: Tcp, now: i64): void {
  if (flow.timer != TIMER_RETRANSMIT || flow.retransmits > 0 || has(flow, F_PERSIST)) return;
  const wait = probeWait(flow);
  if (wait == 0 || now + <i64>wait >= flow.rtoAt) return;
  flow.timer = TIMER_PROBE;
  flow.rtoAt = now + <i64>wait;
}

/** Starts the persist timer (RFC 9293 §3.8.6.1): the window is shut and nothing is in flight. */
export function startPersist(flow: Tcp, now: i64): void {
  if (has(flow, F_PERSIST)) return;
  flow.flags |= F_PERSIST;
  flow.persists = 0;
  // After a timeout the clock runs already: what was in flight no longer fits a shrunken window.
  if (flow.rtoAt == 0) flow.rtoAt = now + <i64>flow.rto;
}

/** Seconds of silence after which both ends of a connection are asked. */
export function askSeconds(): u32 {
  const keepalive = config(abi.CONFIG_KEEPALIVE_SECONDS_OFFSET);
  const idle = config(abi.CONFIG_TCP_IDLE_SECONDS_OFFSET);
  return keepalive > 0 ? min(keepalive, idle) : idle;
}

/** The same in microseconds. */
export function askAfter(): i64 {
  return <i64>askSeconds() * SECOND_US;
}

/** When the flow's silence is next worth a look. */
export function keepaliveStart(flow: Tcp, now: i64): void {
  flow.keepaliveAt = now + askAfter();
}
