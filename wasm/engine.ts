/**
 * The engine: frames, socket events and time in; operations and frames out.
 *
 * Theory of operation
 *  The host runs turns. In a turn it reports socket events (`upstreamEvent`), hands over a batch of
 *  guest frames (`guestRx`), calls `step` for timers and receives, then alternates between sending
 *  the frames that wait for the guest, carrying out operations, and `complete`, until nothing is
 *  left. All effects are pulled; the engine calls nobody, knows no clock and no randomness but its
 *  seed, so the same input gives the same output.
 *
 *  Order inside: input changes flows and lists them as dirty; `flush` visits dirty flows and emits
 *  what each is due; `receives` visits ready flows, one receive each, within a budget, so a busy
 *  flow gets its share and no more. Ring limits end a visit early: the flow stays listed and
 *  READY_FLUSH asks for another step.
 *
 *  A full link (`linkFull`) shows by frames of an earlier turn that are still listed. The turn is
 *  carried out all the same: the guest's acknowledgments are what makes its queue shorter, and a
 *  guest that does not read while its own write blocks would wait for ever for one who waits for
 *  room. What the engine emits is appended while the list has room; an answer that finds none is
 *  dropped and counted (the guest asks again), a flow with something due stays dirty and the
 *  others are visited nevertheless, and no host socket is asked for more. Timers of retransmission
 *  wait: what is still here cannot have been lost.
 *
 *  Contract of the host: `guestRx` only when no operation is waiting, for frames lie in receive
 *  slots until their payload has been taken; no frame that waits for the guest refers to them.
 *  While the link is not full READY_FLUSH must be clear too. `step` follows before the next
 *  `guestRx`, which uses the entries of datagrams again.
 *
 *  Of a frame that is lent the payload is not in its slot (`lent`): what of it is to be kept the
 *  host copies after `guestRx`, `step` and `complete`, before it carries out operations.
 *
 *  Every frame ends in exactly one place: handed on, consumed here, or dropped with a reason.
 */
import * as abi from "./abi/index";
import { auditInit, auditTurn } from "./audit";
import { configOk } from "./config-check";
import {
  dispatchInit,
  flowEvent,
  flowFlush,
  flowReceive,
  flowResult,
  flowTimeout,
} from "./dispatch";
import { addressFromHost, addressInit } from "./flow/addresses";
import { awaitingInit, awaitingTurn, scratchReset } from "./flow/datagram-receive";
import { dnsNext, dnsTurn } from "./flow/dns-turn";
import { emitInit } from "./flow/emit";
import { errorLimitInit } from "./flow/error-limit";
import { closeFlush, evictInit } from "./flow/evict";
import { fragmentBatchReset, fragmentInit, fragmentNext } from "./flow/fragment-context";
import { fragmentExpire } from "./flow/fragments";
import { limitsApply } from "./flow/limits";
import { neighborExpire, neighborInit, neighborNext } from "./flow/neighbor";
import { ownInit } from "./flow/own";
import { pathMtuInit } from "./flow/path-mtu";
import { rootsInit } from "./flow/roots";
import {
  dirtyFirst,
  dirtyTake,
  flowAt,
  flowOf,
  flowsUsed,
  isNone,
  markDirty,
  markReady,
  readyFirst,
  readyTake,
  tableInit,
} from "./flow/table";
import { udpInit } from "./flow/udp";
import { udpInboundOpen } from "./flow/udp-published";
import { whereInit, whereNext, whereTimeout } from "./flow/whereabouts";
import { frameInput } from "./frame";
import { guestInit, guestNext, guestTurn } from "./guest";
import { OP_SHIFT, Op } from "./layout";
import { lentFrom, lentPublish, lentReset } from "./lent";
import { dhcpInit } from "./local/dhcpv4";
import { dhcp6Init } from "./local/dhcpv6";
import { ndpFarewell, ndpInit, ndpNext, ndpTimeout } from "./local/ndp";
import {
  CONTROL,
  chunkReclaim,
  chunksUsed,
  memoryDescribe,
  memoryInit,
  RX_BUFFERS,
  RX_DESCRIPTORS,
} from "./memory";
import { prngInit } from "./prng";
import {
  batchReset,
  linkFull,
  OPS,
  OPS_SIZE,
  opsFree,
  resultBase,
  resultCount,
  ringInit,
  ringPublish,
  ringTurn,
  txCount,
  txFree,
  txPublish,
  txReset,
  txTurn,
  vnetSize,
} from "./ring";
import { count, countMany, drop } from "./stats";
import { tcpInbound } from "./tcp/arrival";
import { poolSpent, poolTurn, receiveAsked, receiveTurn } from "./tcp/download";
import { pressureInit, pressureNext, pressureTurn } from "./tcp/pressure";
import { timersInit } from "./tcp/timers";
import { windowInit } from "./tcp/window";
import { earlier, timerInit, timerNext, timerPop, timerTurn } from "./timer";
import { traceFrame, traceIdle } from "./trace";
import { CHECKED, check } from "./trap";
import { ETHERNET_HEADER_SIZE } from "./wire/ethernet";

