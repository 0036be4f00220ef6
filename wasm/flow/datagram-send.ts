/**
 * Guest datagrams into host sockets, a batch at a time.
 *
 * Theory of operation
 *   The entries of a flow become the messages of one sendmmsg. Where the kernel segments
 *   (UDP_SEGMENT), one message carries several datagrams: a run of entries that agree in
 *   destination, TTL, TOS and length (the last may be shorter), or an entry that came as a run
 *   (USO) in the first place; 64 datagrams and 65,507 octets at most.
 *
 *   Which messages a batch makes depends on its entries and `segmentMax` only, so the result is
 *   read by walking the same way again: `batchHead` and `sendOffset` move past what was taken and
 *   the rest is flushed anew. Entries and payload stay valid until the next batch comes in, which
 *   is after the last of these operations. Each result takes a message away, gives up a retry, or
 *   lowers `segmentMax`, so this ends.
 *
 *   A failure concerns the first message that was not taken:
 *     no room in the socket           the rest of the batch is dropped, as a full queue would
 *     the address it is to leave      again from the address of the host's choice
 *       from is the host's no more
 *     UDP_SEGMENT not possible        again without, and never again on this flow
 *     anything else, first time       again: it may be the ICMP error of an earlier datagram
 *     anything else, second time      the message is dropped, the guest told by ICMP
 *
 *   A packet that may be too large for the way out has its size found out first (F_ASKING,
 *   `path-mtu`); nothing of the batch is sent meanwhile.
 *
 * Source: sendmmsg(2), udp(7), RFC 1191 §4 and 7.1, RFC 1812 §5.2.7.
 */
import * as abi from "../abi";
import {
  EACCES,
  EADDRNOTAVAIL,
  EAFNOSUPPORT,
  EAGAIN,
  EBADF,
  ECONNREFUSED,
  EINVAL,
  EIO,
  EMSGSIZE,
  ENETDOWN,
  ENETUNREACH,
  ENOBUFS,
  ENODEV,
  ENOMEM,
  EPERM,
  EPROTONOSUPPORT,
} from "../errno";
import { Op } from "../layout";
import { config } from "../memory";
import {
  Entry,
  entryAlloc,
  entryAt,
  iovAlloc,
  iovSet,
  iovsFree,
  msgAlloc,
  msgName,
  msgSetIov,
  msgSetName4,
  msgSetName6,
  msgSetNameMapped,
  msgsFree,
  opAlloc,
  opsFree,
  sockaddr6,
} from "../ring";
import { count, countMany, drop, dropMany } from "../stats";
import { ICMP_UNREACHABLE } from "../wire/icmpv4";
import { isSix, octetsOf, scopeOf } from "./addresses";
import {
  controlAppend,
  controlSource,
  IP_TOS,
  IP_TTL,
  IPV6_HOPLIMIT,
  IPV6_TCLASS,
  SOL_IP,
  SOL_IPV6,
  SOL_UDP,
  UDP_SEGMENT,
} from "./control";
import {
  batchLost,
  datagramStart,
  enterSocket,
  F_ASKING,
  F_DUAL,
  F_LOCAL,
  F_REFUSED,
  F_SEND_RETRIED,
  F_SENDING,
  has,
  SOCKET_NONE,
  SOCKET_OPEN,
  SOCKET_OPENING,
  UdpFlow,
} from "./datagram";
import { icmpErrorReply } from "./icmp-error";
import { noticeBegin } from "./icmp-notice";
import { sendDropReason } from "./kinds";
import { isShortage } from "./limits";
import { headerIsAtomic, headerIsIpv6 } from "./packet";
import { PATH_REFUSED, PATH_UNKNOWN, pathJudge, pathMtuStore } from "./path-mtu";
import { DNS_PORT } from "./resolvers";
import { gatewayOf } from "./send";
import { admit } from "./shares";
import { flowAllocate, handleOf, markDirty, shareMove } from "./table";

