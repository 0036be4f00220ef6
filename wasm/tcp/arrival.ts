/**
 * Connections from outside: which address of the guest our SYN goes to, and what a refusal or
 * silence leads to.
 *
 * Theory of operation
 *   The host has accepted the connection already, so its client waits for something that is there
 *   or for a reset. It gets one or the other soon:
 *
 *     the guest refuses (RST,       its address of the other version of IP is tried, unless that
 *       port unreachable)           has refused, too: a client that says "localhost" comes by ::1,
 *                                   and most services listen on IPv4 only
 *     nobody has the address        once it is silent (`guestIsSilent`) the other version if its
 *                                   address is known; the question stays open, so the next
 *                                   connection goes there at once; after ANSWER_MAX_US without
 *                                   either a reset
 *     a SYN is not answered         sent again after 1, 3, 7, 15 s. An owner not heard of since the
 *                                   connection came is doubted and asked by ARP or NDP: silent
 *                                   still, the other version or another address is tried, and
 *                                   after ANSWER_MAX_US the end is a reset. One that is there has
 *                                   until GIVE_UP_ARRIVAL_US
 *
 *   With the version changes who the guest sees: a client of the other version is the gateway, as
 *   those are that the guest could not answer otherwise. So a SYN that is merely lost does not lead
 *   to it where the guest sees the client's own address.
 *
 *   A rule with an address of its own (ARRIVAL_FIXED) leads to that one and nowhere else.
 *
 *   GIVE_UP_ARRIVAL_US departs from RFC 9293 MUST-23 (three minutes for a SYN): the client behind
 *   has an open connection, and would wait all that time for nothing.
 */
import * as abi from "../abi/index";
import { isIpv6 } from "../flow/addresses";
import { isOwnAddress } from "../flow/emit";
import { enterState, SHARE_OUTSIDE } from "../flow/kinds";
import {
  neighborDoubt,
  neighborFind,
  neighborKnown,
  neighborRequest,
  neighborWaited,
} from "../flow/neighbor";
import { shownTo } from "../flow/send";
import { flowFind, flowRename, handleOf, isNone, markDirty } from "../flow/table";
import {
  ASK_PATIENCE_US,
  guestAddress,
  guestIsSilent,
  guestRequest,
  guestServed,
} from "../flow/whereabouts";
import { count, drop } from "../stats";
import { MILLISECOND_US, SECOND_US } from "../timer";
import { F_SOCKET, P_SYN, RTO_MAX_US, Tcp, tcpArm, tcpReset, tcpRestart, tcpSetMss } from "./conn";
import { keepaliveStart } from "./deadline";
import { sendReset } from "./emit";
import { tcpEnd } from "./ending";
import { allocate } from "./open";

/** Bits of `arrival`. */
const ARRIVAL_FIXED: u8 = 1;
const REFUSED_FOUR: u8 = 2;
const REFUSED_SIX: u8 = 4;

/** While nobody is known to have the guest's address, it is looked at again this soon. */
const NEIGHBOR_RETRY_US: i64 = 100 * MILLISECOND_US;
/** Silence of the guest as a whole for so long is the end: within three seconds. */
const ANSWER_MAX_US: i64 = 2900 * MILLISECOND_US;
const GIVE_UP_ARRIVAL_US: i64 = 31 * SECOND_US;
/** Ports looked at for a client that looks like another one to the guest. */
const PORT_TRIES: i32 = 64;
const PORT_MAX: u32 = 65535;
const PORT_UNPRIVILEGED: u32 = 1024;

function refusalOf(six: bool): u8 {
  return six ? REFUSED_SIX : REFUSED_FOUR;
}

/** A port of the client's that no other connection of this look has; 0 = none is to be had. */
function portFor(guest: u32, guestPort: u32, peer: u32, clientPort: u32): u32 {
  let port = clientPort; // two loopback clients may look alike to the guest
  for (let tries = 0; tries < PORT_TRIES; tries++) {
    if (isNone(flowFind(abi.KIND_TCP, guest, peer, (guestPort << 16) | port))) return port;
    port = port >= PORT_MAX ? PORT_UNPRIVILEGED : port + 1;
  }
  return 0;
}

/** The guest's address of a version if that may still be tried; 0 = it may not. */
function candidate(flow: Tcp, six: bool): u32 {
  if ((flow.arrival & (ARRIVAL_FIXED | refusalOf(six))) != 0 || !guestServed(six)) return 0;
  return guestAddress(six);
}

/** Which address to try while the present one is not known. */
function choose(flow: Tcp, now: i64): u32 {
  const six = isIpv6(flow.hostAddress);
  const own = candidate(flow, six);
  const other = candidate(flow, !six);
  if (own == 0) return other == 0 ? flow.guestAddress : other;
  if (other == 0 || neighborKnown(own) || !neighborKnown(other)) return own;
  return neighborFind(own) != 0 || guestIsSilent(own, now) ? other : own;
}

/** Lets the connection go to `address`; false = the guest could not tell it from another one. */
function aim(flow: Tcp, address: u32, now: i64): bool {
  if (address == flow.guestAddress) return true;
  const guestPort = <u32>flow.guestPort;
  const peer = shownTo(address, flow.hostAddress);
  const port = portFor(address, guestPort, peer, flow.hostPort);
  if (port == 0) return false;
  flowRename(flow, address, peer, (guestPort << 16) | port);
  tcpRestart(flow, now);
  tcpSetMss(flow, -1);
  return true;
}