export { ownTake as hostAddress } from "./flow/own";
export { guestGone } from "./guest";

const TIMERS_PER_STEP: i32 = 256;
const RECEIVES_PER_TURN: i32 = 32;
/** Asked of host sockets in one turn: bounds how long a turn takes. */
const RECEIVE_OCTETS_PER_TURN: u32 = 2_097_152;

let receiveBudget: i32 = 0;
/** Some ready flows were not asked, and not because there is no payload memory. */
let unasked: bool = false;

/** Starts over from the configuration; 0, or -1 when the configuration makes no sense. */
export function init(): i32 {
  if (!configOk()) return -1;
  memoryInit();
  prngInit();
  addressInit();
  rootsInit();
  emitInit();
  ownInit();
  ringInit();
  lentReset();
  timerInit();
  tableInit();
  windowInit();
  evictInit();
  dispatchInit();
  if (CHECKED) auditInit();
  pressureInit();
  neighborInit();
  guestInit();
  fragmentInit();
  errorLimitInit();
  dhcpInit();
  dhcp6Init();
  ndpInit();
  udpInit();
  timersInit();
  whereInit();
  awaitingInit();
  pathMtuInit();
  publish();
  return 0;
}

export function control(): usize {
  memoryDescribe(OPS, OPS_SIZE);
  return CONTROL;
}

function publish(): void {
  ringPublish();
  lentPublish();
  let ready = dirtyFirst() >= 0 ? abi.READY_FLUSH : 0;
  if (readyFirst() >= 0 && (!poolSpent || unasked)) ready |= abi.READY_RECEIVE;
  store<i32>(CONTROL + abi.CONTROL_READY_OFFSET, ready);
  store<i32>(CONTROL + abi.CONTROL_FLOW_COUNT_OFFSET, flowsUsed);
  store<i32>(CONTROL + abi.CONTROL_CHUNK_COUNT_OFFSET, chunksUsed);
}

// ---------------------------------------------------------------- frames from the guest

/** Handles `n` frames described in the RX descriptors. */
export function guestRx(n: i32, now: i64): void {
  check(opsFree() == abi.OP_CAPACITY_COUNT); // they may refer to what the next frames overwrite
  timerTurn(now);
  lentReset();
  batchReset();
  fragmentBatchReset();
  if (n > abi.RX_SLOT_COUNT) n = abi.RX_SLOT_COUNT;
  for (let i = 0; i < n; i++) {
    const descriptor = RX_DESCRIPTORS + <usize>i * abi.RX_DESCRIPTOR_SIZE;
    const pointer = <usize>load<u32>(descriptor);
    const length =
      load<u32>(descriptor, abi.RX_DESCRIPTOR_LENGTH_OFFSET) & <u32>abi.LENT_LENGTH_MASK;
    const lent = lentFrom(i);
    const isSlot = pointer == RX_BUFFERS + <usize>i * abi.RX_SLOT_SIZE;
    count(abi.STAT_GUEST_RX_FRAMES);
    traceFrame(i);
    const end = RX_BUFFERS + <usize>abi.RX_SLOT_COUNT * abi.RX_SLOT_SIZE;
    if (
      length < vnetSize + ETHERNET_HEADER_SIZE ||
      length > <u32>abi.RX_SLOT_SIZE ||
      pointer < RX_BUFFERS ||
      pointer + length > end ||
      (lent != 0 && (!isSlot || lent > length))
    ) {
      drop(abi.DROP_RUNT);
      continue;
    }
    countMany(abi.STAT_GUEST_RX_BYTES, length - vnetSize);
    frameInput(pointer, length, now);
  }
  traceIdle();
  lentPublish();
}

// ---------------------------------------------------------------- events, time, results

/** A host socket has news; `handle` may be stale. */
export function upstreamEvent(handle: u32, events: u32, now: i64): void {
  const flow = flowOf(handle);
  if (isNone(flow)) {
    count(abi.STAT_STALE_EVENTS);
    return;
  }
  flowEvent(flow, events, now);
}

