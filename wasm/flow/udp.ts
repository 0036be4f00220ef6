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
 *   which may take a quarter of the table (`shares`). Published ports (`udpInboundOpen`) have the
 *   sockets that the host has bound already; several may lead to one port of the guest (spots,
 *   `datagram`). Who has spoken to it is remembered as far as answers need it (`peers`): they leave
 *   by the socket and from the address that was asked.
 *
 *   What is for the host's TFTP service, at the gateway, has flows of its own, too (`tftp`).
 *
 *   The gateway stands for the host's loopback where that is allowed. Where it is not, the guest
 *   can still answer a process on the host that has spoken to a published port, by loopback or an
 *   own address; anything else is refused with port unreachable, or
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
import { Entry } from "../ring";
import { drop } from "../stats";
import { timerSet, turnNow } from "../timer";
import { ICMP_TIME_EXCEEDED, ICMP_UNREACHABLE } from "../wire/icmpv4";
import { PROTOCOL_UDP, WIRE_OK } from "../wire/ipv4";
import { UDP_HEADER_SIZE, UDP_TRUNCATED, UdpView, udpCheck } from "../wire/udp";
import { isSix } from "./addresses";
import {
  datagramTouch,
  enterSocket,
  F_ASKING,
  F_DUAL,
  F_FIXED,
  F_LOCAL,
  F_OVER,
  F_PUBLISHED,
  F_REFUSED,
  filterAdd,
  has,
  SOCKET_NONE,
  SOCKET_OPEN,
  UdpFlow,
} from "./datagram";
import { datagramError, datagramReceived, scratchReset } from "./datagram-receive";
import {
  datagramAppend,
  datagramDiscard,
  datagramOpen,
  datagramPath,
  datagramRefuse,
  datagramSent,
} from "./datagram-send";
import { dnsInit, dnsInput, dnsOpenFailed, dnsUnreachable, dnsWanted } from "./dns";
import { isOwnAddress } from "./emit";
import { closeRoom, datagramEnd } from "./evict";
import { icmpErrorReply } from "./icmp-error";
import { idleLimit, SHARE_DATAGRAM, SHARE_PUBLISHED } from "./kinds";
import { openAgain } from "./limits";
import { LOOPBACK_ADDRESS, natIsGuest, natRefusal, natToHost, natUnusable } from "./nat";
import { guestConfigured, neighborFind } from "./neighbor";
import { ownIsDual } from "./own";
import {
  packetDestination,
  packetSource,
  packetTos,
  packetTtl,
  transportChecksumOk,
} from "./packet";
import { PATH_FITS, PATH_REFUSED, PATH_UNKNOWN, pathJudge } from "./path-mtu";
import { Peer, peerFind, peersHave, peersInit } from "./peers";
import { gatewayFor } from "./send";
import { flowFind, handleOf, isNone, markDirty, shareMove, slotOf } from "./table";
import { TFTP_PORT, tftpAddressed, tftpInit, tftpPort } from "./tftp";
import { guestAddress } from "./whereabouts";

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

