/**
 * IPv6 addresses as numbers of 32 bits, so that flows, lists, filters and tuples are the same for
 * both versions of IP.
 *
 * Theory of operation
 *   An IPv6 address that anything here has to remember is entered into one table, and its place in
 *   it, or-ed with ADDRESS_SIX, stands for it from then on. Those numbers are the 240.0.0.0/4 of
 *   IPv4, which no packet may carry (`input4` drops it, `isIpv6` would mistake it). Flow table,
 *   NAT, TCP and UDP compare and pass on numbers; only who reads a packet (`packet`), writes one
 *   (`send`), judges what an address means (`nat`), asks for its MAC (`neighbor`) or hands it to
 *   the host (`msgSetName6`) looks at the 16 octets behind.
 *
 *   The table is open addressing over a keyed hash of address and scope, at most half full. The
 *   first entries are fixed: the engine's own addresses, the guest's, ::1 and :: for none.
 *
 *   Nothing counts references. When the table is full, all numbers that flows, filters, neighbours,
 *   fragments and this batch hold are marked (`roots`), the others freed and the index built anew.
 *   So a guest that sprays destinations, or a crowd that sprays the guest, clears out what nobody
 *   uses and never what somebody does. The table has twice as many entries as there may be flows;
 *   a sweep that frees less than an eighth of it is not repeated before as many requests have been
 *   refused, so the cost stays within a constant per request.
 *
 *   The last eight numbers asked for count as used, too: whoever has just been told one may ask
 *   for another before storing the first.
 *
 * Source: RFC 4291, RFC 4007 §11 (scopes).
 */
import * as abi from "../abi/index";
import { FLOWS_MIN_COUNT } from "../layout";
import { ADDRESSES, CONFIG, CONTROL, config } from "../memory";
import { hashAddress } from "../prng";
import { count } from "../stats";
import { ADDRESS6_SIZE, address6Copy, address6Equal, LOOPBACK6 } from "../wire/addr6";
import { sumBytes } from "../wire/checksum";

export const SIX: u32 = <u32>abi.ADDRESS_SIX;
export const GATEWAY6: u32 = SIX | 0;
export const DNS6: u32 = SIX | 1;
/** The gateway's link-local address. */
export const ROUTER6: u32 = SIX | 2;
export const GUEST6: u32 = SIX | 3;
export const HOST_LOOPBACK6: u32 = SIX | 4;
export const UNSPECIFIED6: u32 = SIX | 5;
const FIXED_COUNT: i32 = 6;

const RECENT_COUNT: i32 = 8;
const RECENT: usize = memory.data(RECENT_COUNT << 2, 4);
/** Place + 1, with room for twice the addresses. */
const INDEX: usize = memory.data((2 * abi.ADDRESS_CAPACITY_COUNT) << 2, 16);
const MARKS: usize = memory.data(abi.ADDRESS_CAPACITY_COUNT, 16);
const ENTRY_SHIFT: i32 = 5;
/** Far above what the fixed entries and the recent ones take. */
const LIMIT_MIN: i32 = 64;
const INDEX_COUNT_MIN: u32 = 32;

@unmanaged
class Address {
  high: u64;
  low: u64;
  scope: u32;
  hash: u32;
  /** Ones' complement sum of the address, for pseudo-headers. */
  sum: u32;
  /** Next free entry; USED = it is none. */
  next: i32;
}

const USED: i32 = -2;

/** Words of an address. */
const SECOND_WORD: usize = 4;
const THIRD_WORD: usize = 8;
const LAST_WORD: usize = 12;

let limit: i32 = 0;
let indexMask: u32 = 0;
let fresh: i32 = 0;
let freeHead: i32 = -1;
let used: i32 = 0;
/** Requests to refuse before the next sweep. */
let debt: i32 = 0;
let recentNext: i32 = 0;
/** The last source and destination of a packet: a flow's packets come in a row. */
let lastSource: u32 = UNSPECIFIED6;
let lastDestination: u32 = UNSPECIFIED6;
/** Marks what the rest of the engine holds; those who hold it are above this file. */
let markHeld: () => void = ignore;

function ignore(): void {}

/** Takes it on to have all numbers in use marked before a sweep. */
export function addressHeldBy(mark: () => void): void {
  markHeld = mark;
}

export function isIpv6(address: u32): bool {
  return address >= SIX;
}

function entryAt(place: i32): Address {
  return changetype<Address>(ADDRESSES + ((<usize>place) << ENTRY_SHIFT));
}

/** Location of the 16 octets a number stands for. */
export function octetsOf(address: u32): usize {
  return ADDRESSES + ((<usize>(address & ~SIX)) << ENTRY_SHIFT);
}

/** Scope of a link-local address on the host's side, 0 for all others. */
export function scopeOf(address: u32): u32 {
  return entryAt(address & ~SIX).scope;
}

export function sumOf(address: u32): u32 {
  return entryAt(address & ~SIX).sum;
}

/** A word that belongs to the address for good, while its number may change. */
export function stableHashOf(address: u32): u32 {
  return isIpv6(address) ? entryAt(address & ~SIX).hash : address;
}

/** Addresses in the table. */
export function addressCount(): i32 {
  return used;
}

