/**
 * One query (`dns` tells how they are led): asking a resolver, who comes next, how good a failure
 * is to have.
 */
import * as abi from "../abi/index";
import { count, drop } from "../stats";
import { SECOND_US } from "../timer";
import { DNS_FORMERR, DNS_NOTIMP, DNS_REFUSED, DNS_SERVFAIL } from "../wire/dns";
import { flowTo, sendBy } from "./dns-relay";
import { Query, queryAsked } from "./queries";
import { DNS_PORT, resolverChoose, resolverEpoch } from "./resolvers";
import { handleOf, isNone } from "./table";

/** How long a resolver may take before the next one is asked, microseconds. */
export const RETRY_WAIT_US: i64 = SECOND_US;

/** How good failures are to have, see `dns`. */
const RANK_REFUSED: u8 = 1;
const RANK_NOTIMP: u8 = 2;
const RANK_FORMERR: u8 = 3;
const RANK_SERVFAIL: u8 = 4;

/** Asks resolver number `index`; false = it could not be done, which is counted. */
export function ask(query: Query, index: u32, p: usize, quote: usize, now: i64): bool {
  query.asked |= <u8>((<u32>1) << (<u32>index));
  const flow = flowTo(query.guestAddress, ((<u32>query.guestPort) << 16) | DNS_PORT, index);
  if (isNone(flow)) {
    drop(quote == 0 ? abi.DROP_DNS_RETRY : abi.DROP_UDP_TABLE_FULL);
    return false;
  }
  flow.guestMac = query.guestMac;
  if (!sendBy(flow, p, query.length, quote, now)) {
    drop(quote == 0 ? abi.DROP_DNS_RETRY : abi.DROP_OP_LIMIT);
    return false;
  }
  if (quote == 0) count(abi.STAT_DNS_RETRIED);
  queryAsked(query, handleOf(flow));
  query.sentAt = now;
  return true;
}

/** The best resolver that the query has not been to; or -1. */
export function nextFor(query: Query): i32 {
  if (query.epoch != resolverEpoch) {
    query.epoch = resolverEpoch;
    query.asked = 0;
  }
  return resolverChoose(query.asked);
}

/** How good a failure is to have, 0 = it is an answer. */
export function rankOf(code: u32): u8 {
  if (code == DNS_SERVFAIL) return RANK_SERVFAIL;
  if (code == DNS_FORMERR) return RANK_FORMERR;
  if (code == DNS_NOTIMP) return RANK_NOTIMP;
  return code == DNS_REFUSED ? RANK_REFUSED : 0;
}

/** The code that a rank stands for. */
export function codeOf(rank: u8): u32 {
  if (rank == RANK_FORMERR) return DNS_FORMERR;
  if (rank == RANK_NOTIMP) return DNS_NOTIMP;
  return rank == RANK_REFUSED ? DNS_REFUSED : DNS_SERVFAIL;
}
