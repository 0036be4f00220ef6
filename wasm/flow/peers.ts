/**
 * Who has spoken to the guest's UDP ports, and how: what an answer needs to leave as it was asked.
 *
 * Theory of operation
 *   A peer is known by what the guest's answer says: the guest's address and port, the peer's
 *   address as the guest sees it, and its port. Remembered are
 *
 *     its true address   of one the guest sees as the gateway: a process on the host's loopback, a
 *                        host whose address lies in the guest network; also of one whom the guest
 *                        may not reach of its own accord (`reach`)
 *     the address asked  of a port published on all addresses: the answer leaves from that one
 *     the socket asked   of a guest port that several host sockets lead to
 *
 *   Who needs none of this is not remembered. A peer is forgotten after the idle time of UDP.
 *
 *   Two tables of SET_COUNT sets by a keyed hash, WAY_COUNT peers each: programs of this host are
 *   in one, everybody else in the other, so that a crowd outside never pushes out a local client,
 *   whom nothing else leads back to. In a full set the one that was silent longest gives way. Of
 *   those outside only a part of the sets is used where few flows are allowed, as each may hold the
 *   number of an IPv6 address (`addresses`). A peer from outside that was forgotten is answered all
 *   the same, from the address that the host would choose.
 *
 *   Of two peers with one port that the guest sees as the gateway, the later gets the answers.
 *
 * Contract: `ports` = guest port << 16 | peer port; times in microseconds.
 * Source: RFC 1122 §4.1.3.5 (answers leave from the address asked), ip(7) IP_PKTINFO, RFC 3542 §6.
 */
import * as abi from "../abi/index";
import { config } from "../memory";
import { hashTuple } from "../prng";
import { SECOND_US, turnNow } from "../timer";
import { addressMark, GATEWAY6 } from "./addresses";
import { UDP_IDLE_DEFAULT_US } from "./kinds";
import { reachIsLocal } from "./reach";
import { flowsMax } from "./table";

const SET_COUNT: u32 = 512;
const WAY_COUNT: u32 = 16;
const PEER_SIZE: usize = 32;
const TABLE_SIZE: i32 = <i32>(SET_COUNT * WAY_COUNT * <u32>PEER_SIZE);
/** Of this host, then all others. */
const LOCAL: usize = memory.data(TABLE_SIZE, 16);
const OUTSIDE: usize = memory.data(TABLE_SIZE, 16);
/** Guest ports that somebody is remembered for or was: a bit each. */
const PORTS_SIZE: i32 = 8192;
/** From `ports` to the octet that has the guest port's bit. */
const PORT_OCTET_SHIFT: u32 = 16 + 3;
const OCTET_BITS: u32 = 7;
const PORTS: usize = memory.data(PORTS_SIZE, 8);
/** Flows allowed for each set of those outside, as a shift. */
const OUTSIDE_SHIFT: u32 = 5;
/** Units of `used`: 65.5 ms, which do not wrap for 8 years. */
const TICK: u8 = 16;
/** Hashed beside the tuple, so that no flow's bucket can be told from a peer's set. */
const HASH_KIND: u32 = 0x70656572;

@unmanaged
export class Peer {
  guest: u32;
  /** Its address as the guest sees it. */
  shown: u32;
  ports: u32;
  /** Its true address. */
  address: u32;
  /** Address of the host that it asked; 0 = the socket has but one, or it is not known. */
  asked: u32;
  /** Which of the sockets of the guest port. */
  spot: u32;
  /** When it was last heard of or answered, plus 1; 0 = the entry is free. */
  used: u32;
  /** Address of the guest that its flow is under, which need not be the one it sees. */
  owner: u32;
}

let isUsed: bool = false;
let setsOutside: u32 = 1;
/** The peer that was looked up last, which is mostly the next one too. */
let last: usize = OUTSIDE;

/** Forgets all; the limit of flows is known. */
export function peersInit(): void {
  if (isUsed) {
    memory.fill(LOCAL, 0, TABLE_SIZE);
    memory.fill(OUTSIDE, 0, TABLE_SIZE);
    memory.fill(PORTS, 0, PORTS_SIZE);
  }
  isUsed = false;
  setsOutside = 1;
  while (setsOutside < SET_COUNT && setsOutside << OUTSIDE_SHIFT < <u32>flowsMax) setsOutside <<= 1;
  last = OUTSIDE;
}

function tick(now: i64): u32 {
  return <u32>(now >> TICK) + 1;
}

