/**
 * Datagrams to the DNS address: which resolver gets a query, which the next one, and what the guest
 * is told.
 *
 * Theory of operation
 *   Messages pass unchanged (RFC 5625 §3): no name, flag, option or record is touched. What is
 *   decided here is decided for each query, never for a guest's port, as programs keep theirs for
 *   ever. The right resolver is the first of the list that is up (`resolvers`), at that moment.
 *
 *   A flow is a guest's port and one resolver, with a socket of its own that is connected to it
 *   from a port the host picks at random. So an answer comes from the resolver that was asked or
 *   does not arrive (RFC 5452 §9), the kernel reports who cannot be reached, and resolvers of both
 *   versions of IP stand side by side. A flow that is not used any more ends after 10 seconds.
 *
 *   A query (`queries`) leads from one resolver to the next until one has answered well:
 *
 *     no answer in 1 s          the next one is asked; the slow one may still answer first
 *     SERVFAIL, REFUSED,        the next one is asked at once; FORMERR and NOTIMP count, too, as
 *     FORMERR, NOTIMP           old servers say so of EDNS that another one knows
 *     port or host unreachable  the same, for all queries of that flow
 *     the guest asks again      the next one is asked; after the last, the first again
 *
 *   When all have been asked and have failed, or 2 s after the last was asked, the guest hears the
 *   best of the failures: SERVFAIL, FORMERR, NOTIMP, REFUSED in this order, as the resolver wrote
 *   it. If there is none, but one could not be reached, it is told SERVFAIL; if all were silent, it
 *   hears nothing and is left to its own timer, and an answer within another 7 s still reaches it.
 *   Without any resolver it is told SERVFAIL at once.
 *
 *   An answer is taken if it is to a query that waits for one: by the flow's guest and port,
 *   identifier and question, from a resolver it was sent to. The first good one ends the query;
 *   what comes later, twice, or to nothing that was asked is dropped (DROP_DNS_ANSWER).
 *
 *   Relayed without all this is what is no standard query with one sound question, or larger than
 *   1,232 octets, or finds no record, and port 853, which is encrypted: it goes to the resolver
 *   that is right, 853 to the one its flow has already, and for 10 s after such a message what this
 *   resolver says on the flow passes unseen.
 *
 * Contract: what follows from a failure is done in `dnsTurn` (`dns-turn`), after all results and
 * timers of the turn, so that no flow ends under the hands of who reports about it.
 * Source: RFC 1035 §4.1, RFC 5625 §4.1 and 6, RFC 5452 §9, RFC 8767 §5 (the next one, soon).
 */
import * as abi from "../abi/index";
import { Entry, entryAt } from "../ring";
import { count, drop } from "../stats";
import {
  dnsIdentifier,
  dnsIsAnswer,
  dnsIsQuery,
  dnsQuestionHash,
  dnsQuestions,
  dnsRcode,
} from "../wire/dns";
import { UDP_HEADER_SIZE } from "../wire/udp";
import { UdpFlow } from "./datagram";
import { ask, nextFor, RETRY_WAIT_US, rankOf } from "./dns-query";
import {
  isRelaying,
  message,
  messageFrom,
  messageIs,
  messageIsPlain,
  messagePort,
  RELAY_WAIT_US,
  refuse,
  relay,
  relayTo,
} from "./dns-relay";
import { datagramEnd } from "./evict";
import { isShortage } from "./limits";
import { packet } from "./packet";
import {
  FAILURE_SIZE_MAX,
  isNoQuery,
  QUERY_DUE,
  QUERY_LAST,
  QUERY_RETRY,
  QUERY_SIZE_MAX,
  Query,
  queryAfter,
  queryFailed,
  queryFailure,
  queryFind,
  queryFirst,
  queryHasAsked,
  queryMove,
  queryOctets,
  queryOldest,
  queryRelease,
  queryTake,
  queryTry,
  TRY_COUNT,
} from "./queries";
import {
  DNS_PORT,
  dnsAddressed,
  dnsPort,
  resolverChoose,
  resolverCount,
  resolverEpoch,
  resolverFailed,
  resolverHeard,
  resolverIsUp,
  resolverProbe,
  resolversRefresh,
} from "./resolvers";
import { flowOf, handleOf, isNone } from "./table";

