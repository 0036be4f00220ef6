/**
 * UDP between guest and host: what the guest sends is judged here and mapped to a host socket.
 *
 * Theory of operation
 *   Mapping is endpoint-independent (RFC 4787 REQ-1): one socket per guest address and port (REQ-3,
 *   no overloading), on a port of the kernel's choice, so that no guest takes one that a program of
 *   the host has or wants. With CONFIG_FLAG_UDP_PRESERVE it is the guest's own port number where
 *   that is 1024 or more and free. The same socket serves every destination; nothing depends on
 *   load or history (REQ-11), and payload is never looked into (REQ-10) but for DNS identifiers.
 *   Hairpinning (REQ-9) is the host kernel's: a datagram to one of its own addresses comes back on
 *   the socket that owns the port; `reach` lets it out to published ports.
 *
 *   Datagrams for the DNS address, port 53 or 853, go to a resolver by flows of their own (`dns`),
 *   which may take a quarter of the table (`shares`). Published ports (`udpInboundOpen`) use a
 *   socket that the host has bound already.
 *
 *   The gateway stands for the host's loopback where that is allowed. Where it is not, the guest
 *   can still answer a process on the host that has spoken to a published port (`hidden`), by
 *   loopback or an own address; anything else is refused with port unreachable, or
 *   administratively prohibited where `reach` says no.
 *
 *   TTL and TOS are carried: a TTL of 1 ends here with time exceeded, others leave one lower,
 *   except that the usual 64 leaves as the host's default and needs no control message.
 *
 * Contract: `udpInput` gets a packet whose IP header is sound; the DHCP server has had its look.
 * All functions take the flow of their own kinds only (KIND_UDP, KIND_DNS).
 * Source: RFC 768, RFC 1122 §4.1, RFC 4787, RFC 5452, RFC 5625.
 */
import * as abi from "../abi";
import { Flow, Op } from "../layout";
import { Entry, entryAt } from "../ring";
import { count, drop } from "../stats";
import { timerSet } from "../timer";
import { ICMP_TIME_EXCEEDED, ICMP_UNREACHABLE } from "../wire/icmpv4";
import { PROTOCOL_UDP, WIRE_OK } from "../wire/ipv4";
import { UDP_HEADER_SIZE, UDP_TRUNCATED, UdpView, udpCheck } from "../wire/udp";
import { isSix } from "./addresses";
import {
  F_ANSWERED, F_FOLLOWS, F_HIDDEN, F_STATIC, SOCKET_NONE, SOCKET_OPEN, UdpFlow, datagramStart,
  datagramTouch, filterAdd, has, idleLimit,
} from "./datagram";
import {
  datagramError, datagramEvent, datagramReceive, datagramReceived, scratchReset,
} from "./datagram-receive";
import { datagramAppend, datagramDiscard, datagramFlush, datagramSent } from "./datagram-send";
import { dnsAsked, dnsChoose, dnsIsRepeat, dnsServfail, dnsWanted } from "./dns";
import { isOwnAddress } from "./emit";
import { closeRoom, datagramEnd } from "./evict";
import { hiddenFind, hiddenInit } from "./hidden";
import { icmpErrorReply } from "./icmp-error";
import { openAgain } from "./limits";
import { natIsGuest, natRefusal, natToGuest, natToHost, natUnusable } from "./nat";
import { guestConfigured } from "./neighbor";
import {
  packetDestination, packetSource, packetTos, packetTtl, transportChecksumOk,
} from "./packet";
import { publishedOf } from "./published";
import {
  DNS_PORT, resolverCount, resolverFailed, resolverFirst, resolversInit,
} from "./resolvers";
import { gatewayFor } from "./send";
import { admit } from "./shares";
import {
  SHARE_DATAGRAM, SHARE_DNS, SHARE_FIXED, flowAllocate, flowFind, handleOf, isNone, markDirty,
  shareMove, slotOf,
} from "./table";

const PORT_UNREACHABLE: u32 = 3;
/** By an administrator (RFC 1812 §5.2.7.1). */
const PROHIBITED: u32 = 13;
const TTL_USUAL: u32 = 64;
/** Datagrams and octets one entry of a run may hold: what one UDP_SEGMENT message can carry. */
const RUN_COUNT_MAX: u32 = 64;
const RUN_SIZE_MAX: u32 = 65507;
const RETRY_LATER: i64 = 1_000_000;

// The datagram under way.
let packet: usize = 0;
let payload: usize = 0;
let payloadLength: u32 = 0;
let segment: u32 = 0;
let guestMac: u64 = 0;