/**
 * A host connection to a published port, its socket already open. `guest` = the address it leads
 * to, 0 = the guest's of the client's version, or of the other one. The guest sees the client's own
 * address and port where it could answer that one, else the gateway's. Returns the handle, 0 =
 * there is no room.
 */
export function tcpInbound(
  guestPort: u32,
  client: u32,
  clientPort: u32,
  guest: u32,
  now: i64,
): u32 {
  const six = isIpv6(client);
  const isFixed = guest != 0;
  if (!isFixed) guest = guestAddress(guestServed(six) ? six : !six);
  const peer = shownTo(guest, client);
  const port = portFor(guest, guestPort, peer, clientPort);
  const flow =
    port == 0
      ? changetype<Tcp>(0)
      : allocate(SHARE_OUTSIDE, client, guest, peer, (guestPort << 16) | port);
  if (isNone(flow)) {
    count(abi.STAT_OUTSIDE_REFUSED);
    return 0;
  }
  tcpReset(flow, now);
  enterState(flow, abi.STATE_SYN_SENT);
  flow.flags |= F_SOCKET;
  flow.arrival = isFixed ? ARRIVAL_FIXED : 0;
  flow.hostAddress = client;
  flow.hostPort = <u16>clientPort;
  tcpSetMss(flow, -1);
  flow.troubleAt = now;
  keepaliveStart(flow, now);
  // Where it finds no port of its own at a better address, the first one is good enough.
  if (!isFixed) aim(flow, choose(flow, now), now);
  synSend(flow, now);
  tcpArm(flow);
  return handleOf(flow);
}

/** Sends our SYN, or asks who has the guest's addresses first. */
function synSend(flow: Tcp, now: i64): void {
  const address = flow.guestAddress;
  flow.guestMac = neighborFind(address);
  if (flow.guestMac != 0) {
    flow.rtoAt = now + <i64>flow.rto;
    flow.flags |= P_SYN;
    markDirty(flow);
  } else flow.rtoAt = now + NEIGHBOR_RETRY_US;
  askOthers(flow, now);
}

/** Asks for those of the guest's addresses that may be tried and are not known. */
function askOthers(flow: Tcp, now: i64): void {
  if ((flow.arrival & ARRIVAL_FIXED) != 0) {
    if (flow.guestMac == 0) neighborRequest(flow.guestAddress, now);
    return;
  }
  const six = isIpv6(flow.hostAddress);
  const own = candidate(flow, six);
  if (own == 0 || neighborFind(own) != 0) {
    if (flow.guestMac == 0) guestRequest(!six, now);
    return;
  }
  guestRequest(six, now);
  const other = candidate(flow, !six);
  if (other != 0 && neighborFind(other) == 0) guestRequest(!six, now);
}

/** The client hears that there is nothing. */
function end(flow: Tcp, now: i64): void {
  if (flow.guestMac != 0) sendReset(flow, now);
  tcpEnd(flow, true);
}

/** The guest will not have the connection at this address. */
export function arrivalRefused(flow: Tcp, now: i64): void {
  const six = isIpv6(flow.guestAddress);
  flow.arrival |= refusalOf(six);
  const other = candidate(flow, !six);
  const isSilent =
    other != 0 && neighborFind(other) == 0 && neighborWaited(other, now) >= ASK_PATIENCE_US;
  if (other == 0 || isSilent || !aim(flow, other, now)) {
    tcpEnd(flow, true);
    return;
  }
  synSend(flow, now);
  tcpArm(flow);
}

/** Nobody is known to have the address: whoever is found first gets the SYN. */
function unresolved(flow: Tcp, now: i64): void {
  drop(abi.DROP_NEIGHBOR);
  const next = choose(flow, now);
  const refused = (flow.arrival & (REFUSED_FOUR | REFUSED_SIX)) != 0;
  const isLate =
    now - flow.troubleAt >= ANSWER_MAX_US ||
    (refused && neighborWaited(next, now) >= ASK_PATIENCE_US);
  if (isLate || !aim(flow, next, now)) {
    end(flow, now);
    return;
  }
  synSend(flow, now);
}

/** Where the SYN goes next, the last one not being answered; `isDoubted`: nor is anything else. */
function turn(flow: Tcp, isDoubted: bool): u32 {
  const six = isIpv6(flow.guestAddress);
  const other = candidate(flow, !six);
  const isHidden = isDoubted || isOwnAddress(flow.peerAddress);
  if (isHidden && other != 0 && neighborKnown(other)) return other;
  const own = candidate(flow, six);
  return own == 0 ? flow.guestAddress : own;
}

/** Nothing has come of the SYN for its time. */
export function arrivalTimeout(flow: Tcp, now: i64): void {
  const waited = now - flow.troubleAt;
  const isDoubted = neighborDoubt(flow.guestAddress, flow.troubleAt, now);
  if (waited >= GIVE_UP_ARRIVAL_US || (isDoubted && waited >= ANSWER_MAX_US)) {
    end(flow, now);
    return;
  }
  if (flow.guestMac == 0) {
    unresolved(flow, now);
    return;
  }
  if (flow.retransmits < u8.MAX_VALUE) flow.retransmits++;
  const rto = min(flow.rto << 1, RTO_MAX_US);
  const before = flow.guestAddress;
  if (!aim(flow, turn(flow, isDoubted), now)) {
    end(flow, now);
    return;
  }
  flow.rto = rto;
  synSend(flow, now);
  if (isDoubted && before == flow.guestAddress) {
    flow.rtoAt = min(flow.rtoAt, flow.troubleAt + ANSWER_MAX_US);
  }
}