/** Whether the guest's datagrams to this endpoint are for a resolver. */
export function dnsWanted(address: u32, port: u32): bool {
  return dnsAddressed(address) && dnsPort(port);
}

// ---------------------------------------------------------------- queries

/** Makes room for one more query: who gives way has its answer passed on unseen. */
function giveWay(now: i64): void {
  const oldest = queryOldest();
  if (isNoQuery(oldest)) return;
  for (let i: u32 = 0; i < TRY_COUNT; i++) {
    const flow = changetype<UdpFlow>(flowOf(queryTry(oldest, i)));
    if (!isNone(flow)) flow.relayUntil = now + RELAY_WAIT_US;
  }
  queryRelease(oldest);
  count(abi.STAT_DNS_EVICTED);
}

/** The record of the query under way, a new one if need be; address 0 = there is none. */
function record(now: i64): Query {
  const p = message.p;
  const length = message.length;
  const guest = message.guest;
  const port = messagePort();
  const identifier = dnsIdentifier(p);
  const question = dnsQuestionHash(p, length);
  let query = queryFind(guest, port, identifier, question, false);
  if (isNoQuery(query)) {
    query = queryTake(guest, port, identifier, question);
    if (isNoQuery(query)) {
      giveWay(now);
      query = queryTake(guest, port, identifier, question);
      if (isNoQuery(query)) return query;
    }
  }
  memory.copy(queryOctets(query), p, length);
  query.length = <u16>length;
  query.guestMac = message.mac;
  return query;
}

/** A query from the guest, for the first time or again; false = there is no record for it. */
function queryInput(now: i64): bool {
  const query = record(now);
  if (isNoQuery(query)) return false;
  let index = nextFor(query);
  if (index < 0 && query.asked != 0) {
    query.asked = 0; // all over again
    index = nextFor(query);
  }
  if (index < 0) {
    queryRelease(query);
    refuse(now);
    return true;
  }
  const isFirst = query.asked == 0;
  const asked = ask(query, index, message.p, message.quote, now);
  queryMove(query, asked ? QUERY_RETRY : QUERY_DUE, now + RETRY_WAIT_US);
  if (!isFirst) return true;
  const probe = resolverProbe(index, query.asked, now);
  if (probe < 0) return true;
  const latest = query.latest;
  ask(query, probe, queryOctets(query), 0, now);
  query.latest = latest; // whoever stands in for it is the one that is waited for
  return true;
}

/** Takes the packet under way, for the DNS address; `ports` = the guest's << 16 | 53 or 853. */
export function dnsInput(ports: u32, now: i64): void {
  resolversRefresh();
  const p = packet.data + UDP_HEADER_SIZE;
  const length = packet.length - UDP_HEADER_SIZE;
  messageFrom(packet.source, packet.mac, ports);
  messageIs(p, length, packet.ip);
  const isQuery = messageIsPlain() && length <= QUERY_SIZE_MAX && dnsIsQuery(p, length);
  if (!isQuery || !queryInput(now)) relay(now);
}

// ---------------------------------------------------------------- answers

/** The query that the message answers, or address 0. */
function answeredBy(flow: UdpFlow, p: usize, length: u32): Query {
  if (!dnsIsAnswer(p, length)) return changetype<Query>(0);
  // Who cannot read the question may leave it out of the failure.
  const isBare = dnsQuestions(p) == 0 && rankOf(dnsRcode(p)) > 0;
  const query = queryFind(
    flow.guestAddress,
    flow.guestPort,
    dnsIdentifier(p),
    dnsQuestionHash(p, length),
    isBare,
  );
  const isAsked = !isNoQuery(query) && queryHasAsked(query, handleOf(flow));
  return isAsked ? query : changetype<Query>(0);
}

