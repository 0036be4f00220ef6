/**
 * Parties: established connections by who is at their far end, to tell a crowd from a single guest.
 *
 * Theory of operation
 *   A party is an address of IPv4, or a network of 64 bits of IPv6 (whoever has one address of it
 *   can have them all), and a share (SHARE_GUEST or SHARE_OUTSIDE). A connection joins its party
 *   when it is established and leaves it when it ends or enters TIME-WAIT. Each party counts its
 *   members and lists them, the one without progress for longest first; parties of one share are
 *   filed by their size, so that the largest is found at once.
 *
 *   Who gives way (`partyVictim`): a newcomer takes the place of the longest idle member of the
 *   largest party, if that is a crowd beside it: eight or more, and twice what the newcomer's own
 *   will be. Otherwise - a crowd that comes from one address, few connections each, a newcomer of
 *   another share - somebody is let go only after ten seconds without progress (a quarter of a
 *   second for a stranger who holds up the guest), else nobody. So a crowd competes with itself,
 *   and connections that carry something are never cut for one more of the same kind.
 *
 *   The list is kept lazily: progress costs its flow one store (`Stake.progress`); whoever looks
 *   for a victim moves to the end whom it finds to have progressed, at most 16 in a row.
 *
 *   Bounds: 4,096 parties. Who comes beyond shares one party of all the rest, one for each share,
 *   which is large then and gives way first.
 */
import * as abi from "../abi/index";
import { Flow, STAKE_TICK, stakeOf } from "../layout";
import { hashTuple } from "../prng";
import { MILLISECOND_US, SECOND_US } from "../timer";
import { CHECKED, check } from "../trap";
import { isIpv6, octetsOf, SIX } from "./addresses";
import { LIST_PARTY, SHARE_OUTSIDE } from "./kinds";
import { flowAt, slotOf } from "./table";

const PARTY_CAPACITY: i32 = 4096;
const PARTY_SHIFT: i32 = 5;
const PARTIES: usize = memory.data(PARTY_CAPACITY << PARTY_SHIFT, 16);
const INDEX_COUNT: u32 = 8192;
const INDEX: usize = memory.data(INDEX_COUNT << 2, 16); // party + 1
/** Parties of a share by their size: first party + 1; for each of two shares every size. */
const BUCKETS_SIZE: i32 = (abi.FLOW_CAPACITY_COUNT + 1) << 2;
const BUCKETS: usize = memory.data(2 * BUCKETS_SIZE, 16);
/** The first parties are those of all the rest. */
const REST_COUNT: i32 = 2;
const LOOK_MAX: i32 = 16;
/** Ticks without progress after which a connection may be ended for one of its own party: 10 s. */
const IDLE_MIN_TICKS: u32 = <u32>((10 * SECOND_US) >> STAKE_TICK);
/** The same for one from outside and a flow of another share: a quarter of a second. */
const IDLE_STRANGER_TICKS: u32 = <u32>((250 * MILLISECOND_US) >> STAKE_TICK);
/** Members that make a party a crowd. */
const CROWD: i32 = 8;
const WORD_MARK: u32 = 0x50415254;

@unmanaged
class Party {
  /** Address, or a word for the network of 64 bits. */
  key: u32;
  count: i32;
  head: i32;
  tail: i32;
  sizePrevious: i32;
  sizeNext: i32;
  share: u32;
  hash: u32;
}

let fresh: i32 = 0;
let freeHead: i32 = -1; // chained through sizeNext
let largestGuest: i32 = 0;
let largestOutside: i32 = 0;

function partyAt(party: i32): Party {
  return changetype<Party>(PARTIES + ((<usize>party) << PARTY_SHIFT));
}
function cell(i: u32): usize {
  return INDEX + ((<usize>i) << 2);
}
function bucket(share: u32, size: i32): usize {
  return BUCKETS + <usize>share * <usize>BUCKETS_SIZE + ((<usize>size) << 2);
}

/** Forgets all parties. */
export function partyInit(): void {
  if (fresh > REST_COUNT) memory.fill(INDEX, 0, (<usize>INDEX_COUNT) << 2);
  for (let size = 0; size <= largestGuest; size++) store<u32>(bucket(0, size), 0);
  for (let size = 0; size <= largestOutside; size++) store<u32>(bucket(1, size), 0);
  largestGuest = 0;
  largestOutside = 0;
  freeHead = -1;
  fresh = REST_COUNT;
  for (let i = 0; i < REST_COUNT; i++) start(i, 0, <u8>i, 0);
}

