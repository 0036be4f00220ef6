/**
 * What UDP, DNS and ping flows have in common: the record, its life, its time-outs.
 *
 * Theory of operation
 *   A datagram flow is a guest endpoint and the one host socket that stands for it (RFC 4787
 *   REQ-1): the socket is not connected, every message names its destination, and whatever arrives
 *   on it goes to the guest. Only DNS flows are bound to one far side, and their socket is
 *   connected to it.
 *
 *     kind   key (guest, peer, ports)                       idle for       list
 *     UDP    address, 0, port << 16                         configured     LIST_UDP
 *     DNS    address, DNS address, port << 16 | 53 or 853   10 s           LIST_DNS
 *     PING   address, 0, identifier << 16                   60 s           LIST_PING
 *
 *   Input (`udp`, `ping`) appends payload entries to the flow; the flush (`datagram-send`) asks for
 *   a socket if there is none yet, then sends. Events mark the flow ready; `datagram-receive` asks
 *   for what has come and passes it to `datagram-deliver` or, from the error queue, to `errors`. At
 *   most one operation to send and one to receive are under way at any time.
 *
 *   Any traffic in either direction refreshes the mapping (RFC 4787 REQ-6). Published ports are
 *   STATIC: in no list, without timer, never evicted. Idle flows end in `evict`.
 */
import * as abi from "../abi";
import { Flow } from "../layout";
import { config } from "../memory";
import { timerSet } from "../timer";
import { addressMark } from "./addresses";
import { reachIsLocal } from "./reach";
import { LIST_DNS, LIST_PING, LIST_UDP, listTouch, slotOf } from "./table";

/** Whether the host has a socket for the flow. */
export const SOCKET_NONE: u8 = 0;
export const SOCKET_OPENING: u8 = 1;
export const SOCKET_OPEN: u8 = 2;
/** It could not be opened and will not be asked for again (ping). */
export const SOCKET_FAILED: u8 = 3;

/** Bits of `flags`. */
export const F_SENDING: u32 = 1;
export const F_RECEIVING: u32 = 2;
export const F_STATIC: u32 = 4;
/** Somebody whom the guest sees as the gateway has sent something (`hidden`). */
export const F_HIDDEN: u32 = 8;
/** The first message of the batch has failed once. */
export const F_SEND_RETRIED: u32 = 16;
export const F_RECEIVE_RETRIED: u32 = 32;
/** DNS: the resolver has answered at least once. */
export const F_ANSWERED: u32 = 64;
/** The host was short of a socket once. */
export const F_OPEN_RETRIED: u32 = 128;
/** A published port that leads to whichever address the guest uses (`published`). */
export const F_FOLLOWS: u32 = 256;

const SECOND: i64 = 1_000_000;
const DNS_IDLE: i64 = 10 * SECOND;
/** RFC 5508 REQ-2: at least 60 s. */
const PING_IDLE: i64 = 60 * SECOND;
/** RFC 4787 REQ-5: the recommended default. */
const UDP_IDLE_DEFAULT: i64 = 300 * SECOND;

const FILTER_COUNT: u32 = abi.FILTER_COUNT;
/** DNS questions a flow remembers until they are answered. */
export const QUESTION_COUNT: u32 = 4;

@unmanaged
export class UdpFlow extends Flow {
  socket: u8;
  /** Messages the next receive asks for, and frames one of them made at most last time. */
  receiveSlots: u8;
  receiveFrames: u8;
  /** DNS: index of the resolver the socket is connected to. */
  resolver: u8;
  /** Largest segment UDP_SEGMENT may still be tried with; 0 = not at all. */
  segmentMax: u16;
  filterNext: u8;
  questionNext: u8;
  /** Octets of the first entry that have been sent already. */
  sendOffset: u32;
  /** DNS: resolvers that could not be reached since the last success. */
  openFailures: u32;
  /** QUESTION_COUNT times {hash u32, identifier u16, open u16}. */
  questions: u64;
  question1: u64;
  question2: u64;
  question3: u64;
  /** FILTER_COUNT host addresses begin here, the oldest is overwritten first; 0 = none. */
  filters: u64;
}

const FILTERS_END: usize = offsetof<UdpFlow>("filters") + (<usize>FILTER_COUNT << 2);
if (FILTERS_END > <usize>abi.FLOW_SIZE) ERROR("a datagram flow does not fit its record");

// @ts-ignore: decorator
@inline export function has(flow: UdpFlow, bits: u32): bool {
  return (flow.flags & bits) != 0;
}

/** How long a flow may be idle, microseconds. */
export function idleLimit(kind: u8): i64 {
  if (kind == <u8>abi.KIND_DNS) return DNS_IDLE;
  if (kind == <u8>abi.KIND_PING) return PING_IDLE;
  const seconds = config(abi.CONFIG_UDP_TIMEOUT_SECONDS_OFFSET);
  return seconds == 0 ? UDP_IDLE_DEFAULT : <i64>seconds * SECOND;
}

/** Why datagrams of the flow that the host did not take are lost. */
export function sendDropReason(kind: u8): i32 {
  return kind == <u8>abi.KIND_PING ? abi.DROP_PING_SEND : abi.DROP_UDP_SEND;
}

/** First values of a new flow; all others are zero. */
export function datagramStart(flow: UdpFlow): void {
  flow.socket = SOCKET_NONE;
  flow.receiveSlots = 4;
  flow.receiveFrames = 1;
  flow.segmentMax = flow.kind == <u8>abi.KIND_PING ? 0 : 0xffff;
}

/** The flow is in use: it lives on for its idle limit and is last to be evicted. */
export function datagramTouch(flow: UdpFlow, now: i64): void {
  flow.lastActive = now;
  if (has(flow, F_STATIC)) return;
  const kind = flow.kind;
  timerSet(flow, slotOf(flow), now + idleLimit(kind));
  listTouch(
    flow,
    kind == <u8>abi.KIND_DNS ? LIST_DNS : kind == <u8>abi.KIND_PING ? LIST_PING : LIST_UDP,
  );
}

// @ts-ignore: decorator
@inline function filterAt(flow: UdpFlow, index: u32): usize {
  return changetype<usize>(flow) + offsetof<UdpFlow>("filters") + (<usize>index << 2);
}

/** Whether the guest has lately sent to this host address. The latest is looked at first. */
export function filterHas(flow: UdpFlow, address: u32): bool {
  let at = <u32>flow.filterNext;
  for (let i: u32 = 0; i < FILTER_COUNT; i++) {
    at = at == 0 ? FILTER_COUNT - 1 : at - 1;
    const there = load<u32>(filterAt(flow, at));
    if (there == address) return true;
    if (there == 0) return false; // none before it either
  }
  return false;
}

/** Whether filtering is address-dependent (RFC 4787 REQ-8). */
// @ts-ignore: decorator
@inline export function filterIsOn(): bool {
  return (config(abi.CONFIG_FLAGS_OFFSET) & abi.CONFIG_FLAG_STRICT_FILTER) != 0;
}

/** Marks the addresses the flow remembers, see `addresses`. */
export function filterMark(flow: UdpFlow): void {
  for (let i: u32 = 0; i < FILTER_COUNT; i++) addressMark(load<u32>(filterAt(flow, i)));
}

/** The guest sends to this host address: of use where filtering is strict, or it is this host. */
export function filterAdd(flow: UdpFlow, address: u32): void {
  if (!filterIsOn() && !reachIsLocal(address)) return;
  if (filterHas(flow, address)) return;
  store<u32>(filterAt(flow, flow.filterNext), address);
  flow.filterNext = <u8>((flow.filterNext + 1) % FILTER_COUNT);
}