function matches(p: usize, guest: u32, shown: u32, ports: u32): bool {
  const peer = changetype<Peer>(p);
  return peer.ports == ports && peer.shown == shown && peer.guest == guest && peer.used != 0;
}

function setOf(guest: u32, shown: u32, ports: u32): usize {
  const hash = hashTuple(HASH_KIND, guest, shown, ports);
  const isLocal =
    shown == config(abi.CONFIG_GATEWAY_ADDRESS_OFFSET) || shown == GATEWAY6 || reachIsLocal(shown);
  const set = hash & ((isLocal ? SET_COUNT : setsOutside) - 1);
  return (isLocal ? LOCAL : OUTSIDE) + <usize>(set * WAY_COUNT) * PEER_SIZE;
}

function locate(set: usize, guest: u32, shown: u32, ports: u32): usize {
  for (let p = set; p < set + <usize>WAY_COUNT * PEER_SIZE; p += PEER_SIZE) {
    if (matches(p, guest, shown, ports)) return p;
  }
  return 0;
}

/** A free place in the set, else that of the peer that was silent longest. */
function place(set: usize): usize {
  let oldest = set;
  for (let p = set; p < set + <usize>WAY_COUNT * PEER_SIZE; p += PEER_SIZE) {
    if (changetype<Peer>(p).used < changetype<Peer>(oldest).used) oldest = p;
  }
  return oldest;
}

function isStale(peer: Peer, now: i64): bool {
  const seconds = config(abi.CONFIG_UDP_TIMEOUT_SECONDS_OFFSET);
  const idle = seconds == 0 ? UDP_IDLE_DEFAULT_US : <i64>seconds * SECOND_US;
  return tick(now) - peer.used > <u32>(idle >> TICK);
}

/** The entry of a peer that has just sent to the guest; `address` is left to the caller. */
export function peerRemember(guest: u32, shown: u32, ports: u32, now: i64): Peer {
  let p = last;
  if (!matches(p, guest, shown, ports)) {
    const set = setOf(guest, shown, ports);
    p = locate(set, guest, shown, ports);
    if (p == 0) {
      p = place(set);
      isUsed = true;
      const fresh = changetype<Peer>(p);
      fresh.guest = guest;
      fresh.shown = shown;
      fresh.ports = ports;
      const byte = PORTS + <usize>(ports >>> PORT_OCTET_SHIFT);
      store<u8>(byte, load<u8>(byte) | <u8>((<u32>1) << ((ports >>> 16) & OCTET_BITS)));
    }
    last = p;
  }
  const peer = changetype<Peer>(p);
  peer.used = tick(now);
  return peer;
}

/** Whether anybody is or was remembered for this guest port: one look, as every datagram asks. */
export function peersHave(ports: u32): bool {
  const bits = <u32>load<u8>(PORTS + <usize>(ports >>> PORT_OCTET_SHIFT));
  return ((bits >>> ((ports >>> 16) & OCTET_BITS)) & 1) != 0;
}

/** Whom the guest answers, or null: nobody of whom something is remembered. */
export function peerFind(guest: u32, shown: u32, ports: u32, now: i64): Peer {
  if (!peersHave(ports)) return changetype<Peer>(0);
  let p = last;
  if (!matches(p, guest, shown, ports)) {
    p = locate(setOf(guest, shown, ports), guest, shown, ports);
    if (p == 0) return changetype<Peer>(0);
    last = p;
  }
  const peer = changetype<Peer>(p);
  if (isStale(peer, now)) {
    peer.used = 0;
    return changetype<Peer>(0);
  }
  peer.used = tick(now);
  return peer;
}

/** Marks the addresses of all peers, see `addresses`. */
export function peersMark(): void {
  if (!isUsed) return;
  for (let p = LOCAL; p < LOCAL + TABLE_SIZE; p += PEER_SIZE) mark(changetype<Peer>(p));
  for (let p = OUTSIDE; p < OUTSIDE + TABLE_SIZE; p += PEER_SIZE) mark(changetype<Peer>(p));
}

function mark(peer: Peer): void {
  if (peer.used == 0) return;
  if (isStale(peer, turnNow)) {
    peer.used = 0;
    return;
  }
  addressMark(peer.guest);
  addressMark(peer.shown);
  addressMark(peer.address);
  addressMark(peer.asked);
  addressMark(peer.owner);
}

if (offsetof<Peer>() != PEER_SIZE) ERROR("a peer has another size");