function start(party: i32, key: u32, share: u8, hash: u32): void {
  const p = partyAt(party);
  p.key = key;
  p.count = 0;
  p.head = -1;
  p.tail = -1;
  p.sizePrevious = -1;
  p.sizeNext = -1;
  p.share = share;
  p.hash = hash;
}

/** What stands for the far end: an IPv4 address, or a word of 240.0.0.0/4 for a /64 of IPv6. */
function keyOf(address: u32): u32 {
  if (!isIpv6(address)) return address;
  const octets = octetsOf(address);
  return hashTuple(WORD_MARK, load<u32>(octets), load<u32>(octets, sizeof<u32>()), 0) | SIX;
}

/** The party of connections of `share` with `address`, -1 = it has none. */
function partyFind(share: u8, address: u32): i32 {
  const key = keyOf(address);
  let i = hashTuple(share, key, WORD_MARK, 0) & (INDEX_COUNT - 1);
  for (let n: u32 = 0; n < INDEX_COUNT; n++) {
    const entry = load<u32>(cell(i));
    if (entry == 0) return -1;
    const p = partyAt(entry - 1);
    if (p.key == key && p.share == <u32>share) return entry - 1;
    i = (i + 1) & (INDEX_COUNT - 1);
  }
  return -1;
}

/** A new party; that of all the rest when there is no room for one more. */
function create(share: u8, address: u32): i32 {
  let party = freeHead;
  if (party >= 0) freeHead = partyAt(party).sizeNext;
  else if (fresh < PARTY_CAPACITY) party = fresh++;
  else return share;
  const key = keyOf(address);
  const hash = hashTuple(share, key, WORD_MARK, 0);
  start(party, key, share, hash);
  let i = hash & (INDEX_COUNT - 1);
  while (load<u32>(cell(i)) != 0) i = (i + 1) & (INDEX_COUNT - 1);
  store<u32>(cell(i), party + 1);
  return party;
}

/** Out of the index, closing the gap so that no probe chain breaks. */
function remove(party: i32): void {
  const mask = INDEX_COUNT - 1;
  let i = partyAt(party).hash & mask;
  while (load<u32>(cell(i)) != <u32>party + 1) i = (i + 1) & mask;
  let hole = i;
  while (true) {
    i = (i + 1) & mask;
    const entry = load<u32>(cell(i));
    if (entry == 0) break;
    const home = partyAt(entry - 1).hash & mask;
    if (((i - home) & mask) >= ((i - hole) & mask)) {
      store<u32>(cell(hole), entry);
      hole = i;
    }
  }
  store<u32>(cell(hole), 0);
  partyAt(party).sizeNext = freeHead;
  freeHead = party;
}

// ---------------------------------------------------------------- parties by size

function unfile(p: Party): void {
  if (p.count == 0) return;
  const after = p.sizeNext;
  if (p.sizePrevious < 0) store<u32>(bucket(p.share, p.count), after + 1);
  else partyAt(p.sizePrevious).sizeNext = after;
  if (after >= 0) partyAt(after).sizePrevious = p.sizePrevious;
}

function file(p: Party, party: i32): void {
  if (p.count == 0) return;
  const at = bucket(p.share, p.count);
  const after = <i32>load<u32>(at) - 1;
  p.sizePrevious = -1;
  p.sizeNext = after;
  if (after >= 0) partyAt(after).sizePrevious = party;
  store<u32>(at, party + 1);
}

function resize(party: i32, by: i32): void {
  const p = partyAt(party);
  unfile(p);
  p.count += by;
  file(p, party);
  const outside = p.share == <u32>SHARE_OUTSIDE;
  let size = outside ? largestOutside : largestGuest;
  if (p.count > size) size = p.count;
  else while (size > 0 && load<u32>(bucket(p.share, size)) == 0) size--;
  if (outside) largestOutside = size;
  else largestGuest = size;
}

/** Members of a party. */
function partySize(party: i32): i32 {
  return party < 0 ? 0 : partyAt(party).count;
}