/** UDP_MAX_SEGMENTS of kernels before 6.8. */
const SEGMENTS_MAX: u32 = 64;
const PAYLOAD_MAX: u32 = 65507;
/** Messages in one sendmmsg, so that one flow does not take them all. */
const MESSAGES_MAX: i32 = 128;
/** What fits into the Ethernet frames of nearly every path, behind IP and UDP header. */
const SEGMENT_USUAL: u16 = 1472;
const SEGMENT_USUAL6: u16 = 1452;
/** Ports below are not asked for: they need a privilege. */
const PORT_UNPRIVILEGED: u32 = 1024;

const NET_UNREACHABLE: i32 = 0;
const HOST_UNREACHABLE: i32 = 1;
const FRAGMENTATION_NEEDED: i32 = 4;
/** By an administrator (RFC 1812 §5.2.7.1). */
const PROHIBITED: i32 = 13;

// The message found by `measure`.
let partIovs: i32 = 0;
let partOctets: u32 = 0;
/** Datagrams it carries. */
let partCount: u32 = 0;
/** Value for UDP_SEGMENT; 0 = it is one datagram. */
let partSegment: u32 = 0;
let nextIndex: i32 = -1;
let nextOffset: u32 = 0;

/** The whole of the entry, or what is left of it, as one message. */
function measureRun(entry: Entry, offset: u32, segmentMax: u32): void {
  const left = entry.length - offset;
  const segment = <u32>entry.segment;
  const whole = segment <= segmentMax || left <= segment;
  partIovs = 1;
  partOctets = whole ? left : segment;
  partCount = whole ? (left + segment - 1) / segment : 1;
  partSegment = whole && left > segment ? segment : 0;
  nextIndex = whole ? entry.next : nextIndex;
  nextOffset = whole ? 0 : offset + segment;
}

/** Finds the message that starts at octet `offset` of entry `index`. */
function measure(flow: UdpFlow, index: i32, offset: u32): void {
  const first = entryAt(index);
  const segmentMax = <u32>flow.segmentMax;
  if (first.segment != 0) {
    nextIndex = index;
    measureRun(first, offset, segmentMax);
    return;
  }
  const size = first.length;
  partIovs = 1;
  partOctets = size;
  partCount = 1;
  partSegment = 0;
  nextIndex = first.next;
  nextOffset = 0;
  if (size == 0 || size > segmentMax) return;
  let last = size;
  while (nextIndex >= 0 && partCount < SEGMENTS_MAX && last == size) {
    const entry = entryAt(nextIndex);
    last = entry.length;
    if (
      last == 0 ||
      last > size ||
      partOctets + last > PAYLOAD_MAX ||
      entry.segment != 0 ||
      entry.address != first.address ||
      entry.port != first.port ||
      entry.ttl != first.ttl ||
      entry.tos != first.tos ||
      entry.from != first.from
    )
      break;
    partSegment = size;
    partIovs++;
    partCount++;
    partOctets += last;
    nextIndex = entry.next;
  }
}

/** Fills in the message just measured, which starts at octet `offset` of entry `index`. */
function fill(flow: UdpFlow, msg: usize, iov: usize, index: i32, offset: u32): void {
  const first = entryAt(index);
  let entry = first;
  if (first.segment != 0) iovSet(iov, 0, <usize>(first.pointer + offset), partOctets);
  else {
    for (let i = 0; i < partIovs; i++) {
      iovSet(iov, i, <usize>entry.pointer, entry.length);
      entry = entryAt(entry.next);
    }
  }
  msgSetIov(msg, iov, partIovs);
  // The socket of a DNS flow is connected, that to a service has one other end.
  const address = first.address;
  const six = isSix(address);
  if (flow.kind != <u8>abi.KIND_DNS && !has(flow, F_LOCAL)) {
    if (six) msgSetName6(msg, octetsOf(address), scopeOf(address), first.port);
    else if (has(flow, F_DUAL)) msgSetNameMapped(msg, address, first.port);
    else msgSetName4(msg, address, first.port);
  }
  const level = six ? SOL_IPV6 : SOL_IP;
  if (partSegment != 0) controlAppend(msg, SOL_UDP, UDP_SEGMENT, partSegment, 2);
  if (first.ttl != 0) controlAppend(msg, level, six ? IPV6_HOPLIMIT : IP_TTL, first.ttl, 4);
  if (first.tos != 0) controlAppend(msg, level, six ? IPV6_TCLASS : IP_TOS, first.tos, 4);
  if (first.from != 0) controlSource(msg, first.from);
}

