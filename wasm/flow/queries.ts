/**
 * The guest's queries that wait for an answer: who asks what, which resolvers have been asked, and
 * the octets, to ask another.
 *
 * Theory of operation
 *   A query is found by the guest's address and port, its identifier and its question. It lies in a
 *   record of 2 KiB, 512 of them at most; `octets` of up to 1,232 (larger ones are not kept, see
 *   `dns`), and of the failures that resolvers have answered the best one, up to 720.
 *
 *   Each is in one list, by what it waits for; the time of each list is the same for all in it, so
 *   each is in order of time and the next deadline is a matter of three heads:
 *
 *     RETRY     the resolver asked last; then the next one is asked
 *     VERDICT   all have been asked; then the guest hears what is known
 *     LAST      nobody has said anything; then it is forgotten
 *     DUE       somebody has failed: looked at before the turn ends
 *
 *   A resolver that was asked is remembered by the handle of the flow it was asked by, which means
 *   nothing any more when that flow has ended.
 *
 * When short: `queryOldest` gives way, the one with the least hope; `dns` sees to its answer.
 */
import { hashTuple } from "../prng";
import { check } from "../trap";
import { addressMark } from "./addresses";

export const QUERY_COUNT: i32 = 512;
/** Largest query that is kept: what EDNS asks for on paths of the usual MTU. */
export const QUERY_SIZE_MAX: u32 = 1232;
export const FAILURE_SIZE_MAX: u32 = 720;

export const QUERY_RETRY: u8 = 1;
export const QUERY_VERDICT: u8 = 2;
export const QUERY_LAST: u8 = 3;
export const QUERY_DUE: u8 = 4;
const LIST_COUNT: i32 = 5;

const RECORD_SHIFT: i32 = 11;
const HEAD_SIZE: usize = 96;
const RECORDS: usize = memory.data(QUERY_COUNT << RECORD_SHIFT, 16);
const BUCKET_COUNT: u32 = 1024;
const BUCKETS: usize = memory.data(BUCKET_COUNT << 2, 8); // number of the first query + 1
const HEADS: usize = memory.data(LIST_COUNT << 2, 8); // of lists; the first is of the free ones
const TAILS: usize = memory.data(LIST_COUNT << 2, 8);

/** Keeps hashes of queries apart from those of others. */
const WORD_MARK: u32 = 0x51756572;
/** Resolvers asked that are remembered. */
export const TRY_COUNT: u32 = 4;

@unmanaged
export class Query {
  /** Neighbours in its list, -1 = none. */
  next: i32;
  previous: i32;
  /** Next of the same bucket, -1 = none. */
  chain: i32;
  list: u8;
  tryNext: u8;
  /** Set of the places in the list of resolvers that have been asked. */
  asked: u8;
  /** A resolver could not be reached. */
  isUnreachable: u8;
  guestAddress: u32;
  guestPort: u16;
  identifier: u16;
  question: u32;
  /** Number of the list of resolvers that `asked` is about. */
  epoch: u32;
  length: u16;
  failureLength: u16;
  /** How good the failure is, 0 = there is none; see `dns`. */
  failureRank: u8;
  reserved0: u8;
  reserved1: u16;
  /** Flow of the resolver that was asked last, 0 = it has failed. */
  latest: u32;
  /** Flows of the resolvers that may still answer. */
  try0: u32;
  try1: u32;
  try2: u32;
  try3: u32;
  guestMac: u64;
  dueAt: i64;
  sentAt: i64;
}

if (offsetof<Query>() > HEAD_SIZE) ERROR("a query does not fit its record");
if (HEAD_SIZE + QUERY_SIZE_MAX + FAILURE_SIZE_MAX != (<usize>1) << RECORD_SHIFT) {
  ERROR("the parts of a query's record are not its whole");
}

let fresh: i32 = 0;

export function queriesInit(): void {
  for (let i = 0; i < LIST_COUNT; i++) {
    store<i32>(HEADS + ((<usize>i) << 2), -1);
    store<i32>(TAILS + ((<usize>i) << 2), -1);
  }
  memory.fill(BUCKETS, 0, BUCKET_COUNT << 2);
  fresh = 0;
}

function queryAt(index: i32): Query {
  return changetype<Query>(RECORDS + ((<usize>index) << RECORD_SHIFT));
}

function indexOf(query: Query): i32 {
  return <i32>((changetype<usize>(query) - RECORDS) >>> RECORD_SHIFT);
}

export function isNoQuery(query: Query): bool {
  return changetype<usize>(query) == 0;
}

/** What the guest has sent. */
export function queryOctets(query: Query): usize {
  return changetype<usize>(query) + HEAD_SIZE;
}

/** The best failure that was answered. */
export function queryFailure(query: Query): usize {
  return changetype<usize>(query) + HEAD_SIZE + QUERY_SIZE_MAX;
}

// ---------------------------------------------------------------- lists

/** First of a list, or address 0. */
export function queryFirst(list: u8): Query {
  const index = load<i32>(HEADS + ((<usize>list) << 2));
  return index < 0 ? changetype<Query>(0) : queryAt(index);
}

/** The one behind it in its list, or address 0. */
export function queryAfter(query: Query): Query {
  return query.next < 0 ? changetype<Query>(0) : queryAt(query.next);
}

function unlink(query: Query): void {
  const list = (<usize>query.list) << 2;
  if (query.previous < 0) store<i32>(HEADS + list, query.next);
  else queryAt(query.previous).next = query.next;
  if (query.next < 0) store<i32>(TAILS + list, query.previous);
  else queryAt(query.next).previous = query.previous;
}