/** The largest party of a share, -1 = there is none. */
function partyLargest(share: u8): i32 {
  const size = share == SHARE_OUTSIDE ? largestOutside : largestGuest;
  return size == 0 ? -1 : <i32>load<u32>(bucket(share, size)) - 1;
}

// ---------------------------------------------------------------- members

function append(p: Party, flow: Flow): void {
  const slot = slotOf(flow);
  flow.list = LIST_PARTY;
  flow.lruPrevious = p.tail;
  flow.lruNext = -1;
  if (p.tail < 0) p.head = slot;
  else flowAt(p.tail).lruNext = slot;
  p.tail = slot;
  stakeOf(flow).listed = stakeOf(flow).progress;
}

function unlink(p: Party, flow: Flow): void {
  const before = flow.lruPrevious;
  const after = flow.lruNext;
  if (before < 0) p.head = after;
  else flowAt(before).lruNext = after;
  if (after < 0) p.tail = before;
  else flowAt(after).lruPrevious = before;
  flow.list = 0;
  flow.lruPrevious = -1;
  flow.lruNext = -1;
}

/** The connection is established. It must be in no other list. */
export function partyJoin(flow: Flow): void {
  check(flow.list == 0 && flow.kind == <u8>abi.KIND_TCP);
  let party = partyFind(flow.share, flow.hostAddress);
  if (party < 0) party = create(flow.share, flow.hostAddress);
  stakeOf(flow).party = party;
  append(partyAt(party), flow);
  resize(party, 1);
}

/** The connection ends; nothing happens if it is in no party. */
export function partyLeave(flow: Flow): void {
  if (flow.list != LIST_PARTY) return;
  const party = stakeOf(flow).party;
  if (CHECKED) {
    assert(party >= 0 && party < fresh && partyAt(party).count > 0, "its party has the flow");
    assert(partyAt(party).share == <u32>flow.share, "a party is of one share");
  }
  unlink(partyAt(party), flow);
  stakeOf(flow).party = -1;
  resize(party, -1);
  if (partyAt(party).count == 0 && party >= REST_COUNT) remove(party);
}

/** The member without progress for longest. */
function longest(party: i32): Flow {
  const p = partyAt(party);
  for (let i = 0; i < LOOK_MAX; i++) {
    const flow = flowAt(p.head);
    if (stakeOf(flow).progress == stakeOf(flow).listed) return flow;
    unlink(p, flow);
    append(p, flow);
  }
  return flowAt(p.head);
}

/** The member without progress for longest if that is `least` ticks or more, else none. */
function idle(party: i32, least: u32, now: i64): Flow {
  const flow = longest(party);
  const ticks = <u32>(now >> STAKE_TICK) - stakeOf(flow).progress;
  return ticks >= least ? flow : changetype<Flow>(0);
}

/** Who gives way to one more connection of the same share at `address`; address 0 = nobody. */
export function partyVictim(share: u8, address: u32, now: i64): Flow {
  const party = partyLargest(share);
  if (party < 0) return changetype<Flow>(0);
  const own = partyFind(share, address);
  const size = partySize(party);
  if (party != own && size >= max(CROWD, 2 * (partySize(own) + 1))) return longest(party);
  return idle(own >= 0 && partySize(own) > 0 ? own : party, IDLE_MIN_TICKS, now);
}

/** Who of a share gives way to a flow of another one; address 0 = nobody. */
export function partyIdle(share: u8, now: i64): Flow {
  const party = partyLargest(share);
  if (party < 0) return changetype<Flow>(0);
  return idle(party, share == SHARE_OUTSIDE ? IDLE_STRANGER_TICKS : IDLE_MIN_TICKS, now);
}

/** Each party has as many members as it says; `members` flows are in one (checked build only). */
export function partiesAudit(members: i32): void {
  let all = 0;
  for (let party = 0; party < fresh; party++) {
    const p = partyAt(party);
    let size = 0;
    for (let slot = p.head; slot >= 0; slot = flowAt(slot).lruNext) {
      assert(stakeOf(flowAt(slot)).party == party, "a flow knows which party it is in");
      size++;
    }
    assert(size == p.count, "a party is as large as it is said to be");
    all += size;
  }
  assert(all == members, "each established connection is in one party");
}