/** Emits one sendmmsg for as much of the batch as there is room for; false = for nothing. */
function emitSend(flow: UdpFlow): bool {
  if (opsFree() < 1) return false;
  const room = min(msgsFree(), MESSAGES_MAX);
  const iovRoom = iovsFree();
  let messages = 0;
  let iovs = 0;
  let index = flow.batchHead;
  let offset = flow.sendOffset;
  while (index >= 0 && messages < room) {
    measure(flow, index, offset);
    if (iovs + partIovs > iovRoom) break;
    iovs += partIovs;
    messages++;
    index = nextIndex;
    offset = nextOffset;
  }
  if (messages == 0) return false;
  const msgs = msgAlloc(messages);
  let iov = iovAlloc(iovs);
  index = flow.batchHead;
  offset = flow.sendOffset;
  for (let i = 0; i < messages; i++) {
    measure(flow, index, offset);
    fill(flow, msgs + ((<usize>i) << 6), iov, index, offset);
    iov += (<usize>partIovs) << 4;
    index = nextIndex;
    offset = nextOffset;
  }
  const op = opAlloc(abi.OP_UDP_SEND, handleOf(flow));
  op.pointer = <u32>msgs;
  op.count = messages;
  op.a = iovs;
  flow.flags |= F_SENDING;
  return true;
}

/** Asks for the flow's socket; false = no room. */
function emitOpen(flow: UdpFlow): bool {
  if (opsFree() < 1 || msgsFree() < 1) return false;
  const ping = flow.kind == <u8>abi.KIND_PING;
  const op = opAlloc(ping ? abi.OP_PING_OPEN : abi.OP_UDP_OPEN, handleOf(flow));
  if (flow.kind == <u8>abi.KIND_DNS) {
    // The source port is left to the host: unpredictable (RFC 5452 §9.2).
    const address = flow.hostAddress;
    if (isSix(address)) {
      op.pointer = <u32>msgName(msgAlloc(1));
      sockaddr6(op.pointer, octetsOf(address), scopeOf(address), flow.hostPort);
      op.count = abi.FAMILY_SIX;
    } else op.b = address;
    op.c = flow.hostPort;
  } else if (has(flow, F_LOCAL)) {
    op.count = abi.FAMILY_LOCAL;
    op.c = flow.hostPort;
  } else if (isSix(flow.guestAddress)) op.count = abi.FAMILY_SIX;
  if (flow.kind == <u8>abi.KIND_UDP && !has(flow, F_LOCAL)) {
    op.c = ((<u32>flow.peerPort) << 16) | <u32>flow.guestPort;
  }
  const chosen =
    flow.kind == <u8>abi.KIND_UDP &&
    !has(flow, F_LOCAL) &&
    flow.guestPort >= PORT_UNPRIVILEGED &&
    (config(abi.CONFIG_FLAGS_OFFSET) & abi.CONFIG_FLAG_UDP_PRESERVE) != 0;
  if (chosen) op.a = flow.guestPort;
  enterSocket(flow, SOCKET_OPENING);
  return true;
}

/** A new flow, another one evicted if need be; none if there is no slot for it. */
export function datagramOpen(kind: u32, share: u8, guest: u32, peer: u32, ports: u32): UdpFlow {
  if (!admit(share, 0)) return changetype<UdpFlow>(0);
  const flow = changetype<UdpFlow>(flowAllocate(kind, guest, peer, ports));
  shareMove(flow, share);
  datagramStart(flow);
  count(abi.STAT_UDP_OPENED);
  return flow;
}