function append(query: Query, list: u8): void {
  const at = (<usize>list) << 2;
  const index = indexOf(query);
  const tail = load<i32>(TAILS + at);
  query.list = list;
  query.next = -1;
  query.previous = tail;
  if (tail < 0) store<i32>(HEADS + at, index);
  else queryAt(tail).next = index;
  store<i32>(TAILS + at, index);
}

/** Has it wait for something else, until `dueAt`. */
export function queryMove(query: Query, list: u8, dueAt: i64): void {
  unlink(query);
  append(query, list);
  query.dueAt = dueAt;
}

/** When one is due next, absolute microseconds; 0 = never. */
export function queryDue(): i64 {
  if (!isNoQuery(queryFirst(QUERY_DUE))) return 1;
  let due: i64 = 0;
  for (let list = QUERY_RETRY; list <= QUERY_LAST; list++) {
    const first = queryFirst(list);
    if (!isNoQuery(first) && (due == 0 || first.dueAt < due)) due = first.dueAt;
  }
  return due;
}

/** The one that gives way to another, or address 0: the longest without a word first. */
export function queryOldest(): Query {
  for (let list = QUERY_LAST; list > 0; list--) {
    const first = queryFirst(list);
    if (!isNoQuery(first)) return first;
  }
  return changetype<Query>(0);
}

// ---------------------------------------------------------------- life

function bucketOf(guest: u32, port: u32, identifier: u32): usize {
  const hash = hashTuple(WORD_MARK, guest, 0, (port << 16) | identifier);
  return BUCKETS + ((<usize>(hash & (BUCKET_COUNT - 1))) << 2);
}

/**
 * The query of this guest's port with this identifier and the question of this hash, or, with
 * `isAny`, any question; or address 0.
 */
export function queryFind(
  guest: u32,
  port: u32,
  identifier: u32,
  question: u32,
  isAny: bool,
): Query {
  let index = load<i32>(bucketOf(guest, port, identifier)) - 1;
  while (index >= 0) {
    const query = queryAt(index);
    if (
      query.guestAddress == guest &&
      <u32>query.guestPort == port &&
      <u32>query.identifier == identifier &&
      (isAny || query.question == question)
    )
      return query;
    index = query.chain;
  }
  return changetype<Query>(0);
}

/** The one that was freed last, so that a light load keeps to few pages; or address 0. */
function lastFree(): Query {
  const index = load<i32>(TAILS);
  return index < 0 ? changetype<Query>(0) : queryAt(index);
}

/** A new query, zeroed but for these; it is in the list DUE. Address 0 = none is free. */
export function queryTake(guest: u32, port: u32, identifier: u32, question: u32): Query {
  let query = lastFree();
  if (!isNoQuery(query)) unlink(query);
  else if (fresh < QUERY_COUNT) query = queryAt(fresh++);
  else return changetype<Query>(0);
  memory.fill(changetype<usize>(query), 0, HEAD_SIZE);
  query.guestAddress = guest;
  query.guestPort = <u16>port;
  query.identifier = <u16>identifier;
  query.question = question;
  const bucket = bucketOf(guest, port, identifier);
  query.chain = load<i32>(bucket) - 1;
  store<i32>(bucket, indexOf(query) + 1);
  append(query, QUERY_DUE);
  return query;
}

/** Ends it: nobody asks any more. Its octets stay as they are until the next batch. */
export function queryRelease(query: Query): void {
  const index = indexOf(query);
  const bucket = bucketOf(query.guestAddress, query.guestPort, query.identifier);
  let at = load<i32>(bucket) - 1;
  if (at == index) store<i32>(bucket, query.chain + 1);
  else {
    while (queryAt(at).chain != index) {
      at = queryAt(at).chain;
      check(at >= 0);
    }
    queryAt(at).chain = query.chain;
  }
  unlink(query);
  append(query, 0);
}

/** Marks the addresses that queries name, see `addresses`. */
export function queriesMark(): void {
  for (let list = QUERY_RETRY; list <= QUERY_DUE; list++) {
    for (let query = queryFirst(list); !isNoQuery(query); query = queryAfter(query)) {
      addressMark(query.guestAddress);
    }
  }
}

// ---------------------------------------------------------------- who was asked

function tryAt(query: Query, i: u32): usize {
  return changetype<usize>(query) + offsetof<Query>("try0") + ((<usize>i) << 2);
}

/** The resolver of this flow has been asked. */
export function queryAsked(query: Query, handle: u32): void {
  query.latest = handle;
  if (queryHasAsked(query, handle)) return;
  store<u32>(tryAt(query, query.tryNext), handle);
  query.tryNext = <u8>((<u32>query.tryNext + 1) % TRY_COUNT);
}

/** Whether the resolver of this flow may still answer. */
export function queryHasAsked(query: Query, handle: u32): bool {
  for (let i: u32 = 0; i < TRY_COUNT; i++) {
    if (load<u32>(tryAt(query, i)) == handle) return true;
  }
  return false;
}

/** The resolver of this flow has failed; false = it was not asked, or has failed before. */
export function queryFailed(query: Query, handle: u32): bool {
  if (query.latest == handle) query.latest = 0;
  for (let i: u32 = 0; i < TRY_COUNT; i++) {
    if (load<u32>(tryAt(query, i)) != handle) continue;
    store<u32>(tryAt(query, i), 0);
    return true;
  }
  return false;
}

/** Flow number `i` of those who may still answer, 0 = none; there are TRY_COUNT. */
export function queryTry(query: Query, i: u32): u32 {
  return i < TRY_COUNT ? load<u32>(tryAt(query, i)) : 0;
}
