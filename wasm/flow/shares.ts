/**
 * Shares: who may have how much of what is bounded, what is kept for whom, and who gives way.
 *
 * Theory of operation
 *   A bound alone does not protect: whoever fills a table first has it. So each bounded thing has a
 *   rule for when it is short. The parties to it are the guest's own TCP (SHARE_GUEST), TCP from
 *   outside to published ports (SHARE_OUTSIDE), UDP and ping (SHARE_DATAGRAM), DNS (SHARE_DNS), and
 *   what steers the program: hooks, signals, the administrator (`hooks/calls`, `config/limits`; the
 *   whole table is in docs/security.md).
 *
 *   Flow slots, and with them host descriptors; N = CONFIG_FLOWS_MAX:
 *
 *     share      kept for it   at most   within the share, who gives way first
 *     GUEST      N/4           the rest  oldest of the half-open if N/16 or more, `parties`,
 *                                        then who has been opening for a second
 *     OUTSIDE    N/16          N/2       the same
 *     DATAGRAM   N/8           the rest  what would time out first
 *     DNS        N/16          N/4       oldest
 *     PUBLISHED  N/16          N/2       oldest; what it loses is its flow, not its socket
 *     REST       -             the rest  oldest TIME-WAIT; it gives way to everybody
 *
 *   A slot that is kept for a share is given to nobody else, so a share that has less than is kept
 *   for it always finds one; for PUBLISHED never more is kept than UDP ports are published. Beyond
 *   that slots are free for all; when there are none left, the
 *   share that is furthest beyond what is kept for it gives way, the asking one included; where
 *   none is beyond, the asking one. Half-open connections are a quarter of the table at most, for
 *   each direction by itself. A connection that
 *   gives way is reset on both sides and counted (STAT_TCP_GAVE_WAY). Where nobody may be evicted,
 *   the newcomer is refused, counted, and told.
 *
 *   Payload, in chunks of 16 KiB: `tcp/pressure` and `flow/holders` for what the guest has sent
 *   and nobody takes, `tcp/upstream` for what is on its way to the guest.
 *
 *     An eighth of the pool is kept for flows that hold less than two chunks: everybody can go on.
 *     Beyond that a flow holds at most half of what is free then (so n greedy ones leave 2/(n+2)).
 *     What uploads hold is not acknowledged yet: it is given back first, longest without progress
 *     before all others, and connections from outside hold half of it at most.
 *     Downloads leave their data in the kernel's socket when their share is spent.
 *     While memory is short all the same, whoever has held payload for 20 s without progress is
 *     ended, longest first, four a second.
 *
 *   The rest, each at the file that owns it:
 *
 *     IPv6 addresses     flow/addresses     twice the flows; a sweep frees what nobody uses
 *     neighbours         flow/neighbor      16; who was heard of longest ago gives way
 *     peers of UDP ports flow/peers         8,192 of this host, 8,192 others; silent longest
 *     fragments          flow/fragments     8 datagrams; the first to time out gives way
 *     ICMP errors        flow/error-limit   100 a second; what exceeds it is dropped
 *     DNS queries        flow/queries       512; the longest without a word is relayed unseen
 *     frames, operations ring               a turn's worth; the flow stays dirty and comes again
 *
 * Contract: `admit` before `flowAllocate`.
 */
import { Flow } from "../layout";
import { count } from "../stats";
import { SECOND_US, turnNow } from "../timer";
import { CHECKED } from "../trap";
import { closeRoom, evictFlow } from "./evict";
import {
  evictedStat,
  idleLimit,
  LIST_ARRIVING,
  LIST_DNS,
  LIST_HALF_OPEN,
  LIST_PING,
  LIST_PUBLISHED,
  LIST_TIME_WAIT,
  LIST_UDP,
  SHARE_DATAGRAM,
  SHARE_DNS,
  SHARE_GUEST,
  SHARE_OUTSIDE,
  SHARE_PUBLISHED,
  SHARE_REST,
} from "./kinds";
import { ownUdpPorts } from "./own";
import { partyIdle, partyVictim } from "./parties";
import { flowsMax, flowsUsed, isNone, listOldest, listSize, shareUsed } from "./table";

/** Shares that something is kept for: all but the last. */
const KEEPING: u8 = 5;
/** A connection that has been opening for so long, microseconds, may give way. */
const OPENING_SLOW_US: i64 = SECOND_US;
/** Whatever the table's size. */
const HALF_OPEN_MIN: i32 = 4;
/** Parts of the table that may be opening before one of them gives way: 1/16, to others 1/8. */
const OPENING_SHIFT_OWN: i32 = 4;
const OPENING_SHIFT: i32 = 3;
/** Connections in TIME-WAIT that one newcomer may cost. */
const EVICTIONS_MAX: i32 = 1024;

/** Slots kept for a share. */
export function shareKept(share: u8): i32 {
  if (share == SHARE_GUEST) return flowsMax >> 2;
  if (share == SHARE_DATAGRAM) return flowsMax >> 3;
  if (share == SHARE_PUBLISHED) return min(flowsMax >> 4, ownUdpPorts);
  return share == SHARE_OUTSIDE || share == SHARE_DNS ? flowsMax >> 4 : 0;
}