/** Forgets what is remembered beside the flow table: hidden peers, resolvers, scratch slots. */
export function udpInit(): void {
  hiddenInit();
  resolversInit();
  scratchReset();
}

/** Sends an ICMP error about the datagram under way. */
function reply(type: u32, code: u32, now: i64): void {
  const available = <u32>(payload + payloadLength - packet);
  const to = packetDestination(packet);
  // Unreachable ports are the business of the address they belong to, the rest is the router's.
  const source = code == PORT_UNREACHABLE && isOwnAddress(to) ? to : gatewayFor(to);
  icmpErrorReply(packet, available, type, code, 0, source, guestMac, now);
}

/** Zero is "no checksum" in IPv4 (RFC 768) and wrong in IPv6 (RFC 8200 §8.1). */
function checksumOk(udp: usize, length: u32, source: u32, destination: u32): bool {
  if (UdpView.at(udp).checksum == 0) return !isSix(source);
  return transportChecksumOk(udp, length, source, destination, PROTOCOL_UDP);
}

/** Why the datagram is malformed or has no business here; DROP_NONE = it has. */
function judge(ip: usize, udp: usize, length: u32, trusted: bool): i32 {
  const verdict = udpCheck(udp, length);
  if (verdict == UDP_TRUNCATED) return abi.DROP_UDP_TRUNCATED;
  if (verdict != WIRE_OK) return abi.DROP_UDP_LENGTH;
  const source = packetSource(ip);
  const destination = packetDestination(ip);
  const view = UdpView.at(udp);
  if (!natIsGuest(source)) return abi.DROP_IP_SOURCE;
  if (!trusted && !checksumOk(udp, view.length, source, destination)) {
    return abi.DROP_UDP_CHECKSUM;
  }
  if (view.sourcePort == 0 || view.destinationPort == 0) return abi.DROP_UDP_PORT;
  return natUnusable(destination) ? abi.DROP_IP_DESTINATION : abi.DROP_NONE;
}

/** A new flow, another one evicted if need be; none if there is no slot for it. */
function open(kind: u32, share: u8, guest: u32, peer: u32, ports: u32): UdpFlow {
  if (!admit(share, 0)) return changetype<UdpFlow>(0);
  const flow = changetype<UdpFlow>(flowAllocate(kind, guest, peer, ports));
  shareMove(flow, share);
  datagramStart(flow);
  count(abi.STAT_UDP_OPENED);
  return flow;
}

/** Fills in what all entries share. */
function complete(entry: Entry, address: u32, port: u32, ttl: u32, tos: u32): void {
  entry.address = address;
  entry.port = <u16>port;
  entry.ttl = <u8>ttl;
  entry.tos = <u8>tos;
  entry.quote = <u32>packet;
}

/** Queues the datagram under way, a run as entries that one message can carry each. */
function queue(flow: UdpFlow, address: u32, port: u32, ttl: u32): void {
  const tos = packetTos(packet);
  const run = segment != 0 && segment < payloadLength;
  const step = run ? segment * min(RUN_COUNT_MAX, RUN_SIZE_MAX / segment) : payloadLength;
  let offset: u32 = 0;
  do {
    const size = min(step, payloadLength - offset);
    const entry = datagramAppend(flow, payload + offset, size);
    if (changetype<usize>(entry) == 0) {
      drop(abi.DROP_OP_LIMIT);
      return;
    }
    complete(entry, address, port, ttl, tos);
    if (run) entry.segment = <u16>segment;
    offset += size;
  } while (offset < payloadLength);
}

// ---------------------------------------------------------------- DNS

/** Answers SERVFAIL to a query that no resolver can be asked. */
function refuseQuery(
  p: usize, length: u32, dns: u32, guest: u32, guestPort: u32, port: u32,
): bool {
  if (port != DNS_PORT || !dnsServfail(p, length, dns, guest, guestPort, guestMac, 0)) {
    return false;
  }
  count(abi.STAT_CONSUMED_LOCAL);
  return true;
}

/** A new DNS flow, or none (counted, answered). `resolver` = which to start with. */
function dnsOpen(
  guest: u32, dns: u32, ports: u32, resolver: u8, skip: u32, now: i64,
): UdpFlow {
  const flow = open(abi.KIND_DNS, SHARE_DNS, guest, dns, ports);
  if (isNone(flow)) {
    drop(abi.DROP_UDP_TABLE_FULL);
    return flow;
  }
  flow.resolver = resolver;
  if (dnsChoose(flow, skip)) return flow;
  datagramEnd(flow);
  if (!refuseQuery(payload, payloadLength, dns, guest, ports >>> 16, ports & 0xffff)) {
    drop(abi.DROP_NO_RESOLVER);
    reply(ICMP_UNREACHABLE, PORT_UNREACHABLE, now);
  }
  return changetype<UdpFlow>(0);
}