function timers(now: i64): void {
  for (let i = 0; i < TIMERS_PER_STEP; i++) {
    const slot = timerPop(now);
    if (slot < 0) break;
    flowTimeout(flowAt(slot), now);
  }
  fragmentExpire(now);
  neighborExpire(now);
  awaitingTurn();
  whereTimeout(now);
  ndpTimeout(now);
}

/**
 * Visits dirty flows. Where operations are short the rest waits until these are carried out; where
 * the link's list is full each flow is visited once, as what it has for its host can still be done.
 */
function flush(now: i64): void {
  if (!closeFlush()) return; // slots must be free on the host before they are used again
  let waits = -1;
  for (let left = flowsUsed; dirtyFirst() != waits && dirtyFirst() >= 0; ) {
    const slot = dirtyFirst();
    const flow = dirtyTake();
    if (flowFlush(flow, now)) continue;
    markDirty(flow);
    if (txFree() > 0 || --left <= 0) return;
    if (waits < 0) waits = slot;
  }
}

/** Asks sockets for more, each once; who finds no payload memory waits while others are asked. */
function receives(now: i64): void {
  poolTurn();
  let waits = -1;
  unasked = true;
  while (readyFirst() >= 0 && receiveBudget > 0 && receiveAsked < RECEIVE_OCTETS_PER_TURN) {
    const slot = readyFirst();
    if (slot == waits) {
      unasked = false;
      return;
    }
    const flow = readyTake();
    if (flowReceive(flow, now)) {
      receiveBudget--;
      continue;
    }
    markReady(flow);
    if (!poolSpent) return; // a list is full, for everybody
    if (waits < 0) waits = slot;
  }
}

/** One turn: what time brought, what is due, what may be received. */
export function step(now: i64): void {
  timerTurn(now);
  lentReset();
  if (CHECKED) auditTurn();
  // Receives that led to no frame (errors, nothing there) took slots too, and the host has no
  // reason to call `txDone` then. No operation is under way here.
  if (txCount == 0) scratchReset();
  // A batch that is not empty has its flow dirty or an operation under way.
  if (dirtyFirst() < 0 && opsFree() == abi.OP_CAPACITY_COUNT) batchReset();
  txTurn();
  receiveBudget = RECEIVES_PER_TURN;
  receiveTurn();
  limitsApply();
  guestTurn(now);
  timers(now);
  pressureTurn();
  finish(now);
}

/** What is due is listed, sockets are asked for more unless the link is full. */
function finish(now: i64): void {
  dnsTurn(now);
  flush(now);
  unasked = false;
  if (!linkFull) receives(now);
  txPublish();
  publish();
}

/** All operations have been carried out. */
export function complete(now: i64): void {
  timerTurn(now);
  lentReset();
  txTurn();
  ringTurn();
  for (let i = 0; i < resultCount; i++) {
    const op = changetype<Op>(resultBase + ((<usize>i) << OP_SHIFT));
    if (op.kind != abi.OP_CLOSE) flowResult(op, now);
  }
  finish(now);
}

/** The link has taken all frames. */
export function txDone(): void {
  const before = chunksUsed;
  txReset();
  chunkReclaim();
  scratchReset();
  if (chunksUsed < before) poolTurn(); // who waits for memory may try again
  publish();
}

export function inboundTcp(
  guestPort: u32,
  peerAddress: u32,
  peerPort: u32,
  guest: u32,
  now: i64,
): u32 {
  timerTurn(now);
  const handle = tcpInbound(guestPort, peerAddress, peerPort, guest, now);
  publish();
  return handle;
}

export function inboundUdp(port: u32, hostPort: u32, code: u32, guest: u32, now: i64): u32 {
  timerTurn(now);
  const handle = udpInboundOpen(port, hostPort, code, guest, now);
  publish();
  return handle;
}

/** The number that stands for the address in the control block; 0 = the table is full. */
export function addressSix(): u32 {
  return addressFromHost();
}

/** The end is near: frames that say so wait for the guest. */
export function farewell(): void {
  ndpFarewell();
  publish();
}

/** Absolute time of the next deadline in microseconds, 0 = none. */
export function nextDeadline(): i64 {
  const flows = guestNext(earlier(earlier(timerNext(), pressureNext()), dnsNext()));
  const link = earlier(ndpNext(), earlier(neighborNext(), whereNext()));
  return earlier(flows, earlier(fragmentNext(), link));
}
