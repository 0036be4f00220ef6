/**
 * Neighbours: which MAC address an address of the guest network is at, by ARP or by neighbour
 * solicitation.
 *
 * Theory of operation
 *   Sixteen entries, searched one by one; at the bound the one heard of longest ago is replaced. An
 *   entry is confirmed by every frame its owner sends (`neighborLearn`). After a minute without one
 *   it is stale, but stays in use: the first `neighborFind` of a stale entry makes `neighborExpire`
 *   ask its owner by unicast, once a second, and forget the entry when three questions went
 *   unanswered (RFC 1122 §2.3.2.1 (2)). So traffic never waits for an address that is merely old,
 *   and a guest that is left alone is not disturbed. An entry nobody uses goes after 20 minutes.
 *
 *   An address without entry is asked for by broadcast, at most once a second each (RFC 1122
 *   §2.3.2.1); the open question occupies an entry whose MAC is 0.
 *
 *   Whoever has something for an address that is not known asks `neighborAwait` and keeps it while
 *   the answer is "wait": the question goes out ASKS_MAX times, a second apart. When nobody has
 *   answered a second after the last one, what waits is given up, and so is what comes within the
 *   next second; after that it begins anew. `neighborNews` tells that waiting may be over.
 *
 *   The guest's own address falls back to the MAC of the configuration, so an inbound flow need not
 *   wait for the guest to speak first.
 *
 *   An owner that leaves something unanswered is doubted (`neighborDoubt`) and asked, once a
 *   second, until it is heard of again. Which of its addresses a guest gets connections at is for
 *   `whereabouts` to say, which asks here who is known, who spoke last and how long a question is
 *   open. A question that was given up or forgotten leaves a mark on its version of IP, until
 *   somebody speaks from an address of that version.
 *
 * Contract: addresses as in `addresses`, MAC addresses in the low 48 bits, `now` in microseconds.
 * What is learnt has been judged by the caller (`local/arp`, `local/ndp`, `input4`, `input6`).
 * Source: RFC 826, RFC 1122 §2.3.2, RFC 4861 §7.2.2 and 7.3.
 */
import * as abi from "../abi/index";
import { CONFIG, CONTROL, config } from "../memory";
import { SECOND_US } from "../timer";
import { MAC_BROADCAST } from "../wire/addr";
import { address6IsLinkLocal } from "../wire/addr6";
import { loadMac } from "../wire/bytes";
import { addressMark, GUEST6, isIpv6, octetsOf } from "./addresses";
import { solicit } from "./solicit";

const ENTRY_COUNT: i32 = 16;
const STALE_AFTER_US: i64 = 60 * SECOND_US;
const UNUSED_MAX_US: i64 = 1200 * SECOND_US;
const POLLS_MAX: u32 = 3;
/** RFC 4861 §10, MAX_MULTICAST_SOLICIT; of ARP as well. */
const ASKS_MAX: u32 = 3;

@unmanaged
class Neighbor {
  /** 0 = the entry is free. */
  address: u32;
  /**
   * Questions asked since the entry was found stale (by unicast), or since somebody has waited for
   * the address (by broadcast).
   */
  polls: u32;
  /** 0 = asked for, not known yet. */
  mac: u64;
  /** When its owner was last heard of, or the entry made. */
  confirmed: i64;
  /** When it was last asked for; 0 = never. */
  requested: i64;
  /** Whether it was looked up since it became stale. */
  used: bool;
  /** Whether it has left something unanswered and was not heard of since. */
  doubted: bool;
  /** Somebody waits for the answer. */
  awaited: bool;
}

const ENTRY_SIZE: usize = 48;
const ENTRIES: usize = memory.data(<i32>(<usize>ENTRY_COUNT * ENTRY_SIZE), 16);

/** The last address of each version, not link-local, that was heard of beside the configured. */
let lastOther4: u32 = 0;
let lastOther6: u32 = 0;

/** A question of the version was never answered, and nobody has spoken from one since. */
let isUnanswered4: bool = false;
let isUnanswered6: bool = false;

/** Time of the last call that brought one; staleness needs no better. */
let clock: i64 = 0;
let nextCheck: i64 = 0;
/** Entries that somebody waits for, as far as known; whether waiting may be over for one. */
let awaitedCount: i32 = 0;
let isNews: bool = false;

function entryAt(index: i32): Neighbor {
  return changetype<Neighbor>(ENTRIES + <usize>index * ENTRY_SIZE);
}

/** Forgets everything. */
export function neighborInit(): void {
  memory.fill(ENTRIES, 0, <usize>ENTRY_COUNT * ENTRY_SIZE);
  clock = 0;
  nextCheck = 0;
  awaitedCount = 0;
  isNews = false;
  lastOther4 = 0;
  lastOther6 = 0;
  isUnanswered4 = false;
  isUnanswered6 = false;
}