/** Asks how large packets may be to where the first entry that asks goes; false = no room. */
function emitAsk(flow: UdpFlow): bool {
  let index = flow.batchHead;
  while (index >= 0 && entryAt(index).asks == 0) index = entryAt(index).next;
  if (index < 0) {
    flow.flags &= ~F_ASKING;
    return emitSend(flow);
  }
  if (opsFree() < 1 || msgsFree() < 1) return false;
  const entry = entryAt(index);
  const address = entry.address;
  const op = opAlloc(abi.OP_PATH_MTU, handleOf(flow));
  if (isSix(address)) {
    op.pointer = <u32>msgName(msgAlloc(1));
    sockaddr6(op.pointer, octetsOf(address), scopeOf(address), max<u32>(entry.port, 1));
    op.count = abi.FAMILY_SIX;
  } else op.b = address;
  op.c = address;
  flow.flags |= F_SENDING;
  return true;
}

/** Result of OP_PATH_MTU: what asked for it is judged, and what is refused is taken out. */
export function datagramPath(op: Op, flow: UdpFlow, now: i64): void {
  flow.flags &= ~F_SENDING;
  pathMtuStore(op.c, op.result, now);
  let before = -1;
  for (let i = flow.batchHead; i >= 0; i = entryAt(i).next) {
    const entry = entryAt(i);
    if (entry.asks != 0) {
      const size = <u32>(entry.segment == 0 ? entry.length : entry.segment);
      const packet = entry.pointer - entry.quote + min(size, entry.length);
      const verdict = pathJudge(entry.quote, packet, entry.address, flow.guestMac, now);
      if (verdict != PATH_UNKNOWN) entry.asks = 0;
      if (verdict == PATH_REFUSED) {
        drop(abi.DROP_PATH_MTU);
        if (before < 0) flow.batchHead = entry.next;
        else entryAt(before).next = entry.next;
        flow.batchCount--;
        continue;
      }
    }
    before = i;
  }
  flow.batchTail = before;
  if (flow.batchHead >= 0) markDirty(flow);
}

/** Adds payload to the flow's batch; the fields of the entry are the caller's to fill. 0 = full. */
export function datagramAppend(flow: UdpFlow, pointer: usize, length: u32): Entry {
  const index = entryAlloc(pointer, length);
  if (index < 0) return changetype<Entry>(0);
  const entry = entryAt(index);
  entry.segment = 0;
  entry.isOwn = 0;
  if (flow.batchHead < 0) flow.batchHead = index;
  else entryAt(flow.batchTail).next = index;
  flow.batchTail = index;
  flow.batchCount++;
  markDirty(flow);
  return entry;
}

/** Sends the batch, or asks for a socket first; false = the operation list is full. */
export function datagramFlush(flow: UdpFlow): bool {
  if (flow.batchHead < 0 || has(flow, F_SENDING)) return true;
  if (flow.socket == SOCKET_NONE) return emitOpen(flow);
  if (flow.socket != SOCKET_OPEN) return true;
  return has(flow, F_ASKING) ? emitAsk(flow) : emitSend(flow);
}

/** Loses the rest of the batch. */
export function datagramDiscard(flow: UdpFlow): void {
  batchLost(flow);
  flow.batchHead = -1;
  flow.batchTail = -1;
  flow.batchCount = 0;
  flow.sendOffset = 0;
}

/** Moves past the message just measured. */
function advance(flow: UdpFlow): void {
  while (flow.batchHead != nextIndex) {
    flow.batchHead = entryAt(flow.batchHead).next;
    flow.batchCount--;
  }
  flow.sendOffset = nextOffset;
  if (flow.batchHead < 0) flow.batchTail = -1;
}

/** How many of the message just measured the engine sends of its own accord. */
function ownOf(flow: UdpFlow): u32 {
  if (flow.kind != <u8>abi.KIND_DNS) return 0;
  let own: u32 = 0;
  let index = flow.batchHead;
  for (let i = 0; i < partIovs; i++) {
    const entry = entryAt(index);
    own += entry.isOwn;
    index = entry.next;
  }
  return own;
}

/** Code of "unreachable" that says what an errno means; -1 = none, it says nothing of the way. */
export function unreachableCode(error: i32): i32 {
  if (error == -EACCES || error == -EPERM) return PROHIBITED;
  if (
    error == -ENETUNREACH ||
    error == -ENETDOWN ||
    error == -EADDRNOTAVAIL ||
    error == -EAFNOSUPPORT ||
    error == -ENODEV ||
    error == -EPROTONOSUPPORT
  )
    return NET_UNREACHABLE;
  if (isShortage(error) || error == -EAGAIN || error == -EBADF || error == -ECONNREFUSED) return -1;
  return HOST_UNREACHABLE;
}