/** Slots a share may have at most. */
export function shareMost(share: u8): i32 {
  if (share == SHARE_OUTSIDE || share == SHARE_PUBLISHED) return flowsMax >> 1;
  return share == SHARE_DNS ? flowsMax >> 2 : flowsMax;
}

/** Half-open connections of one direction at most. */
export function halfOpenMost(): i32 {
  return max(flowsMax >> 2, HALF_OPEN_MIN);
}

/** Whether a slot is free that is not kept for another share. */
function isFree(share: u8): bool {
  let kept = 0;
  for (let other: u8 = 0; other < KEEPING; other++) {
    if (other != share) kept += max(shareKept(other) - shareUsed(other), 0);
  }
  return flowsMax - flowsUsed > kept;
}

/** Of UDP and ping flows the one that would time out first, or none. */
function datagramVictim(): Flow {
  const udp = listOldest(LIST_UDP);
  const ping = listOldest(LIST_PING);
  if (isNone(udp)) return ping;
  if (isNone(ping)) return udp;
  const first = ping.lastActive + idleLimit(ping.kind) <= udp.lastActive + idleLimit(udp.kind);
  return first ? ping : udp;
}

/** Who of `share` gives way to a flow of `asking` with the host address `address`; or none. */
function victimOf(share: u8, asking: u8, address: u32): Flow {
  if (share == SHARE_DATAGRAM) return datagramVictim();
  if (share == SHARE_DNS) return listOldest(LIST_DNS);
  if (share == SHARE_PUBLISHED) return listOldest(LIST_PUBLISHED);
  if (share > SHARE_OUTSIDE) return changetype<Flow>(0);
  const list = share == SHARE_OUTSIDE ? LIST_ARRIVING : LIST_HALF_OPEN;
  const opening = listOldest(list);
  if (listSize(list) >= flowsMax >> (share == asking ? OPENING_SHIFT_OWN : OPENING_SHIFT))
    return opening;
  const flow = share == asking ? partyVictim(share, address, turnNow) : partyIdle(share, turnNow);
  const slow = !isNone(opening) && turnNow - opening.lastActive >= OPENING_SLOW_US;
  return isNone(flow) && slow ? opening : flow;
}

/** Ends a flow so that another may have its slot; false = it is none. */
function evict(victim: Flow): bool {
  if (isNone(victim)) return false;
  count(evictedStat(victim));
  const before = flowsUsed;
  evictFlow(victim, turnNow);
  if (CHECKED) assert(flowsUsed == before - 1, "who gives way is gone");
  return true;
}

/** The share that is furthest beyond what is kept for it, of those not in `tried`; or KEEPING. */
function furthest(tried: u32): u8 {
  let found = KEEPING;
  let most = 0;
  for (let share: u8 = 0; share < KEEPING; share++) {
    const beyond = shareUsed(share) - shareKept(share);
    if ((tried & (1 << share)) != 0 || beyond <= most) continue;
    most = beyond;
    found = share;
  }
  return found;
}

/**
 * Has a flow that owns a host socket give way to one of `asking`; false = none may be evicted.
 * `passedOver` = shares that nobody is taken from, a bit each.
 */
function makeSocketRoom(asking: u8, address: u32, passedOver: u32 = 0): bool {
  if (closeRoom() == 0) return false;
  let tried = passedOver;
  for (let share = furthest(tried); share < KEEPING; share = furthest(tried)) {
    if (evict(victimOf(share, asking, address))) return true;
    tried |= 1 << share;
  }
  if ((tried & (1 << asking)) != 0 || asking >= KEEPING) return false;
  return evict(victimOf(asking, asking, address));
}

/**
 * The same where the host is short of sockets, whatever slots there are: then flows that a share is
 * kept for give way, too, and those of published ports do not, as their sockets stay.
 */
export function makeDescriptorRoom(asking: u8, address: u32): bool {
  if (makeSocketRoom(asking, address, 1 << SHARE_PUBLISHED)) return true;
  if (closeRoom() == 0) return false;
  for (let share = SHARE_PUBLISHED; share > 0; share--) {
    if (evict(victimOf(share - 1, asking, address))) return true;
  }
  return false;
}

/** Has somebody give way to nobody, since the table has become smaller; false = nobody may. */
export function giveWay(): bool {
  const waiting = listOldest(LIST_TIME_WAIT);
  if (isNone(waiting) || closeRoom() == 0) return makeSocketRoom(SHARE_REST, 0);
  return evict(waiting);
}

/**
 * Sees to a slot for one more flow of `share`, whose host address is `address` (0 = does not
 * matter); false = there is none, and nobody gives way.
 */
export function admit(share: u8, address: u32): bool {
  if (shareUsed(share) >= shareMost(share)) {
    return closeRoom() > 0 && evict(victimOf(share, share, address));
  }
  // A connection in TIME-WAIT is of no share: its slot may be one that is kept for its old one, so
  // that several have to go until one is free for this share.
  for (let i = 0; !isFree(share) && closeRoom() > 0; i++) {
    const waiting = listOldest(LIST_TIME_WAIT);
    if (i == EVICTIONS_MAX || isNone(waiting)) break;
    evict(waiting);
  }
  return isFree(share) || (makeSocketRoom(share, address) && isFree(share));
}
