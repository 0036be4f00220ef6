/**
 * What UDP, DNS and ping flows have in common: the record, its life, its time-outs.
 *
 * Theory of operation
 *   A datagram flow is a guest endpoint and the one host socket that stands for it (RFC 4787
 *   REQ-1): the socket is not connected, every message names its destination, and whatever arrives
 *   on it goes to the guest. Only DNS flows are bound to one far side, a resolver, and their socket
 *   is connected to it: a guest's port has one for each resolver it has lately been led to.
 *
 *     kind   key (guest, peer, ports)                       idle for       list
 *     UDP    address, 0, port << 16 | spot                  configured     LIST_UDP
 *     UDP    address, gateway, port << 16 | service's port  configured     LIST_UDP   (`tftp`)
 *     DNS    address, resolver, port << 16 | 53 or 853      10 s           LIST_DNS
 *     PING   address, 0, identifier << 16                   60 s           LIST_PING
 *
 *   Input (`udp`, `ping`) appends payload entries to the flow; the flush (`datagram-send`) asks for
 *   a socket if there is none yet, then sends. Events mark the flow ready; `datagram-receive` asks
 *   for what has come and passes it to `datagram-deliver` or, from the error queue, to `errors`. At
 *   most one operation to send and one to receive are under way at any time.
 *
 *   Any traffic in either direction refreshes the mapping (RFC 4787 REQ-6). Idle flows end in
 *   `evict`.
 *
 *   A published port is a socket that the host keeps bound. It is a flow only while it is used
 *   (F_PUBLISHED): the host makes one when something comes in, or ties the socket to the flow that
 *   asks for it when the guest sends from that port; when the flow ends the host has its socket
 *   back. EVENT_HANGUP alone says that the host has closed it: the port is published no longer.
 *   Several sockets may lead to one guest port: each is a spot of it. Spot 0 is where
 *   what the guest begins leaves from; the others carry only answers, which `peers` leads to them.
 *   The socket of spot 0 may be of both versions of IP (F_DUAL, `ownIsDual`); its flow is that of
 *   the guest's IPv4 address, and every message says by its own address which version it is of.
 */
import * as abi from "../abi/index";
import { Flow } from "../layout";
import { config } from "../memory";
import { entryAt } from "../ring";
import { dropMany } from "../stats";
import { timerSet } from "../timer";
import { CHECKED } from "../trap";
import { addressMark, isIpv6 } from "./addresses";
import { idleLimit, LIST_PUBLISHED, listOf, SHARE_PUBLISHED, sendDropReason } from "./kinds";
import { reachIsLocal } from "./reach";
import { listTouch, slotOf } from "./table";
import { guestAddress } from "./whereabouts";

/** Whether the host has a socket for the flow. */
export const SOCKET_NONE: u8 = 0;
export const SOCKET_OPENING: u8 = 1;
export const SOCKET_OPEN: u8 = 2;
/** It could not be opened and will not be asked for again (ping). */
export const SOCKET_FAILED: u8 = 3;

/** Bits of `flags`. */
export const F_SENDING: u32 = 1;
export const F_RECEIVING: u32 = 2;
/** The socket is one of a published port: open to all. */
export const F_PUBLISHED: u32 = 4;
/** The socket is of both versions of IP. */
export const F_DUAL: u32 = 8;
/** The first message of the batch has failed once. */
export const F_SEND_RETRIED: u32 = 16;
export const F_RECEIVE_RETRIED: u32 = 32;
/** DNS: the socket has refused a message twice, see `dnsUnreachable`. */
export const F_REFUSED: u32 = 64;
/** The host was short of a socket once. */
export const F_OPEN_RETRIED: u32 = 128;
/** To a service of the host's own (`tftp`), and it has ended the flow. */
export const F_LOCAL: u32 = 256;
export const F_OVER: u32 = 512;
/** There is something to read, but nobody knows the guest's MAC yet (`neighbor`). */
export const F_AWAITING: u32 = 1024;
/** Something in the batch asks for the size of the way out. */
export const F_ASKING: u32 = 2048;
/** Published by a rule that names the guest's address, so it does not follow the guest. */
export const F_FIXED: u32 = 4096;