/** Forgets what is remembered beside the flow table: peers, DNS, scratch slots. */
export function udpInit(): void {
  peersInit();
  dnsInit();
  tftpInit();
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

/** Fills in what all entries share. */
function complete(entry: Entry, address: u32, port: u32, ttl: u32, tos: u32): void {
  entry.address = address;
  entry.port = <u16>port;
  entry.ttl = <u8>ttl;
  entry.tos = <u8>tos;
  entry.quote = <u32>packet;
}

/** Queues the datagram under way, a run as entries that one message can carry each. */
function queue(flow: UdpFlow, address: u32, port: u32, ttl: u32, from: u32): void {
  const tos = packetTos(packet);
  const run = segment != 0 && segment < payloadLength;
  const step = run ? segment * min(RUN_COUNT_MAX, RUN_SIZE_MAX / segment) : payloadLength;
  const size = <u32>(payload - packet) + (run ? segment : payloadLength);
  const verdict = has(flow, F_LOCAL)
    ? PATH_FITS
    : pathJudge(packet, size, address, guestMac, turnNow);
  if (verdict == PATH_REFUSED) {
    drop(abi.DROP_PATH_MTU);
    return;
  }
  if (verdict == PATH_UNKNOWN) flow.flags |= F_ASKING;
  let offset: u32 = 0;
  do {
    const part = min(step, payloadLength - offset);
    const entry = datagramAppend(flow, payload + offset, part);
    if (changetype<usize>(entry) == 0) {
      drop(abi.DROP_OP_LIMIT);
      return;
    }
    complete(entry, address, port, ttl, tos);
    entry.from = from;
    if (verdict == PATH_UNKNOWN) entry.asks = 1;
    if (run) entry.segment = <u16>segment;
    offset += part;
  } while (offset < payloadLength);
}

// ---------------------------------------------------------------- TFTP

/** A datagram for `port` of the gateway; false = it has nothing to do with the TFTP service. */
function tftpInput(guest: u32, gateway: u32, guestPort: u32, port: u32, now: i64): bool {
  const own = tftpPort(guestPort);
  if (port != TFTP_PORT && port != own) return false;
  const ports = (guestPort << 16) | own;
  let flow = changetype<UdpFlow>(flowFind(abi.KIND_UDP, guest, gateway, ports));
  if (isNone(flow) && port != TFTP_PORT) return false;
  if (!isNone(flow) && has(flow, F_OVER)) {
    if (port != TFTP_PORT || closeRoom() == 0) {
      drop(abi.DROP_UDP_SEND);
      return true;
    }
    datagramEnd(flow);
    flow = changetype<UdpFlow>(0);
  }
  if (isNone(flow)) {
    flow = datagramOpen(abi.KIND_UDP, SHARE_DATAGRAM, guest, gateway, ports);
    if (isNone(flow)) {
      drop(abi.DROP_UDP_TABLE_FULL);
      return true;
    }
    flow.flags |= F_LOCAL;
    flow.hostAddress = LOOPBACK_ADDRESS;
    flow.hostPort = <u16>TFTP_PORT;
    flow.segmentMax = 0; // a message of the pair's is one datagram
  }
  flow.guestMac = guestMac;
  datagramTouch(flow, now);
  queue(flow, LOOPBACK_ADDRESS, TFTP_PORT, 0, 0);
  return true;
}

// ---------------------------------------------------------------- input

/** Host address of the guest's destination, whom `peer` may be remembered for; 0 = refused. */
function target(peer: Peer, address: u32, port: u32): u32 {
  const isKnown = changetype<usize>(peer) != 0;
  if (isKnown && address == gatewayFor(address)) return peer.address;
  const host = natToHost(address, PROTOCOL_UDP, port);
  return host == 0 && isKnown ? peer.address : host;
}

/** The guest's address that the flow of spot 0 of its port is under. */
function ownerOf(guest: u32, port: u32): u32 {
  if (!ownIsDual(port)) return guest;
  const six = isSix(guest);
  const isUsual = guest == guestConfigured(six) || guest == guestAddress(six);
  return isUsual ? guestConfigured(false) : guest;
}

/** Who spoke to the guest from `shown`, at this or its usual address; null = nobody. */
function spokenTo(guest: u32, shown: u32, ports: u32, now: i64): Peer {
  if (!peersHave(ports)) return changetype<Peer>(0);
  const known = peerFind(guest, shown, ports, now);
  if (changetype<usize>(known) != 0) return known;
  const usual = usualOf(guest);
  return usual == 0 ? known : peerFind(usual, shown, ports, now);
}

/**
 * The usual address of the machine that the datagram is from, which has used another; 0 = none. One
 * that nobody has been heard from is taken for the same machine's.
 */
function usualOf(guest: u32): u32 {
  const six = isSix(guest);
  const configured = guestConfigured(six);
  const usual = guest == configured ? guestAddress(six) : configured;
  if (usual == 0 || usual == guest) return 0;
  const mac = neighborFind(usual);
  return mac == guestMac || mac == 0 ? usual : 0;
}

/** The flow of a published port that the same machine has at its usual address; or none. */
function publishedFlow(guest: u32, ports: u32): UdpFlow {
  const usual = usualOf(guest);
  if (usual == 0) return changetype<UdpFlow>(0);
  const flow = changetype<UdpFlow>(flowFind(abi.KIND_UDP, usual, 0, ports));
  return !isNone(flow) && has(flow, F_PUBLISHED) ? flow : changetype<UdpFlow>(0);
}

/**
 * A UDP datagram from the guest, over IPv4 or IPv6. `length` = octets of the IP payload;
 * `checksumTrusted` = the link vouches for the checksum; `gsoSize` = size of the datagrams the
 * payload is a run of, 0 = it is one.
 */
export function udpInput(
  ip: usize,
  udp: usize,
  length: u32,
  mac: u64,
  checksumTrusted: bool,
  gsoSize: u32,
  now: i64,
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
    dnsInput(ip, payload, payloadLength, (view.sourcePort << 16) | port, mac, now);
    return;
  }
  if (tftpAddressed(peer) && tftpInput(guest, peer, view.sourcePort, port, now)) return;
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
  const known = spokenTo(guest, peer, (view.sourcePort << 16) | port, now);
  const isKnown = changetype<usize>(known) != 0;
  const address = target(known, peer, port);
  if (address == 0) {
    const reason = natRefusal(peer, PROTOCOL_UDP, port);
    drop(reason);
    reply(ICMP_UNREACHABLE, reason == abi.DROP_LOOPBACK ? PORT_UNREACHABLE : PROHIBITED, now);
    return;
  }
  const spot = isKnown ? known.spot : 0;
  const owner = isKnown ? known.owner : ownerOf(guest, view.sourcePort);
  const ports = (view.sourcePort << 16) | spot;
  let flow = changetype<UdpFlow>(flowFind(abi.KIND_UDP, owner, 0, ports));
  if (isNone(flow)) flow = publishedFlow(guest, ports);
  if (isNone(flow)) {
    flow = datagramOpen(abi.KIND_UDP, SHARE_DATAGRAM, owner, 0, ports);
    if (isNone(flow)) {
      drop(abi.DROP_UDP_TABLE_FULL);
      return;
    }
  }
  flow.guestMac = mac;
  flow.hostAddress = address;
  filterAdd(flow, address);
  datagramTouch(flow, now);
  queue(flow, address, port, ttl, isKnown ? known.asked : 0);
}

