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
import * as abi from "../abi/index";
import { EADDRNOTAVAIL, EAGAIN, EINVAL, EIO, EMSGSIZE, ENOBUFS, ENOMEM } from "../errno";
import { IOV_SHIFT, MSG_SHIFT, Op } from "../layout";
import { config } from "../memory";
import {
  Entry,
  entryAlloc,
  entryAt,
  iovAlloc,
  iovsFree,
  msgAlloc,
  msgName,
  msgsFree,
  opAlloc,
  opsFree,
} from "../ring";
import { sockaddr6 } from "../sockaddr";
import { count, countMany, drop, dropMany } from "../stats";
import { isIpv6, octetsOf, scopeOf } from "./addresses";
import {
  batchLost,
  datagramStart,
  enterSocket,
  F_ASKING,
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
import { fillMessage, measure, ownOf, part } from "./datagram-message";
import { sendIcmpErrorAbout } from "./datagram-refusal";
import { sendDropReason } from "./kinds";
import { PATH_REFUSED, PATH_UNKNOWN, pathJudge, pathMtuStore } from "./path-mtu";
import { DNS_PORT } from "./resolvers";
import { admit } from "./shares";
import { flowAllocate, handleOf, markDirty, shareMove } from "./table";

/** Messages in one sendmmsg, so that one flow does not take them all. */
const MESSAGES_MAX: i32 = 128;
/** What fits into the Ethernet frames of nearly every path, behind IP and UDP header. */
const SEGMENT_USUAL: u16 = 1472;
const SEGMENT_USUAL6: u16 = 1452;
/** Ports below are not asked for: they need a privilege. */
const PORT_UNPRIVILEGED: u32 = 1024;

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
    if (iovs + part.iovs > iovRoom) break;
    iovs += part.iovs;
    messages++;
    index = part.nextIndex;
    offset = part.nextOffset;
  }
  if (messages == 0) return false;
  const msgs = msgAlloc(messages);
  let iov = iovAlloc(iovs);
  index = flow.batchHead;
  offset = flow.sendOffset;
  for (let i = 0; i < messages; i++) {
    measure(flow, index, offset);
    fillMessage(flow, msgs + ((<usize>i) << MSG_SHIFT), iov, index, offset);
    iov += (<usize>part.iovs) << IOV_SHIFT;
    index = part.nextIndex;
    offset = part.nextOffset;
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
    if (isIpv6(address)) {
      op.pointer = <u32>msgName(msgAlloc(1));
      sockaddr6(op.pointer, octetsOf(address), scopeOf(address), flow.hostPort);
      op.count = abi.FAMILY_SIX;
    } else op.b = address;
    op.c = flow.hostPort;
  } else if (has(flow, F_LOCAL)) {
    op.count = abi.FAMILY_LOCAL;
    op.c = flow.hostPort;
  } else if (isIpv6(flow.guestAddress)) op.count = abi.FAMILY_SIX;
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
  if (isIpv6(address)) {
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
  while (flow.batchHead != part.nextIndex) {
    flow.batchHead = entryAt(flow.batchHead).next;
    flow.batchCount--;
  }
  flow.sendOffset = part.nextOffset;
  if (flow.batchHead < 0) flow.batchTail = -1;
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
  if (part.segment != 0 && segmentation) {
    const usual = isIpv6(first.address) ? SEGMENT_USUAL6 : SEGMENT_USUAL;
    flow.segmentMax = part.segment > usual && error != -EIO ? usual : 0;
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
  dropMany(sendDropReason(flow.kind), part.datagrams - own);
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
    countMany(stat, part.datagrams - ownOf(flow));
    flow.bytesToHost += part.octets;
    advance(flow);
  }
  if (taken > 0) flow.flags &= ~F_SEND_RETRIED;
  else if (flow.batchHead >= 0) refused(flow, taken == 0 ? -EAGAIN : taken, now);
  if (flow.batchHead >= 0) markDirty(flow);
}
