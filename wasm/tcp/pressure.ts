/**
 * When payload memory is short: who gives back, who is ended. The rule is in `flow/shares`.
 *
 * Theory of operation
 *   What an upload holds has not been acknowledged, so the guest still has it and it can be let go
 *   at any time (RFC 9293 §3.8.6: no promise is broken by losing a segment; RFC 2018 §8 for what
 *   was reported by SACK). What is on its way to the guest exists nowhere else and cannot.
 *
 *   `pressureTurn`, once a turn: as long as half of the pool is in use, or half of what connections
 *   from outside may hold, flows that have held without progress for a second (a quarter when
 *   nothing is left to share out) give back all but their first chunk, and where that does not do,
 *   that too. So uploads that move always find memory, however many stand still beside them.
 *
 *   `giveBack`, when a download needs chunks and only the kept ones are left: from the longest
 *   without progress on, whatever its age; then the last chunks too.
 *
 *   `endStuck`, every quarter of a second while only kept chunks are left: the flow that has had
 *   payload without progress for longest, if that is 20 s or more, is reset on both sides.
 *
 *   A flow whose send is under way is passed over: the host is reading what it holds.
 */
import * as abi from "../abi/index";
import {
  HOLDS,
  HOLDS_GONE,
  HOLDS_LAST,
  HOLDS_NOTHING,
  heldTooMuch,
  holderAfter,
  holderInit,
  holderMove,
  holderOldest,
} from "../flow/holders";
import { partyInit } from "../flow/parties";
import { flowAt, flowsFresh, isNone } from "../flow/table";
import { Flow, STAKE_TICK, stakeOf } from "../layout";
import { chunksFree, chunksKept } from "../memory";
import { count, countMany } from "../stats";
import { MILLISECOND_US, SECOND_US, turnNow } from "../timer";
import { F_BLOCKED, F_SENDING, has, Tcp } from "./conn";
import { sendReset } from "./emit";
import { tcpEnd } from "./ending";
import { advance, releaseFrom } from "./reassembly";

const STALE_TICKS: u32 = <u32>(SECOND_US >> STAKE_TICK);
const STALE_SHORT_TICKS: u32 = <u32>((250 * MILLISECOND_US) >> STAKE_TICK);
const STUCK_TICKS: u32 = <u32>((20 * SECOND_US) >> STAKE_TICK);
const ROUND_US: i64 = 250 * MILLISECOND_US;
/** Flows with a send under way that one call passes over. */
const PASS_MAX: i32 = 16;

let nextRound: i64 = 0;

/** Starts over. */
export function pressureInit(): void {
  nextRound = 0;
  holderInit();
  partyInit();
}

function idle(flow: Flow): u32 {
  return <u32>(turnNow >> STAKE_TICK) - stakeOf(flow).progress;
}

/** Lets go what the flow holds, but for the first chunk if that is `keepFirst` and in order. */
function letGo(flow: Tcp, keepFirst: bool): void {
  const before = flow.heldCount;
  const kept = releaseFrom(flow, keepFirst);
  countMany(abi.STAT_HELD_LET_GO, <u32>(before - flow.heldCount));
  // What the batch lists is still there, and goes to the host as if nothing had come behind it.
  flow.rcvNext = flow.rcvAck + flow.batchBytes;
  advance(flow);
  if (!has(flow, F_BLOCKED)) holderMove(flow, kept ? HOLDS : HOLDS_NOTHING);
  else holderMove(flow, kept ? HOLDS_LAST : HOLDS_GONE);
}

/** Gives back from one list until `wanted` chunks are free. */
function giveBackFrom(list: u32, wanted: i32): void {
  let flow = holderOldest(list);
  for (let passed = 0; !isNone(flow) && chunksFree() < wanted && passed < PASS_MAX; ) {
    const after = holderAfter(flow);
    if (has(changetype<Tcp>(flow), F_SENDING)) passed++;
    else letGo(changetype<Tcp>(flow), false);
    flow = after;
  }
}

/** Sees to it that `wanted` chunks are free, as far as uploads can give them back. */
export function giveBack(wanted: i32): void {
  if (chunksFree() >= wanted) return;
  giveBackFrom(HOLDS, wanted);
  if (chunksFree() < wanted) giveBackFrom(HOLDS_LAST, wanted);
}

/** Has flows of a list that stand still give back what they hold, as long as that is too much. */
function trimStale(list: u32, limit: u32): void {
  let flow = holderOldest(list);
  for (let passed = 0; !isNone(flow) && idle(flow) >= limit && passed < PASS_MAX; ) {
    if (!heldTooMuch()) return;
    const after = holderAfter(flow);
    const tcp = changetype<Tcp>(flow);
    if (has(tcp, F_SENDING)) passed++;
    else letGo(tcp, list == HOLDS && has(tcp, F_BLOCKED));
    flow = after;
  }
}

/** Ends the connection that has had payload without progress for longest, if that is too long. */
function endStuck(): void {
  let worst = changetype<Tcp>(0);
  let longest: u32 = STUCK_TICKS;
  const slots = flowsFresh();
  for (let slot = 0; slot < slots; slot++) {
    const flow = changetype<Tcp>(flowAt(slot));
    if (flow.kind != <u8>abi.KIND_TCP || flow.sendCount + flow.heldCount == 0) continue;
    if (idle(flow) < longest) continue;
    longest = idle(flow);
    worst = flow;
  }
  if (isNone(worst)) return;
  count(abi.STAT_TCP_STUCK);
  sendReset(worst, turnNow);
  tcpEnd(worst, true);
}

/** Once a turn, before anything is sent. */
export function pressureTurn(): void {
  if (!heldTooMuch()) return;
  const limit = chunksFree() <= chunksKept() ? STALE_SHORT_TICKS : STALE_TICKS;
  trimStale(HOLDS, limit);
  trimStale(HOLDS_LAST, limit);
  if (chunksFree() > chunksKept() || turnNow < nextRound) return;
  nextRound = turnNow + ROUND_US;
  endStuck();
}

/** When the next look is due while memory is short; 0 = it is not. */
export function pressureNext(): i64 {
  return chunksFree() <= chunksKept() ? max(nextRound, 1) : 0;
}

/** Ends a connection that gives way: one that is established learns of it, on both sides. */
export function tcpGiveWay(tcp: Tcp, now: i64): void {
  const told = tcp.state >= <u8>abi.STATE_ESTABLISHED && tcp.state != <u8>abi.STATE_TIME_WAIT;
  if (told) sendReset(tcp, now);
  tcpEnd(tcp, tcp.state != <u8>abi.STATE_TIME_WAIT);
}
