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
 * Contract: the packet under way has a sound IP header; the DHCP server has had its look. All
 * functions take the flow of their own kinds only (KIND_UDP, KIND_DNS).
 * Source: RFC 768, RFC 1122 §4.1, RFC 4787, RFC 5452, RFC 5625.
 */
import * as abi from "../abi/index";
import { Flow, Op } from "../layout";
import { drop } from "../stats";
import { SECOND_US, timerSet } from "../timer";
import { ICMP_PORT, ICMP_PROHIBITED, ICMP_TIME_EXCEEDED, ICMP_UNREACHABLE } from "../wire/icmpv4";
import { PROTOCOL_UDP, WIRE_OK } from "../wire/ipv4";
import { UDP_TRUNCATED, UdpView, udpCheck } from "../wire/udp";
import { isIpv6 } from "./addresses";
import {
  datagramTouch,
  enterSocket,
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
  datagramDiscard,
  datagramOpen,
  datagramPath,
  datagramRefuse,
  datagramSent,
} from "./datagram-send";
import { dnsInput, dnsOpenFailed, dnsUnreachable, dnsWanted } from "./dns";
import { dnsInit } from "./dns-turn";
import { isOwnAddress } from "./emit";
import { closeRoom, datagramEnd } from "./evict";
import { sendIcmpError } from "./icmp-error";
import { idleLimit, SHARE_DATAGRAM } from "./kinds";
import { openAgain } from "./limits";
import { natIsGuest, natRefusal, natToHost, natUnusable } from "./nat";
import { guestConfigured, neighborFind } from "./neighbor";
import { ownIsDual } from "./own";
import { packet, transportChecksumOk } from "./packet";
import { Peer, peerFind, peersHave, peersInit } from "./peers";
import { gatewayFor } from "./send";
import { flowFind, isNone, markDirty, slotOf } from "./table";
import { tftpAddressed, tftpInit, tftpInput } from "./tftp";
import { publish } from "./udp-published";
import { udpQueue } from "./udp-queue";
import { guestAddress } from "./whereabouts";

const TTL_USUAL: i32 = 64;
const RETRY_LATER_US: i64 = SECOND_US;

/** Forgets what is remembered beside the flow table: peers, DNS, scratch slots. */
export function udpInit(): void {
  peersInit();
  dnsInit();
  tftpInit();
  scratchReset();
}

/** Sends an ICMP error about the datagram under way. */
function sendIcmpErrorFor(type: u32, code: u32, now: i64): void {
  const to = packet.destination;
  // Unreachable ports are the business of the address they belong to, the rest is the router's.
  const source = code == ICMP_PORT && isOwnAddress(to) ? to : gatewayFor(to);
  sendIcmpError(type, code, source, now);
}

/** Zero is "no checksum" in IPv4 (RFC 768) and wrong in IPv6 (RFC 8200 §8.1). */
function isChecksumOk(length: u32): bool {
  if (UdpView.at(packet.data).checksum == 0) return !packet.isIpv6;
  const source = packet.source;
  return transportChecksumOk(packet.data, length, source, packet.destination, PROTOCOL_UDP);
}

/** Why the datagram is malformed or has no business here; DROP_NONE = it has. */
function validateDatagram(): i32 {
  const verdict = udpCheck(packet.data, packet.length);
  if (verdict == UDP_TRUNCATED) return abi.DROP_UDP_TRUNCATED;
  if (verdict != WIRE_OK) return abi.DROP_UDP_LENGTH;
  const view = UdpView.at(packet.data);
  if (!natIsGuest(packet.source)) return abi.DROP_IP_SOURCE;
  if (!packet.isChecksumTrusted && !isChecksumOk(view.length)) return abi.DROP_UDP_CHECKSUM;
  if (view.sourcePort == 0 || view.destinationPort == 0) return abi.DROP_UDP_PORT;
  return natUnusable(packet.destination) ? abi.DROP_IP_DESTINATION : abi.DROP_NONE;
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
  const six = isIpv6(guest);
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
  const six = isIpv6(guest);
  const configured = guestConfigured(six);
  const usual = guest == configured ? guestAddress(six) : configured;
  if (usual == 0 || usual == guest) return 0;
  const mac = neighborFind(usual);
  return mac == packet.mac || mac == 0 ? usual : 0;
}

/** The flow of a published port that the same machine has at its usual address; or none. */
function publishedFlow(guest: u32, ports: u32): UdpFlow {
  const usual = usualOf(guest);
  if (usual == 0) return changetype<UdpFlow>(0);
  const flow = changetype<UdpFlow>(flowFind(abi.KIND_UDP, usual, 0, ports));
  return !isNone(flow) && has(flow, F_PUBLISHED) ? flow : changetype<UdpFlow>(0);
}

/** Takes the packet under way, a UDP datagram. */
export function udpInput(now: i64): void {
  const verdict = validateDatagram();
  if (verdict != abi.DROP_NONE) {
    drop(verdict);
    return;
  }
  const view = UdpView.at(packet.data);
  packet.length = view.length; // what lies behind is no part of the datagram
  const port = view.destinationPort;
  if (dnsWanted(packet.destination, port)) {
    dnsInput((view.sourcePort << 16) | port, now);
    return;
  }
  if (tftpAddressed(packet.destination) && tftpInput(view.sourcePort, port, now)) return;
  relay(view.sourcePort, port, now);
}

/** The TTL that the datagram leaves with, 0 = the host's usual; -1 = it ends here (told). */
function outgoingTtl(now: i64): i32 {
  if (isOwnAddress(packet.destination)) return 0;
  const ttl = <i32>packet.ttl;
  if (ttl > 1) return ttl == TTL_USUAL ? 0 : ttl - 1;
  drop(abi.DROP_IP_TTL);
  sendIcmpErrorFor(ICMP_TIME_EXCEEDED, 0, now);
  return -1;
}

/** The datagram goes to `port` of whom its address stands for. */
function relay(guestPort: u32, port: u32, now: i64): void {
  const guest = packet.source;
  const peer = packet.destination;
  const ttl = outgoingTtl(now);
  if (ttl < 0) return;
  const known = spokenTo(guest, peer, (guestPort << 16) | port, now);
  const isKnown = changetype<usize>(known) != 0;
  const address = target(known, peer, port);
  if (address == 0) {
    const reason = natRefusal(peer, PROTOCOL_UDP, port);
    drop(reason);
    const code = reason == abi.DROP_LOOPBACK ? ICMP_PORT : ICMP_PROHIBITED;
    sendIcmpErrorFor(ICMP_UNREACHABLE, code, now);
    return;
  }
  const spot = isKnown ? known.spot : 0;
  const owner = isKnown ? known.owner : ownerOf(guest, guestPort);
  const ports = (guestPort << 16) | spot;
  let flow = changetype<UdpFlow>(flowFind(abi.KIND_UDP, owner, 0, ports));
  if (isNone(flow)) flow = publishedFlow(guest, ports);
  if (isNone(flow)) {
    flow = datagramOpen(abi.KIND_UDP, SHARE_DATAGRAM, owner, 0, ports);
    if (isNone(flow)) {
      drop(abi.DROP_UDP_TABLE_FULL);
      return;
    }
  }
  flow.guestMac = packet.mac;
  flow.hostAddress = address;
  filterAdd(flow, address);
  datagramTouch(flow, now);
  udpQueue(flow, address, port, ttl, isKnown ? known.asked : 0);
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
    timerSet(flow, slotOf(flow), max(due, now + RETRY_LATER_US));
    return;
  }
  datagramEnd(datagram);
}