/** Marks the addresses of all entries, see `addresses`. */
export function neighborMark(): void {
  for (let i = 0; i < ENTRY_COUNT; i++) addressMark(entryAt(i).address);
  addressMark(lastOther6);
}

/** The guest's configured address of a version. */
export function guestConfigured(six: bool): u32 {
  return six ? GUEST6 : config(abi.CONFIG_GUEST_ADDRESS_OFFSET);
}

/** The address of a version that was heard of last beside the configured one; 0 = none. */
export function neighborLastOther(six: bool): u32 {
  return six ? lastOther6 : lastOther4;
}

/**
 * Somebody has spoken from an address of the guest network: the host hears of it, and an address
 * beside the configured one is remembered. Link-local ones are nothing to connect to.
 */
function note(address: u32): void {
  if (!isIpv6(address)) {
    isUnanswered4 = false;
    if (address != config(abi.CONFIG_GUEST_ADDRESS_OFFSET)) lastOther4 = address;
  } else {
    if (address != GUEST6) {
      if (address6IsLinkLocal(octetsOf(address))) return;
      lastOther6 = address;
    }
    isUnanswered6 = false;
  }
  store<u32>(CONTROL + abi.CONTROL_HEARD_OFFSET, load<u32>(CONTROL + abi.CONTROL_HEARD_OFFSET) + 1);
}

function lookup(address: u32): Neighbor {
  for (let i = 0; i < ENTRY_COUNT; i++) {
    const entry = entryAt(i);
    if (entry.address == address) return entry;
  }
  return changetype<Neighbor>(0);
}

/** A zeroed entry for `address`: a free one, else the one heard of longest ago. */
function claim(address: u32, now: i64): Neighbor {
  let oldest = entryAt(0);
  for (let i = 0; i < ENTRY_COUNT; i++) {
    const entry = entryAt(i);
    if (entry.address == 0) {
      oldest = entry;
      break;
    }
    if (entry.confirmed < oldest.confirmed) oldest = entry;
  }
  if (oldest.awaited) isNews = true;
  memory.fill(changetype<usize>(oldest), 0, ENTRY_SIZE);
  oldest.address = address;
  oldest.confirmed = now;
  return oldest;
}

/** `address` has just spoken from `mac`, a unicast address. */
export function neighborLearn(address: u32, mac: u64, now: i64): void {
  if (address == 0 || mac == 0) return;
  clock = now;
  note(address);
  let entry = lookup(address);
  if (changetype<usize>(entry) == 0) entry = claim(address, now);
  // Who waits for one address of a guest may be led to another of its own (`whereabouts`).
  if (entry.awaited || (entry.mac == 0 && awaitedCount > 0)) isNews = true;
  entry.awaited = false;
  entry.mac = mac;
  entry.confirmed = now;
  entry.polls = 0;
  entry.used = false;
  entry.doubted = false;
}

/** Whether somebody at this MAC address has been heard of. */
export function neighborKnows(mac: u64): bool {
  for (let i = 0; i < ENTRY_COUNT; i++) {
    if (entryAt(i).address != 0 && entryAt(i).mac == mac) return true;
  }
  return false;
}

/** MAC address of a neighbour, or 0 while it is not known. */
export function neighborFind(address: u32): u64 {
  if (address == 0) return 0;
  const entry = lookup(address);
  if (changetype<usize>(entry) != 0 && entry.mac != 0) {
    if (clock - entry.confirmed > STALE_AFTER_US) entry.used = true;
    return entry.mac;
  }
  if (address != config(abi.CONFIG_GUEST_ADDRESS_OFFSET) && address != GUEST6) return 0;
  return loadMac(CONFIG + abi.CONFIG_GUEST_MAC_OFFSET);
}

/** Whether the address is at a known MAC whose owner leaves nothing unanswered. */
export function neighborKnown(address: u32): bool {
  const entry = lookup(address);
  if (changetype<usize>(entry) != 0 && entry.mac != 0) return !entry.doubted;
  return neighborFind(address) != 0; // the configured MAC
}

/** Whether the address's owner has been heard of: a configured MAC says nothing of that. */
export function neighborHeard(address: u32): bool {
  const entry = lookup(address);
  return changetype<usize>(entry) != 0 && entry.mac != 0;
}

/** The address of a version, not link-local, whose known owner spoke last; 0 = there is none. */
export function neighborLatest(six: bool): u32 {
  let found: u32 = 0;
  let latest: i64 = 0;
  for (let i = 0; i < ENTRY_COUNT; i++) {
    const entry = entryAt(i);
    const address = entry.address;
    if (address == 0 || entry.mac == 0 || entry.doubted || isIpv6(address) != six) continue;
    if (entry.confirmed <= latest || (six && address6IsLinkLocal(octetsOf(address)))) continue;
    latest = entry.confirmed;
    found = address;
  }
  return found;
}