/** Tells the guest why its datagram went no further, if there is something to tell. */
function sendIcmpErrorAbout(flow: UdpFlow, entry: Entry, error: i32, now: i64): void {
  const ip = <usize>entry.quote;
  if (ip == 0) return;
  const available = entry.pointer + entry.length - entry.quote;
  const isIpv6 = headerIsIpv6(ip);
  let code = unreachableCode(error);
  let rest: u32 = 0;
  if (error == -EMSGSIZE) {
    if (!headerIsAtomic(ip)) return;
    code = FRAGMENTATION_NEEDED;
    // The error queue will name the exact size; until then a likely one below the datagram's.
    rest = available > 1500 ? 1500 : available > 1492 ? 1492 : isIpv6 ? 1280 : 576;
  }
  if (code < 0) return;
  noticeBegin(ICMP_UNREACHABLE, code, rest, gatewayOf(isIpv6), flow.guestMac);
  icmpErrorReply(ip, available, now);
}

/** No socket could be had for the batch, which is lost; the guest is told why. */
export function datagramRefuse(flow: UdpFlow, error: i32, now: i64): void {
  for (let i = flow.batchHead; i >= 0; i = entryAt(i).next) {
    sendIcmpErrorAbout(flow, entryAt(i), error, now);
  }
  datagramDiscard(flow);
}

/** The first message of the batch was refused. */
function refused(flow: UdpFlow, error: i32, now: i64): void {
  if (error == -EAGAIN || error == -ENOBUFS || error == -ENOMEM) {
    datagramDiscard(flow);
    return;
  }
  measure(flow, flow.batchHead, flow.sendOffset);
  const first = entryAt(flow.batchHead);
  if (first.from != 0 && (error == -EINVAL || error == -EADDRNOTAVAIL)) {
    first.from = 0;
    return;
  }
  const retried = has(flow, F_SEND_RETRIED);
  const segmentation = error == -EINVAL || error == -EIO || (error == -EMSGSIZE && retried);
  if (partSegment != 0 && segmentation) {
    const usual = isSix(first.address) ? SEGMENT_USUAL6 : SEGMENT_USUAL;
    flow.segmentMax = partSegment > usual && error != -EIO ? usual : 0;
    flow.flags &= ~F_SEND_RETRIED;
    return;
  }
  if (!retried) {
    flow.flags |= F_SEND_RETRIED;
    return;
  }
  const isQuery = flow.kind == <u8>abi.KIND_DNS && flow.peerPort == DNS_PORT;
  if (isQuery && error != -EMSGSIZE) flow.flags |= F_REFUSED;
  else sendIcmpErrorAbout(flow, first, error, now);
  const own = ownOf(flow);
  if (own > 0) dropMany(abi.DROP_DNS_RETRY, own);
  dropMany(sendDropReason(flow.kind), partCount - own);
  flow.flags &= ~F_SEND_RETRIED;
  advance(flow);
}

/** Result of OP_UDP_SEND. */
export function datagramSent(op: Op, flow: UdpFlow, now: i64): void {
  flow.flags &= ~F_SENDING;
  const taken = min(op.result, <i32>op.count);
  const stat = flow.kind == <u8>abi.KIND_PING ? abi.STAT_PING_TO_HOST : abi.STAT_UDP_TO_HOST;
  for (let i = 0; i < taken && flow.batchHead >= 0; i++) {
    measure(flow, flow.batchHead, flow.sendOffset);
    countMany(stat, partCount - ownOf(flow));
    flow.bytesToHost += partOctets;
    advance(flow);
  }
  if (taken > 0) flow.flags &= ~F_SEND_RETRIED;
  else if (flow.batchHead >= 0) refused(flow, taken == 0 ? -EAGAIN : taken, now);
  if (flow.batchHead >= 0) markDirty(flow);
}