/**
 * Something has come in at a published UDP port: the flow of spot `code >> INBOUND_SPOT_SHIFT` of
 * `guestPort`, for a socket the host has bound to `hostPort`, of IPv6 if the rest of `code` is
 * FAMILY_SIX (`ownIsDual` says which are of both). `fixed` = the one address of the guest it leads
 * to, 0 = whichever the guest uses. Returns its handle; 0 = there is no slot for it, or it has its
 * socket already.
 */
export function udpInboundOpen(
  guestPort: u32,
  hostPort: u32,
  code: u32,
  fixed: u32,
  now: i64,
): u32 {
  const spot = code >>> abi.INBOUND_SPOT_SHIFT;
  const six = (code & 0xff) == <u32>abi.FAMILY_SIX;
  if (guestPort == 0 || guestPort > 0xffff || spot >= <u32>abi.SPOT_COUNT) return 0;
  if (fixed != 0 && isSix(fixed) != six) return 0;
  const guest = fixed != 0 ? fixed : inboundOwner(guestPort, spot, six);
  if (guest == 0) return 0;
  const ports = (guestPort << 16) | spot;
  let flow = changetype<UdpFlow>(flowFind(abi.KIND_UDP, guest, 0, ports));
  if (!isNone(flow) && flow.socket != SOCKET_NONE) {
    if (has(flow, F_PUBLISHED) || closeRoom() == 0) return 0;
    datagramEnd(flow);
    flow = changetype<UdpFlow>(0);
  }
  if (isNone(flow)) {
    flow = datagramOpen(abi.KIND_UDP, SHARE_PUBLISHED, guest, 0, ports);
    if (isNone(flow)) return 0;
  }
  publish(flow, hostPort);
  if (fixed != 0) flow.flags |= F_FIXED;
  datagramTouch(flow, now);
  if (flow.batchHead >= 0) markDirty(flow);
  return handleOf(flow);
}