/** Empties the table but for the fixed entries, which it takes from the configuration. */
export function addressInit(): void {
  const asked = max(<i32>config(abi.CONFIG_FLOWS_MAX_OFFSET), FLOWS_MIN_COUNT);
  const flows = min(asked, abi.FLOW_CAPACITY_COUNT);
  limit = min(max(flows * 2, LIMIT_MIN), abi.ADDRESS_CAPACITY_COUNT);
  let size = INDEX_COUNT_MIN;
  while (size < <u32>limit * 2) size <<= 1;
  indexMask = size - 1;
  memory.fill(INDEX, 0, (<usize>size) << 2);
  fresh = 0;
  used = 0;
  freeHead = -1;
  debt = 0;
  recentNext = 0;
  memory.fill(ADDRESSES, 0, (<usize>FIXED_COUNT) << ENTRY_SHIFT);
  for (let i = 0; i < RECENT_COUNT; i++) store<u32>(RECENT + ((<usize>i) << 2), UNSPECIFIED6);
  lastSource = UNSPECIFIED6;
  lastDestination = UNSPECIFIED6;
  fix(CONFIG + abi.CONFIG_GATEWAY6_OFFSET);
  fix(CONFIG + abi.CONFIG_DNS6_OFFSET);
  fix(CONFIG + abi.CONFIG_ROUTER6_OFFSET);
  fix(CONFIG + abi.CONFIG_GUEST6_OFFSET);
  fix(LOOPBACK6);
  fix(octetsOf(UNSPECIFIED6)); // zero since the fill above
}

/** Enters the next fixed address, in the order of the constants. */
function fix(p: usize): void {
  insert(fresh++, p, 0, hashOf(p, 0));
}

function hashOf(p: usize, scope: u32): u32 {
  return hashAddress(
    load<u32>(p),
    load<u32>(p, SECOND_WORD),
    load<u32>(p, THIRD_WORD),
    load<u32>(p, LAST_WORD),
    scope,
  );
}

function bucket(i: u32): usize {
  return INDEX + ((<usize>(i & indexMask)) << 2);
}

function index(place: i32, hash: u32): void {
  let i = hash;
  while (load<u32>(bucket(i)) != 0) i++;
  store<u32>(bucket(i), place + 1);
}

function insert(place: i32, p: usize, scope: u32, hash: u32): void {
  const entry = entryAt(place);
  address6Copy(changetype<usize>(entry), p);
  entry.scope = scope;
  entry.hash = hash;
  entry.sum = sumBytes(p, ADDRESS6_SIZE);
  entry.next = USED;
  index(place, hash);
  used++;
}

/** Counts a number as used for the moment. */
function recent(address: u32): u32 {
  store<u32>(RECENT + ((<usize>recentNext) << 2), address);
  recentNext = (recentNext + 1) & (RECENT_COUNT - 1);
  return address;
}

/** The number of the address at `p`; 0 = the table is full of addresses in use. */
export function addressIntern(p: usize, scope: u32): u32 {
  const hash = hashOf(p, scope);
  for (let i = hash; ; i++) {
    const found = load<u32>(bucket(i));
    if (found == 0) break;
    const entry = entryAt(found - 1);
    if (entry.hash == hash && entry.scope == scope && address6Equal(changetype<usize>(entry), p))
      return recent(SIX | (found - 1));
  }
  let place = freeHead;
  if (place < 0 && fresh >= limit) {
    if (debt > 0) {
      debt--;
      return 0;
    }
    sweep();
    place = freeHead;
    if (place < 0) return 0;
  }
  if (place >= 0) freeHead = entryAt(place).next;
  else place = fresh++;
  insert(place, p, scope, hash);
  return recent(SIX | place);
}

/** The number of a packet's source; 0 = no room. */
export function addressOfSource(p: usize): u32 {
  if (address6Equal(octetsOf(lastSource), p)) return lastSource;
  const address = addressIntern(p, 0);
  if (address != 0) lastSource = address;
  return address;
}

/** The number of a packet's destination; 0 = no room. */
export function addressOfDestination(p: usize): u32 {
  if (address6Equal(octetsOf(lastDestination), p)) return lastDestination;
  const address = addressIntern(p, 0);
  if (address != 0) lastDestination = address;
  return address;
}

/** The address the host has put into the control block. */
export function addressFromHost(): u32 {
  const scope = load<u32>(CONTROL + abi.CONTROL_SCOPE_OFFSET);
  return addressIntern(CONTROL + abi.CONTROL_ADDRESS_OFFSET, scope);
}

/** Somebody holds this number; those of IPv4 addresses are passed over. */
export function addressMark(address: u32): void {
  if (isIpv6(address)) store<u8>(MARKS + <usize>(address & ~SIX), 1);
}

/** Frees all entries nobody holds. */
function sweep(): void {
  count(abi.STAT_ADDRESS_SWEEPS);
  memory.fill(MARKS, 0, limit);
  for (let i = 0; i < FIXED_COUNT; i++) store<u8>(MARKS + i, 1);
  for (let i = 0; i < RECENT_COUNT; i++) addressMark(load<u32>(RECENT + ((<usize>i) << 2)));
  addressMark(lastSource);
  addressMark(lastDestination);
  markHeld();
  memory.fill(INDEX, 0, (<usize>(indexMask + 1)) << 2);
  let freed = 0;
  for (let place = fresh - 1; place >= 0; place--) {
    const entry = entryAt(place);
    if (load<u8>(MARKS + place) != 0) {
      index(place, entry.hash);
      continue;
    }
    entry.next = freeHead;
    freeHead = place;
    freed++;
  }
  used -= freed;
  if (freed < limit >> 3) debt = limit >> 3;
}

if (
  offsetof<Address>() != <usize>abi.ADDRESS_SIZE ||
  abi.ADDRESS_SIZE != 1 << ENTRY_SHIFT ||
  offsetof<Address>("scope") != <usize>abi.ADDRESS_SCOPE_OFFSET
) {
  ERROR("addresses.ts and abi.ts disagree");
}