/** A datagram for the DNS address `address`. */
function dnsInput(guest: u32, address: u32, ports: u32, now: i64): void {
  let flow = changetype<UdpFlow>(flowFind(abi.KIND_DNS, guest, address, ports));
  if (isNone(flow)) flow = dnsOpen(guest, address, ports, <u8>resolverFirst, 0, now);
  else if (
    flow.socket == SOCKET_OPEN && flow.batchHead < 0 && resolverCount() > 1 && closeRoom() > 0 &&
    dnsIsRepeat(flow, payload, payloadLength)
  ) {
    const resolver = flow.resolver;
    resolverFailed(flow.resolver);
    datagramEnd(flow);
    flow = dnsOpen(guest, address, ports, resolver, 1, now);
  }
  if (isNone(flow)) return;
  flow.guestMac = guestMac;
  dnsAsked(flow, payload, payloadLength);
  datagramTouch(flow, now);
  queue(flow, flow.hostAddress, flow.hostPort, 0);
}

/** No socket towards the flow's resolver: the next one, or SERVFAIL when all have been tried. */
function dnsOpenFailed(flow: UdpFlow): void {
  resolverFailed(flow.resolver);
  flow.openFailures++;
  if (flow.openFailures < resolverCount() && dnsChoose(flow, 1)) {
    flow.socket = SOCKET_NONE;
    markDirty(flow);
    return;
  }
  guestMac = flow.guestMac;
  let index = flow.batchHead;
  while (index >= 0) {
    const entry = entryAt(index);
    const told = refuseQuery(
      entry.pointer, entry.length, flow.peerAddress, flow.guestAddress, flow.guestPort,
      flow.peerPort,
    );
    if (!told) drop(abi.DROP_NO_RESOLVER);
    index = entry.next;
  }
  flow.batchCount = 0;
  flow.socket = SOCKET_NONE;
  datagramEnd(flow);
}

// ---------------------------------------------------------------- input

/** Who spoke to the flow from `port` and was shown as `address`; 0 = nobody. */
function answered(flow: UdpFlow, address: u32, port: u32): u32 {
  if (isNone(flow) || !has(flow, F_HIDDEN)) return 0;
  const hidden = hiddenFind(handleOf(flow), port);
  return hidden != 0 && natToGuest(hidden) == address ? hidden : 0;
}

/** Host address of the guest's destination for this flow (which may be none yet); 0 = refused. */
function target(flow: UdpFlow, address: u32, port: u32): u32 {
  if (address == gatewayFor(address)) {
    const hidden = answered(flow, address, port);
    if (hidden != 0) return hidden;
  }
  const host = natToHost(address, PROTOCOL_UDP, port);
  return host != 0 ? host : answered(flow, address, port);
}

/**
 * A UDP datagram from the guest, over IPv4 or IPv6. `length` = octets of the IP payload;
 * `checksumTrusted` = the link vouches for the checksum; `gsoSize` = size of the datagrams the
 * payload is a run of, 0 = it is one.
 */
export function udpInput(
  ip: usize, udp: usize, length: u32, mac: u64, checksumTrusted: bool, gsoSize: u32, now: i64,
): void {
  const verdict = judge(ip, udp, length, checksumTrusted);
  if (verdict != abi.DROP_NONE) {
    drop(verdict);
    return;
  }
  const view = UdpView.at(udp);
  const guest = packetSource(ip);
  const peer = packetDestination(ip);
  const port = view.destinationPort;
  packet = ip;
  payload = udp + UDP_HEADER_SIZE;
  payloadLength = view.length - UDP_HEADER_SIZE;
  segment = gsoSize <= 0xffff ? gsoSize : 0;
  guestMac = mac;
  if (dnsWanted(peer, port)) {
    dnsInput(guest, peer, (view.sourcePort << 16) | port, now);
    return;
  }
  let ttl: u32 = 0;
  if (!isOwnAddress(peer)) {
    ttl = packetTtl(ip);
    if (ttl <= 1) {
      drop(abi.DROP_IP_TTL);
      reply(ICMP_TIME_EXCEEDED, 0, now);
      return;
    }
    ttl = ttl == TTL_USUAL ? 0 : ttl - 1;
  }
  let flow = changetype<UdpFlow>(flowFind(abi.KIND_UDP, guest, 0, view.sourcePort << 16));
  if (isNone(flow)) flow = publishedOf(guest, view.sourcePort);
  const address = target(flow, peer, port);
  if (address == 0) {
    const reason = natRefusal(peer, PROTOCOL_UDP, port);
    drop(reason);
    reply(ICMP_UNREACHABLE, reason == abi.DROP_LOOPBACK ? PORT_UNREACHABLE : PROHIBITED, now);
    return;
  }
  if (isNone(flow)) {
    flow = open(abi.KIND_UDP, SHARE_DATAGRAM, guest, 0, view.sourcePort << 16);
    if (isNone(flow)) {
      drop(abi.DROP_UDP_TABLE_FULL);
      return;
    }
  }
  flow.guestMac = mac;
  flow.hostAddress = address;
  filterAdd(flow, address);
  datagramTouch(flow, now);
  queue(flow, address, port, ttl);
}

