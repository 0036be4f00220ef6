/**
 * The machine at the other end of the link: when it has gone, what becomes of what was its own.
 *
 * Theory of operation
 *   The host says when the link has lost its peer (`guestGone`). Whether that was the machine's end
 *   nobody can know yet: a QEMU that is told to connects again (`reconnect`), and one that takes a
 *   machine over on the same host (local migration) connects as soon as the old one lets go. So
 *   flows live on for GRACE_US, and the first frame of the next peer decides:
 *
 *     from a MAC address that was heard of lately   the machine is back: its flows stay, and each
 *                                                   connection is asked for (`tcpDoubt`), as the
 *                                                   next machine may have the same address
 *     from another one, or none within GRACE_US     the machine is gone: everything of it ends
 *
 *   A machine that is gone is forgotten at once: connections are reset towards the host's peers,
 *   sockets of UDP, DNS and ping are closed, payload is freed, neighbours and declined addresses
 *   are unlearnt. Sockets of published UDP ports are parked. So the next machine begins as the
 *   first one did, and none of its frames meets a flow of the old one.
 *
 *   A machine can also begin anew without leaving the link: it is reset, or crashes and boots. Its
 *   first word is then a DISCOVER or SOLICIT (`presenceDoubt`), which makes its connections
 *   doubtful, too, once in DOUBT_PAUSE_US. A client that merely asks again loses nothing by that:
 *   its kernel answers.
 *
 * Limits: GRACE_US 2 s; flows end as far as `flow/evict` has room, the rest with the next step.
 */
import * as abi from "./abi/index";
import { flowForget } from "./dispatch";
import { closeRoom } from "./flow/evict";
import { fragmentInit } from "./flow/fragment-context";
import { neighborInit, neighborKnows } from "./flow/neighbor";
import { peersInit } from "./flow/peers";
import { presenceDoubtTake } from "./flow/presence";
import { queriesInit } from "./flow/queries";
import { flowAt, flowsFresh } from "./flow/table";
import { whereInit } from "./flow/whereabouts";
import { dhcpInit } from "./local/dhcpv4";
import { dhcp6Init } from "./local/dhcpv6";
import { count } from "./stats";
import { tcpDoubt } from "./tcp/timers";
import { earlier, SECOND_US } from "./timer";

/** How long flows wait for their machine to come back, microseconds. */
const GRACE_US: i64 = 2 * SECOND_US;
const DOUBT_PAUSE_US: i64 = 10 * SECOND_US;

/** When the machine that has left is given up; 0 = none has left. */
let leavesAt: i64 = 0;
/** No doubt for a DISCOVER before this time. */
let doubtNext: i64 = 0;

export function guestInit(): void {
  leavesAt = 0;
  doubtNext = 0;
  presenceDoubtTake();
}

/** The link has no peer any more. Allowed between any two calls. */
export function guestGone(now: i64): void {
  if (leavesAt == 0) leavesAt = now + GRACE_US;
}

/** Whether the next frame is to be shown to `guestBack`. */
export function guestAway(): bool {
  return leavesAt != 0;
}

/** A frame has come although the machine had left. */
export function guestBack(mac: u64, now: i64): void {
  if (now < leavesAt && neighborKnows(mac)) {
    leavesAt = 0;
    tcpDoubt(now);
  } else forget();
}

/** Ends all that was the machine's; false = the rest has to wait for the next step. */
function forgetFlows(): bool {
  const slots = flowsFresh();
  for (let slot = 0; slot < slots; slot++) {
    const flow = flowAt(slot);
    if (flow.kind == <u8>abi.KIND_FREE) continue;
    if (closeRoom() == 0) return false;
    flowForget(flow);
  }
  return true;
}

function forget(): void {
  if (!forgetFlows()) return;
  leavesAt = 0;
  neighborInit();
  whereInit();
  queriesInit();
  fragmentInit();
  peersInit();
  dhcpInit();
  dhcp6Init();
  count(abi.STAT_GUESTS_GONE);
}

/** What is due of all this; no operation may be under way. */
export function guestTurn(now: i64): void {
  if (leavesAt != 0 && now >= leavesAt) forget();
  if (presenceDoubtTake() && now >= doubtNext) {
    doubtNext = now + DOUBT_PAUSE_US;
    tcpDoubt(now);
  }
}

/** When `guestTurn` has something to do; 0 = no deadline. */
export function guestNext(deadline: i64): i64 {
  return earlier(leavesAt, deadline);
}
