/**
 * What time brings for queries: the next resolver is asked, or the guest hears the best there is
 * (`dns` tells why).
 */
import * as abi from "../abi/index";
import { entriesFree } from "../ring";
import { count } from "../stats";
import { MILLISECOND_US, SECOND_US } from "../timer";
import { dnsFailureEmit } from "../wire/dns";
import { UdpFlow } from "./datagram";
import { ask, codeOf, nextFor, RETRY_WAIT_US } from "./dns-query";
import { sendDnsReply } from "./dns-relay";
import { neighborFind } from "./neighbor";
import {
  isNoQuery,
  QUERY_DUE,
  QUERY_LAST,
  QUERY_RETRY,
  QUERY_VERDICT,
  Query,
  queriesInit,
  queryDue,
  queryFailure,
  queryFirst,
  queryMove,
  queryOctets,
  queryRelease,
  queryTry,
  TRY_COUNT,
} from "./queries";
import { resolverEpoch, resolverSilent, resolversInit, resolversRefresh } from "./resolvers";
import { flowOf, isNone } from "./table";

/** How long all of them may take before the guest is told what is known. */
const VERDICT_WAIT_US: i64 = 2 * SECOND_US;
/** How long an answer is still taken when nobody has said anything. */
const LAST_WAIT_US: i64 = 7 * SECOND_US;
/** Queries looked at in one turn. */
const TURN_COUNT: i32 = 64;

/** How long queries wait while the payload list is full, as it is behind a link that is. */
const PAUSE_US: i64 = 10 * MILLISECOND_US;

/** No query is looked at before. */
let pausedUntil: i64 = 0;

export function dnsInit(): void {
  pausedUntil = 0;
  resolversInit();
  queriesInit();
}

/** Whether anybody may still answer. */
function isPending(query: Query): bool {
  for (let i: u32 = 0; i < TRY_COUNT; i++) if (!isNone(flowOf(queryTry(query, i)))) return true;
  return false;
}

/** All have been asked, and none has answered well: the guest hears the best there is. */
function conclude(query: Query, now: i64): void {
  let p = queryFailure(query);
  let size = <u32>query.failureLength;
  const isOwn = size == 0;
  if (isOwn && query.failureRank == 0 && query.isUnreachable == 0) {
    queryMove(query, QUERY_LAST, now + LAST_WAIT_US);
    return;
  }
  if (isOwn) {
    p = queryOctets(query);
    size = dnsFailureEmit(p, query.length, codeOf(query.failureRank));
  }
  const known = neighborFind(query.guestAddress);
  const mac = known == 0 ? query.guestMac : known;
  if (sendDnsReply(query.guestAddress, query.guestPort, mac, p, size)) {
    count(isOwn ? abi.STAT_SERVFAIL_SENT : abi.STAT_UDP_TO_GUEST);
  }
  queryRelease(query);
}

/** Asks the next resolver, or waits for those that were asked, or tells the guest. */
function proceed(query: Query, now: i64): void {
  for (let index = nextFor(query); index >= 0; index = nextFor(query)) {
    if (ask(query, index, queryOctets(query), 0, now)) {
      queryMove(query, QUERY_RETRY, now + RETRY_WAIT_US);
      return;
    }
  }
  if (isPending(query)) queryMove(query, QUERY_VERDICT, now + VERDICT_WAIT_US);
  else conclude(query, now);
}

/** The time of the query has come. */
function expire(query: Query, now: i64): void {
  const list = query.list;
  const flow = changetype<UdpFlow>(flowOf(query.latest));
  if (list != QUERY_LAST && !isNone(flow) && flow.resolverEpoch == resolverEpoch) {
    resolverSilent(flow.resolver, query.sentAt, now);
  }
  if (list == QUERY_RETRY) proceed(query, now);
  else if (list == QUERY_VERDICT) conclude(query, now);
  else queryRelease(query);
}

/** When there is something to do, absolute microseconds; 0 = never. */
export function dnsNext(): i64 {
  const due = queryDue();
  return due == 0 ? 0 : max(due, pausedUntil);
}

/** Does what is due for queries, as far as there is room; `dnsNext` says when there is more. */
export function dnsTurn(now: i64): void {
  if (now < pausedUntil) return;
  let left = TURN_COUNT;
  for (let list = QUERY_DUE; list > 0; list--) {
    let query = queryFirst(list);
    while (!isNoQuery(query) && (list == QUERY_DUE || query.dueAt <= now)) {
      if (left-- == 0) return;
      if (entriesFree() == 0) {
        pausedUntil = now + PAUSE_US;
        return;
      }
      resolversRefresh();
      if (list == QUERY_DUE) proceed(query, now);
      else expire(query, now);
      query = queryFirst(list);
    }
  }
}