/** Nobody has answered for the address, nor spoken from one of its version. */
function giveUp(address: u32): void {
  if (isIpv6(address)) isUnanswered6 = true;
  else isUnanswered4 = true;
}

/** Whether a question of the version was never answered, and nobody has spoken from one since. */
export function neighborUnanswered(six: bool): bool {
  return six ? isUnanswered6 : isUnanswered4;
}

/** How long nobody has answered for the address, microseconds; 0 = it was not asked for. */
export function neighborWaited(address: u32, now: i64): i64 {
  const entry = lookup(address);
  return changetype<usize>(entry) != 0 && entry.mac == 0 ? now - entry.confirmed : 0;
}

/**
 * Something sent to the address since `since` has found no answer: true = its owner has not been
 * heard of since then, is doubted from now on, and asked, by broadcast as it may have moved.
 */
export function neighborDoubt(address: u32, since: i64, now: i64): bool {
  const entry = lookup(address);
  if (changetype<usize>(entry) == 0 || entry.confirmed > since) return false;
  entry.doubted = true;
  if (entry.requested != 0 && now - entry.requested < SECOND_US) return true;
  if (solicit(address, MAC_BROADCAST)) entry.requested = now;
  return true;
}

/** Asks for an address by broadcast, without remembering it. */
export function neighborAsk(address: u32): void {
  solicit(address, MAC_BROADCAST);
}

/** Asks for an address by broadcast, unless that was done less than a second ago. */
export function neighborRequest(address: u32, now: i64): void {
  if (address == 0) return;
  clock = now;
  let entry = lookup(address);
  if (changetype<usize>(entry) == 0) entry = claim(address, now);
  if (entry.requested != 0 && now - entry.requested < SECOND_US) return;
  if (solicit(address, MAC_BROADCAST)) entry.requested = now;
}

/**
 * Something is there for an address that `neighborFind` does not know: true = it is asked for, keep
 * what there is; false = nobody answers, give it up.
 */
export function neighborAwait(address: u32, now: i64): bool {
  if (address == 0) return false;
  clock = now;
  let entry = lookup(address);
  if (changetype<usize>(entry) == 0) entry = claim(address, now);
  if (entry.polls >= ASKS_MAX && !entry.awaited) {
    if (now - entry.requested < 2 * SECOND_US) return false;
    entry.polls = 0;
  }
  if (entry.awaited) return true;
  entry.awaited = true;
  entry.confirmed = now;
  awaitedCount++;
  if (nextCheck > now + SECOND_US || nextCheck <= now) nextCheck = now + SECOND_US;
  askAwaited(entry, now);
  return true;
}

/** Asks once more for an address that is waited for, or gives up. */
function askAwaited(entry: Neighbor, now: i64): void {
  if (entry.requested != 0 && now - entry.requested < SECOND_US) return;
  if (entry.polls >= ASKS_MAX) {
    entry.awaited = false;
    isNews = true;
    giveUp(entry.address);
    return;
  }
  if (!solicit(entry.address, MAC_BROADCAST)) return;
  entry.requested = now;
  entry.polls++;
}

/** Whether waiting may be over for somebody since the last call. */
export function neighborNews(): bool {
  const was = isNews;
  isNews = false;
  return was;
}

/** When `neighborExpire` wants to be called for whoever waits; 0 = nobody does. */
export function neighborNext(): i64 {
  return awaitedCount > 0 ? nextCheck : 0;
}

/** Looks after one stale entry. */
function expire(entry: Neighbor, now: i64): void {
  const silent = now - entry.confirmed;
  if (silent <= STALE_AFTER_US) return;
  const unanswered = entry.polls >= POLLS_MAX && now - entry.requested >= SECOND_US;
  if (entry.mac == 0) giveUp(entry.address);
  if (entry.mac == 0 || unanswered || (!entry.used && silent > UNUSED_MAX_US)) {
    entry.address = 0;
    return;
  }
  if (!entry.used || (entry.requested != 0 && now - entry.requested < SECOND_US)) return;
  if (solicit(entry.address, entry.mac)) {
    entry.requested = now;
    entry.polls++;
  }
}

/** Ages the table; to be called whenever time has passed, does something once a second. */
export function neighborExpire(now: i64): void {
  clock = now;
  if (now < nextCheck) return;
  nextCheck = now + SECOND_US;
  awaitedCount = 0;
  for (let i = 0; i < ENTRY_COUNT; i++) {
    const entry = entryAt(i);
    if (entry.awaited) askAwaited(entry, now);
    else if (entry.address != 0) expire(entry, now);
    if (entry.awaited) awaitedCount++;
  }
}

if (offsetof<Neighbor>() > ENTRY_SIZE) ERROR("a neighbour does not fit its entry");