const FILTER_COUNT: u32 = abi.FILTER_COUNT;
/** Messages that the first receive asks for. */
const RECEIVE_SLOTS_FIRST: u8 = 4;

@unmanaged
export class UdpFlow extends Flow {
  socket: u8;
  /** Messages the next receive asks for, and frames one of them made at most last time. */
  receiveSlots: u8;
  receiveFrames: u8;
  /** DNS: place of the resolver in the list of number `resolverEpoch`. */
  resolver: u8;
  /** Largest segment UDP_SEGMENT may still be tried with; 0 = not at all. */
  segmentMax: u16;
  filterNext: u8;
  reserved: u8;
  /** Octets of the first entry that have been sent already. */
  sendOffset: u32;
  resolverEpoch: u32;
  /** PING: errno with which the host refused the socket. */
  openFailures: u32;
  /** DNS: until then what the resolver says passes unseen, microseconds. */
  relayUntil: i64;
  /** FILTER_COUNT host addresses begin here, the oldest is overwritten first; 0 = none. */
  filters: u64;
}

const FILTERS_END: usize = offsetof<UdpFlow>("filters") + ((<usize>FILTER_COUNT) << 2);
if (FILTERS_END > <usize>abi.FLOW_SIZE) ERROR("a datagram flow does not fit its record");

export function has(flow: UdpFlow, bits: u32): bool {
  return (flow.flags & bits) != 0;
}

/** Counts what is left of the flow's batch as lost. */
export function batchLost(flow: UdpFlow): void {
  if (flow.batchCount <= 0) return;
  const reason = sendDropReason(flow.kind);
  for (let index = flow.batchHead; index >= 0; index = entryAt(index).next) {
    dropMany(entryAt(index).isOwn != 0 ? abi.DROP_DNS_RETRY : reason, 1);
  }
}

/** The host gives the flow a socket, or does not. */
export function enterSocket(flow: UdpFlow, socket: u8): void {
  if (CHECKED) {
    assert(flow.kind != <u8>abi.KIND_TCP, "only datagram flows have these states");
    const from = flow.socket;
    if (from == SOCKET_NONE) assert(socket == SOCKET_OPENING || socket == SOCKET_OPEN);
    else assert(from == SOCKET_OPENING && socket != SOCKET_OPENING, "it is there, or refused");
  }
  flow.socket = socket;
}

/** First values of a new flow; all others are zero. */
export function datagramStart(flow: UdpFlow): void {
  flow.socket = SOCKET_NONE;
  flow.receiveSlots = RECEIVE_SLOTS_FIRST;
  flow.receiveFrames = 1;
  flow.segmentMax = flow.kind == <u8>abi.KIND_PING ? 0 : u16.MAX_VALUE;
}

/** The flow is in use: it lives on for its idle limit and is last to be evicted. */
export function datagramTouch(flow: UdpFlow, now: i64): void {
  flow.lastActive = now;
  timerSet(flow, slotOf(flow), now + idleLimit(flow.kind));
  listTouch(flow, flow.share == SHARE_PUBLISHED ? LIST_PUBLISHED : listOf(flow.kind));
}

/** The guest's address that what comes from, or goes to, `address` by this flow is about. */
export function guestOf(flow: UdpFlow, address: u32): u32 {
  return has(flow, F_DUAL) ? guestAddress(isIpv6(address)) : flow.guestAddress;
}

function filterAt(flow: UdpFlow, index: u32): usize {
  return changetype<usize>(flow) + offsetof<UdpFlow>("filters") + ((<usize>index) << 2);
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
export function filterIsOn(): bool {
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