/**
 * A published port: the flow of the guest's `guestPort`, for a socket the host has bound to
 * `hostPort`, of IPv6 if `six`. `fixed` = the one address of the guest it leads to, 0 = whichever
 * the guest uses. Returns its handle; 0 = the table is full or the port is published already.
 */
export function udpInboundOpen(
  guestPort: u32, hostPort: u32, six: bool, fixed: u32, now: i64,
): u32 {
  if (fixed != 0 && isSix(fixed) != six) return 0;
  const guest = fixed != 0 ? fixed : guestConfigured(six);
  if (guestPort == 0 || guestPort > 0xffff || guest == 0) return 0;
  const old = changetype<UdpFlow>(flowFind(abi.KIND_UDP, guest, 0, guestPort << 16));
  if (!isNone(old)) {
    if (has(old, F_STATIC) || closeRoom() == 0) return 0;
    datagramEnd(old);
  }
  const flow = open(abi.KIND_UDP, SHARE_FIXED, guest, 0, guestPort << 16);
  if (isNone(flow)) return 0;
  flow.flags = fixed != 0 ? F_STATIC : F_STATIC | F_FOLLOWS;
  flow.socket = SOCKET_OPEN;
  flow.hostPort = <u16>hostPort;
  flow.lastActive = now;
  return handleOf(flow);
}

// ---------------------------------------------------------------- operations and time

/** Emits what the flow has to send; false = no room, it stays dirty. */
export function udpFlush(flow: Flow): bool {
  return datagramFlush(changetype<UdpFlow>(flow));
}

/** Emits a receive for a ready flow; false = no room, it stays ready. */
export function udpReceive(flow: Flow): bool {
  return datagramReceive(changetype<UdpFlow>(flow));
}

/** Result of OP_UDP_OPEN: positive = the port the socket got. */
function opened(op: Op, flow: UdpFlow): void {
  if (openAgain(flow, op.result)) return;
  if (op.result >= 0) {
    flow.socket = SOCKET_OPEN;
    flow.openFailures = 0;
    if (flow.kind == <u8>abi.KIND_UDP) {
      flow.hostPort = op.result > 0 ? <u16>op.result : <u16>op.a;
    }
    if (flow.batchHead >= 0) markDirty(flow);
    return;
  }
  flow.socket = SOCKET_NONE;
  if (flow.kind == <u8>abi.KIND_DNS) {
    dnsOpenFailed(flow);
    return;
  }
  datagramDiscard(flow);
  datagramEnd(flow);
}

/** Result of an operation of this flow. */
export function udpResult(op: Op, flow: Flow, now: i64): void {
  const datagram = changetype<UdpFlow>(flow);
  const kind = op.kind;
  if (kind == abi.OP_UDP_SEND) datagramSent(op, datagram, now);
  else if (kind == abi.OP_UDP_RECV) datagramReceived(op, datagram, now);
  else if (kind == abi.OP_RECV_ERROR) datagramError(op, datagram, now);
  else if (kind == abi.OP_UDP_OPEN) opened(op, datagram);
}

/** The host socket has said something (EVENT_*). */
export function udpEvent(flow: Flow, events: i32, _now: i64): void {
  datagramEvent(changetype<UdpFlow>(flow), events);
}

/** The flow's deadline has come: it ends if it was idle for its limit. */
export function udpTimeout(flow: Flow, now: i64): void {
  const datagram = changetype<UdpFlow>(flow);
  if (has(datagram, F_STATIC)) return;
  const due = flow.lastActive + idleLimit(flow.kind);
  if (now < due || closeRoom() == 0) {
    timerSet(flow, slotOf(flow), max(due, now + RETRY_LATER));
    return;
  }
  const dns = flow.kind == <u8>abi.KIND_DNS;
  if (dns && !has(datagram, F_ANSWERED) && flow.bytesToHost > 0) resolverFailed(datagram.resolver);
  datagramEnd(datagram);
}
