/**
 * At which of its addresses a guest gets what comes in by published ports, and asking for it while
 * nobody has been heard of.
 *
 * Theory of operation
 *   A guest has the configured address of each version (DHCP gives it, DHCPv6 too), or one of its
 *   own: set by hand, made by SLAAC, or several. What counts, for each version by itself:
 *
 *     1. the configured address, while its owner is known and leaves nothing unanswered
 *     2. else the one chosen last, on the same terms: a guest with several addresses, or one that
 *        claims many, does not have its connections scattered
 *     3. else the one whose owner spoke last
 *     4. nobody is known: the one heard of last beside the configured one if there ever was one,
 *        else the configured one; both are asked for
 *
 *   A guest that moves from one address to another is found at the new one as soon as the old one
 *   has left a SYN unanswered for a second (`neighborDoubt`). Who claims addresses can mislead his
 *   own connections only: all owners are on the guest's side of the link.
 *
 *   What comes in over one version of IP goes to the guest's address of the other one where nobody
 *   has answered for its own for ASK_PATIENCE_US, and the other's owner has spoken
 *   (`guestReached`).
 *
 *   While the host says that it has not heard of a guest (CONFIG_FLAG_ASK_GUEST), its addresses are
 *   asked for at once, then every second, after ASKS_QUICK of these every five. A guest that never
 *   speaks unasked, a namespace without IPv6, is found so; one that has no address yet is not
 *   disturbed much. One that has set an address by hand and only listens is found by asking for all
 *   of its network once nobody answers, the 256 addresses around the configured one at most:
 *   SWEEP_STEP of them ten times a second, after every second question. Of IPv6 there are too many.
 *
 * Contract: addresses as in `addresses`, `now` in microseconds.
 */
import * as abi from "../abi/index";
import { config } from "../memory";
import { MILLISECOND_US, SECOND_US } from "../timer";
import { addressMark, isIpv6 } from "./addresses";
import { natIsGuest } from "./nat";
import {
  guestConfigured,
  neighborAsk,
  neighborHeard,
  neighborKnown,
  neighborLastOther,
  neighborLatest,
  neighborRequest,
  neighborUnanswered,
  neighborWaited,
} from "./neighbor";

const ASKS_QUICK: i32 = 10;
const ASK_LATER_US: i64 = 5 * SECOND_US;

/** So long is waited for an address of the client's version before the other is tried. */
export const ASK_PATIENCE_US: i64 = 250 * MILLISECOND_US;

/** The address beside the configured one that was chosen last; 0 = none. */
let chosen4: u32 = 0;
let chosen6: u32 = 0;

const SWEEP_SIZE: u32 = 256;
const SWEEP_STEP: u32 = 32;
const SWEEP_PAUSE_US: i64 = 100 * MILLISECOND_US;
/** Questions before each sweep. */
const SWEEP_EVERY: i32 = 2;

/** When to ask next; 0 = at once. */
let askAt: i64 = 0;
let asks: i32 = 0;
/** The next address of the sweep under way; SWEEP_SIZE = there is none. */
let sweepAt: u32 = SWEEP_SIZE;

export function whereInit(): void {
  chosen4 = 0;
  chosen6 = 0;
  rest();
}

/** Nobody is asked for: the next question is a first one. */
function rest(): void {
  askAt = 0;
  asks = 0;
  sweepAt = SWEEP_SIZE;
}

/** Marks the addresses remembered here, see `addresses`. */
export function whereMark(): void {
  addressMark(chosen6);
}

/** Whether the version of IP is served. */
export function guestServed(six: bool): bool {
  const flags = config(abi.CONFIG_FLAGS_OFFSET);
  if (six) return (flags & abi.CONFIG_FLAG_IPV6) != 0;
  return (flags & abi.CONFIG_FLAG_NO_IPV4) == 0;
}

/** The guest's address of a version that is served. */
export function guestAddress(six: bool): u32 {
  const configured = guestConfigured(six);
  if (neighborKnown(configured)) return configured;
  let chosen = six ? chosen6 : chosen4;
  if (chosen == 0 || !neighborKnown(chosen)) {
    chosen = neighborLatest(six);
    if (chosen == configured) return configured;
    if (chosen != 0) {
      if (six) chosen6 = chosen;
      else chosen4 = chosen;
    }
  }
  if (chosen != 0) return chosen;
  const other = neighborLastOther(six);
  return other != 0 ? other : configured;
}

/** Whether nobody has answered for the address for so long that the other version is tried. */
export function guestIsSilent(address: u32, now: i64): bool {
  return neighborUnanswered(isIpv6(address)) || neighborWaited(address, now) >= ASK_PATIENCE_US;
}

/**
 * Who gets what comes in for `address`, an address of the guest: its own of the other version of IP
 * where `address` is silent or of a version that is not served, and the other's owner has been
 * heard of.
 */
export function guestReached(address: u32, now: i64): u32 {
  const six = isIpv6(address);
  if (neighborHeard(address) || !guestServed(!six)) return address;
  const other = guestAddress(!six);
  if (!neighborHeard(other)) return address;
  if (!guestServed(six)) return other;
  guestRequest(six, now); // its owner may be known by the next time
  return guestIsSilent(address, now) ? other : address;
}

/** Asks for the addresses of a version that the guest may have, at most once a second each. */
export function guestRequest(six: bool, now: i64): void {
  neighborRequest(guestConfigured(six), now);
  const other = neighborLastOther(six);
  if (other != 0) neighborRequest(other, now);
}

/** Whether the host wants the guest asked for. */
function isAsked(): bool {
  return (config(abi.CONFIG_FLAGS_OFFSET) & abi.CONFIG_FLAG_ASK_GUEST) != 0;
}

/** When `whereTimeout` wants to be called, absolute microseconds; 0 = never. */
export function whereNext(): i64 {
  return isAsked() ? max<i64>(askAt, 1) : 0;
}

/** Asks for a guest that nobody has heard of, when it is time; to be called in every step. */
export function whereTimeout(now: i64): void {
  if (!isAsked()) {
    rest();
    return;
  }
  if (now < askAt) return;
  if (sweepAt < SWEEP_SIZE) {
    sweep();
    askAt = now + (sweepAt < SWEEP_SIZE ? SWEEP_PAUSE_US : pause());
    return;
  }
  if (guestServed(false)) guestRequest(false, now);
  if (guestServed(true)) guestRequest(true, now);
  asks++;
  askAt = now + pause();
  if (!guestServed(false) || asks % SWEEP_EVERY != 0) return;
  sweepAt = 0;
  askAt = now + SWEEP_PAUSE_US;
}

/** From one question to the next. */
function pause(): i64 {
  return asks < ASKS_QUICK ? SECOND_US : ASK_LATER_US;
}

/** Asks for the next addresses around the configured one. */
function sweep(): void {
  const configured = guestConfigured(false);
  const end = sweepAt + SWEEP_STEP;
  for (; sweepAt < end; sweepAt++) {
    const address = (configured & ~(SWEEP_SIZE - 1)) | sweepAt;
    if (address != configured && natIsGuest(address)) neighborAsk(address);
  }
}
