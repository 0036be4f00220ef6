/**
 * Holders: TCP flows that keep octets of the guest which no host socket has taken, in the order in
 * which they would have to give them back; and how much of the pool that is.
 *
 * Theory of operation
 *   Two lists, oldest progress first. In HOLDS are flows that keep what came in order and what came
 *   early; in LAST are flows that have given back all but the first chunk, which is kept as long as
 *   there is memory, since a guest that gets one acknowledgment goes on at once, while one that
 *   gets none may wait two minutes for its own timer. A blocked flow that has given back (LAST, or
 *   GONE: all of it) holds nothing new until its host socket takes something.
 *
 *   Where a flow stands is in its stake; every change is constant work. What is given back, and
 *   when, is for `tcp/pressure` to say.
 */
import { Flow, STAKE_TICK, stakeOf } from "../layout";
import { chunksFree, chunksKept, chunksMax, chunksSpare } from "../memory";
import { turnNow } from "../timer";
import { CHECKED, check } from "../trap";
import { LIST_PARTY, SHARE_OUTSIDE } from "./kinds";
import { flowAt, isNone, slotOf } from "./table";

export const HOLDS_NOTHING: u32 = 0;
export const HOLDS: u32 = 1;
export const HOLDS_LAST: u32 = 2;
export const HOLDS_GONE: u32 = 3;

/** Of HOLDS_*, though only two of them are lists. */
const LIST_COUNT: i32 = 4;
const HEADS: usize = memory.data(LIST_COUNT << 2, 16);
const TAILS: usize = memory.data(LIST_COUNT << 2, 16);
/** Chunks that connections from outside hold. */
let outside: i32 = 0;

export function holderInit(): void {
  for (let list: usize = 0; list < <usize>LIST_COUNT; list++) {
    store<i32>(HEADS + (list << 2), -1);
    store<i32>(TAILS + (list << 2), -1);
  }
  outside = 0;
}

/** The flow of a list that has made no progress for longest, or none. */
export function holderOldest(list: u32): Flow {
  const slot = load<i32>(HEADS + ((<usize>list) << 2));
  return slot < 0 ? changetype<Flow>(0) : flowAt(slot);
}

function unlink(flow: Flow): void {
  const stake = stakeOf(flow);
  const list = (<usize>stake.holds) << 2;
  if (stake.holds != HOLDS && stake.holds != HOLDS_LAST) return;
  const before = stake.holderPrevious;
  const after = stake.holderNext;
  if (CHECKED) {
    const slot = slotOf(flow);
    assert(before < 0 ? load<i32>(HEADS + list) == slot : holderNextOf(before) == slot);
    assert(after >= 0 || load<i32>(TAILS + list) == slot, "the last one is the tail");
  }
  if (before < 0) store<i32>(HEADS + list, after);
  else stakeOf(flowAt(before)).holderNext = after;
  if (after < 0) store<i32>(TAILS + list, before);
  else stakeOf(flowAt(after)).holderPrevious = before;
}

/** Puts the flow at the young end of a list, or in none (HOLDS_NOTHING, HOLDS_GONE). */
export function holderMove(flow: Flow, to: u32): void {
  unlink(flow);
  const stake = stakeOf(flow);
  if (CHECKED) assert(to <= HOLDS_GONE && flow.list == LIST_PARTY, "who holds is established");
  stake.holds = to;
  if (to != HOLDS && to != HOLDS_LAST) return;
  const tailAt = TAILS + ((<usize>to) << 2);
  const tail = load<i32>(tailAt);
  stake.holderPrevious = tail;
  stake.holderNext = -1;
  if (tail < 0) store<i32>(HEADS + ((<usize>to) << 2), slotOf(flow));
  else stakeOf(flowAt(tail)).holderNext = slotOf(flow);
  store<i32>(tailAt, slotOf(flow));
}

/** The flow begins to hold: its time without progress runs from now. */
export function holderJoin(flow: Flow): void {
  if (stakeOf(flow).holds != HOLDS_NOTHING) return;
  stakeOf(flow).progress = <u32>(turnNow >> STAKE_TICK);
  holderMove(flow, HOLDS);
}

/** The flow holds nothing any more. */
export function holderLeave(flow: Flow): void {
  if (stakeOf(flow).holds != HOLDS_NOTHING) holderMove(flow, HOLDS_NOTHING);
}

/** The host socket takes octets again: what was given back may be held again. */
export function holderRevive(flow: Flow, holdsChunks: bool): void {
  if (stakeOf(flow).holds > HOLDS) holderMove(flow, holdsChunks ? HOLDS : HOLDS_NOTHING);
}

/** The flow after this one in its list, or none. */
export function holderAfter(flow: Flow): Flow {
  const slot = stakeOf(flow).holderNext;
  return slot < 0 ? changetype<Flow>(0) : flowAt(slot);
}

function holderNextOf(slot: i32): i32 {
  return stakeOf(flowAt(slot)).holderNext;
}

/** `held` chunks are held by connections from outside, as an audit has counted. */
export function holdersAudit(held: i32): void {
  assert(held == outside, "what connections from outside hold is counted");
  for (let list = HOLDS; list <= HOLDS_LAST; list++) {
    let before = -1;
    for (let flow = holderOldest(list); !isNone(flow); flow = holderAfter(flow)) {
      assert(stakeOf(flow).holds == list, "a flow knows which list it is in");
      assert(stakeOf(flow).holderPrevious == before, "lists lead back as they lead on");
      before = slotOf(flow);
    }
  }
}

/** Notes that the flow holds `by` chunks more. */
export function heldCount(flow: Flow, by: i32): void {
  if (flow.share == SHARE_OUTSIDE) outside += by;
}

/** What connections from outside may hold at most: half of what is not kept. */
function outsideMost(): i32 {
  return (chunksMax - chunksKept()) >> 1;
}

/** Chunks that are free for flows of this one's share to hold. */
export function heldSpare(flow: Flow): i32 {
  check(outside >= 0);
  const spare = chunksSpare();
  return flow.share == SHARE_OUTSIDE ? min(spare, outsideMost() - outside) : spare;
}

/** Whether more is held than leaves enough for who comes. */
export function heldTooMuch(): bool {
  return chunksFree() < chunksMax >> 1 || outside > outsideMost() >> 1;
}