/** Under which address of the guest the flow of a spot is, no rule naming one. */
function inboundOwner(guestPort: u32, spot: u32, six: bool): u32 {
  return spot == 0 && ownIsDual(guestPort) ? guestConfigured(false) : guestAddress(six);
}

/** The flow has the socket of a published port, which stays when the flow ends. */
function publish(flow: UdpFlow, hostPort: u32): void {
  if (flow.share != SHARE_PUBLISHED) shareMove(flow, SHARE_PUBLISHED);
  flow.flags |= F_PUBLISHED;
  if (flow.peerPort == 0 && ownIsDual(flow.guestPort) && !isSix(flow.guestAddress)) {
    flow.flags |= F_DUAL;
  }
  enterSocket(flow, SOCKET_OPEN);
  flow.hostPort = <u16>hostPort;
}

// ---------------------------------------------------------------- operations and time

/** Result of OP_UDP_OPEN: positive = the port the socket got. */
function opened(op: Op, flow: UdpFlow, now: i64): void {
  if (openAgain(flow, op.result)) return;
  if (op.result >= 0) {
    if ((op.result & abi.OPENED_PUBLISHED) != 0) {
      publish(flow, op.result & 0xffff);
      datagramTouch(flow, now);
    } else {
      enterSocket(flow, SOCKET_OPEN);
      if (flow.kind == <u8>abi.KIND_UDP) {
        flow.hostPort = op.result > 0 ? <u16>op.result : <u16>op.a;
      }
    }
    if (flow.batchHead >= 0) markDirty(flow);
    return;
  }
  enterSocket(flow, SOCKET_NONE);
  if (flow.kind == <u8>abi.KIND_DNS) {
    dnsOpenFailed(flow, op.result, now);
    return;
  }
  if (has(flow, F_LOCAL))
    datagramDiscard(flow); // whoever asked asks again
  else datagramRefuse(flow, op.result, now);
  datagramEnd(flow);
}

/** Result of an operation of this flow. */
export function udpResult(op: Op, flow: Flow, now: i64): void {
  const datagram = changetype<UdpFlow>(flow);
  const kind = op.kind;
  if (kind == abi.OP_UDP_SEND) {
    datagramSent(op, datagram, now);
    if (!has(datagram, F_REFUSED)) return;
    datagram.flags &= ~F_REFUSED;
    dnsUnreachable(datagram, now);
  } else if (kind == abi.OP_UDP_RECV) datagramReceived(op, datagram, now);
  else if (kind == abi.OP_RECV_ERROR) datagramError(op, datagram, now);
  else if (kind == abi.OP_PATH_MTU) datagramPath(op, datagram, now);
  else if (kind == abi.OP_UDP_OPEN) opened(op, datagram, now);
}

/** The flow's deadline has come: it ends if it was idle for its limit. */
export function udpTimeout(flow: Flow, now: i64): void {
  const datagram = changetype<UdpFlow>(flow);
  const due = has(datagram, F_OVER) ? now : flow.lastActive + idleLimit(flow.kind);
  if (now < due || closeRoom() == 0) {
    timerSet(flow, slotOf(flow), max(due, now + RETRY_LATER));
    return;
  }
  datagramEnd(datagram);
}