/** Keeps a failure if it is better than what there is. */
function keepFailure(query: Query, p: usize, length: u32, rank: u8): void {
  if (rank <= query.failureRank) return;
  query.failureRank = rank;
  query.failureLength = length <= FAILURE_SIZE_MAX ? <u16>length : 0;
  memory.copy(queryFailure(query), p, query.failureLength);
}

/** The flow's resolver has sent `length` octets at `p`; false = they are not for the guest. */
export function dnsAnswered(flow: UdpFlow, p: usize, length: u32, now: i64): bool {
  if (flow.peerPort != DNS_PORT) return true;
  resolversRefresh();
  if (flow.resolverEpoch == resolverEpoch) resolverHeard(flow.resolver, now);
  const query = answeredBy(flow, p, length);
  if (isNoQuery(query)) {
    if (isRelaying(flow, now)) return true;
    drop(abi.DROP_DNS_ANSWER);
    return false;
  }
  const rank = rankOf(dnsRcode(p));
  if (rank == 0 || resolverCount() < 2) {
    queryRelease(query);
    return true;
  }
  keepFailure(query, p, length, rank);
  queryFailed(query, handleOf(flow));
  queryMove(query, QUERY_DUE, now);
  return false;
}

// ---------------------------------------------------------------- resolvers that fail

/** All queries that wait for this flow wait for others from now on. */
function failAll(flow: UdpFlow, now: i64): void {
  const handle = handleOf(flow);
  for (let list = QUERY_RETRY; list <= QUERY_LAST; list++) {
    let query = queryFirst(list);
    while (!isNoQuery(query)) {
      const after = queryAfter(query);
      if (queryFailed(query, handle)) {
        query.isUnreachable = 1;
        queryMove(query, QUERY_DUE, now);
      }
      query = after;
    }
  }
}

/**
 * The flow's resolver cannot be reached, as an ICMP error or the socket says; true = the guest is
 * to be told of it as of any other destination.
 */
export function dnsUnreachable(flow: UdpFlow, now: i64): bool {
  if (flow.peerPort != DNS_PORT) return true; // what is refused there says nothing about port 53
  resolversRefresh();
  if (flow.resolverEpoch == resolverEpoch) resolverFailed(flow.resolver, now);
  failAll(flow, now);
  return isRelaying(flow, now);
}

/** There is no socket towards the flow's resolver: what it had to send goes to others. */
export function dnsOpenFailed(flow: UdpFlow, result: i32, now: i64): void {
  resolversRefresh();
  const isFault = !isShortage(result);
  if (isFault && flow.resolverEpoch == resolverEpoch) resolverFailed(flow.resolver, now);
  if (flow.peerPort == DNS_PORT) failAll(flow, now);
  const ports = ((<u32>flow.guestPort) << 16) | <u32>flow.peerPort;
  messageFrom(flow.guestAddress, flow.guestMac, ports);
  let index = flow.batchHead;
  flow.batchHead = -1;
  flow.batchTail = -1;
  flow.batchCount = 0;
  datagramEnd(flow);
  while (index >= 0) {
    const entry = entryAt(index);
    index = entry.next;
    orphaned(entry, isFault, now);
  }
}

/** Whether the message under way is a query that there is a record of. */
function isRecorded(): bool {
  const p = message.p;
  const length = message.length;
  if (!messageIsPlain() || !dnsIsQuery(p, length)) return false;
  const question = dnsQuestionHash(p, length);
  return !isNoQuery(queryFind(message.guest, messagePort(), dnsIdentifier(p), question, false));
}

/** A message whose flow has come to nothing: queries have their record, others look for a flow. */
function orphaned(entry: Entry, isFault: bool, now: i64): void {
  if (entry.isOwn != 0) {
    drop(abi.DROP_DNS_RETRY);
    return;
  }
  messageIs(<usize>entry.pointer, entry.length, <usize>entry.quote);
  if (isRecorded()) {
    count(abi.STAT_CONSUMED_LOCAL);
    return;
  }
  const next = isFault ? resolverChoose(0) : -1;
  relayTo(next >= 0 && resolverIsUp(next) ? next : -1, now);
}
