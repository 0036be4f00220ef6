/**
 * Ping: the guest's echo requests go out through unprivileged ping sockets of the host.
 *
 * Theory of operation
 *   One socket per guest address and identifier, whatever the destination (RFC 5508 REQ-1); two
 *   pingers have two sockets, so their replies cannot mix. The kernel gives requests an identifier
 *   of its own choice, computes their checksum and hands back only what answers them; on the way
 *   back the guest's identifier is restored (`datagram-deliver`, `errors` for what ICMP errors
 *   quote). A reply is never made up here.
 *
 *   Where the host grants no ping socket (net.ipv4.ping_group_range) the flow remembers why until
 *   it has been idle for its limit, and requests are answered "administratively prohibited", or
 *   whatever the errno says, without asking again.
 *
 * ICMPv6's echo differs in its types and checksum only.
 *
 * Contract: `pingInput` gets echo requests for other addresses than the engine's own; it verifies
 * the checksum, as the kernel would replace a wrong one by a right one. All functions take flows of
 * KIND_PING only. Source: RFC 792, RFC 4443 §4, RFC 5508 §3, icmp(7).
 */
import * as abi from "../abi/index";
import { Flow, Op } from "../layout";
import { drop } from "../stats";
import { SECOND_US, timerSet } from "../timer";
import {
  ICMP_ECHO_REQUEST,
  ICMP_HEADER_SIZE,
  ICMP_HOST,
  ICMP_PROHIBITED,
  ICMP_TIME_EXCEEDED,
  ICMP_UNREACHABLE,
  Icmpv4View,
  icmpv4ChecksumOk,
} from "../wire/icmpv4";
import { ICMPV6_ECHO_REQUEST, PROTOCOL_ICMPV6 } from "../wire/icmpv6";
import { PROTOCOL_ICMP } from "../wire/ipv4";
import {
  datagramStart,
  datagramTouch,
  enterSocket,
  F_ASKING,
  F_OPEN_RETRIED,
  filterAdd,
  SOCKET_FAILED,
  SOCKET_NONE,
  SOCKET_OPEN,
  UdpFlow,
} from "./datagram";
import { datagramError, datagramReceived } from "./datagram-receive";
import { unreachableCode } from "./datagram-refusal";
import { datagramAppend, datagramPath, datagramRefuse, datagramSent } from "./datagram-send";
import { closeRoom, datagramEnd } from "./evict";
import { sendIcmpError } from "./icmp-error";
import { idleLimit, SHARE_DATAGRAM } from "./kinds";
import { isShortage, openAgain } from "./limits";
import { natIsGuest, natRefusal, natToHost, natUnusable } from "./nat";
import { packet, packetSize, transportChecksumOk } from "./packet";
import { PATH_REFUSED, PATH_UNKNOWN, pathJudge } from "./path-mtu";
import { gatewayOf } from "./send";
import { admit } from "./shares";
import { flowAllocate, flowFind, isNone, markDirty, slotOf } from "./table";

const TTL_USUAL: u32 = 64;
const RETRY_LATER_US: i64 = SECOND_US;

/** Why the request is malformed or has no business here; DROP_NONE = it has. */
function validateRequest(): i32 {
  const p = packet.data;
  const length = packet.length;
  if (length < ICMP_HEADER_SIZE) return abi.DROP_ICMP_TRUNCATED;
  const isIpv6 = packet.isIpv6;
  const isSound = isIpv6
    ? transportChecksumOk(p, length, packet.source, packet.destination, PROTOCOL_ICMPV6)
    : icmpv4ChecksumOk(p, length);
  if (!isSound) return abi.DROP_ICMP_CHECKSUM;
  const message = Icmpv4View.at(p); // an echo looks the same in ICMPv6
  const request = isIpv6 ? ICMPV6_ECHO_REQUEST : ICMP_ECHO_REQUEST;
  if (message.type != request || message.code != 0) return abi.DROP_ICMP_TYPE;
  if (!natIsGuest(packet.source)) return abi.DROP_IP_SOURCE;
  return natUnusable(packet.destination) ? abi.DROP_IP_DESTINATION : abi.DROP_NONE;
}

/** The flow of this identifier, a new one if there is none; address 0 = the table is full. */
function flowFor(guest: u32, identifier: u32, now: i64): UdpFlow {
  const ports = identifier << 16;
  let flow = changetype<UdpFlow>(flowFind(abi.KIND_PING, guest, 0, ports));
  if (!isNone(flow)) return flow;
  if (!admit(SHARE_DATAGRAM, 0)) return changetype<UdpFlow>(0);
  flow = changetype<UdpFlow>(flowAllocate(abi.KIND_PING, guest, 0, ports));
  datagramStart(flow);
  datagramTouch(flow, now); // whatever becomes of the request, the flow ends some day
  return flow;
}

/** Takes the packet under way, an echo request for somebody else than us. */
export function pingInput(now: i64): void {
  const verdict = validateRequest();
  if (verdict != abi.DROP_NONE) {
    drop(verdict);
    return;
  }
  const gateway = gatewayOf(packet.isIpv6);
  if (packet.ttl <= 1) {
    drop(abi.DROP_IP_TTL);
    sendIcmpError(ICMP_TIME_EXCEEDED, 0, gateway, now);
    return;
  }
  const address = natToHost(packet.destination, PROTOCOL_ICMP, 0);
  if (address == 0) {
    const reason = natRefusal(packet.destination, PROTOCOL_ICMP, 0);
    drop(reason);
    const code = reason == abi.DROP_LOOPBACK ? ICMP_HOST : ICMP_PROHIBITED;
    sendIcmpError(ICMP_UNREACHABLE, code, gateway, now);
    return;
  }
  const flow = flowFor(packet.source, Icmpv4View.at(packet.data).identifier, now);
  if (isNone(flow)) {
    drop(abi.DROP_PING_TABLE_FULL);
    return;
  }
  if (flow.socket == SOCKET_FAILED) {
    // Not touched: after its limit the flow ends and the host is asked once more.
    drop(abi.DROP_PING_SEND);
    const code = unreachableCode(-(<i32>flow.openFailures));
    sendIcmpError(ICMP_UNREACHABLE, max(code, 0), gateway, now);
    return;
  }
  queue(flow, address, now);
}

/** Queues the request for the host's `address`. */
function queue(flow: UdpFlow, address: u32, now: i64): void {
  const path = pathJudge(packet.ip, packetSize(), address, packet.mac, now);
  if (path == PATH_REFUSED) {
    drop(abi.DROP_PATH_MTU);
    return;
  }
  datagramTouch(flow, now);
  flow.guestMac = packet.mac;
  flow.hostAddress = address;
  filterAdd(flow, address);
  const entry = datagramAppend(flow, packet.data, packet.length);
  if (changetype<usize>(entry) == 0) {
    drop(abi.DROP_OP_LIMIT);
    return;
  }
  entry.address = address;
  entry.port = 0;
  entry.ttl = <u8>(packet.ttl == TTL_USUAL ? 0 : packet.ttl - 1);
  entry.tos = <u8>packet.tos;
  entry.quote = <u32>packet.ip;
  if (path != PATH_UNKNOWN) return;
  entry.asks = 1;
  flow.flags |= F_ASKING;
}

/** Result of OP_PING_OPEN: the identifier on the host's side. */
function opened(op: Op, flow: UdpFlow, now: i64): void {
  if (openAgain(flow, op.result)) return;
  if (op.result < 0) {
    // A shortage passes; a host that grants no ping sockets does not change its mind soon.
    enterSocket(flow, isShortage(op.result) ? SOCKET_NONE : SOCKET_FAILED);
    flow.flags &= ~F_OPEN_RETRIED;
    flow.openFailures = <u32>-op.result;
    datagramRefuse(flow, op.result, now);
    return;
  }
  enterSocket(flow, SOCKET_OPEN);
  flow.hostPort = <u16>op.result;
  if (flow.batchHead >= 0) markDirty(flow);
}

/** Result of an operation of this flow. */
export function pingResult(op: Op, flow: Flow, now: i64): void {
  const datagram = changetype<UdpFlow>(flow);
  const kind = op.kind;
  if (kind == abi.OP_UDP_SEND) datagramSent(op, datagram, now);
  else if (kind == abi.OP_UDP_RECV) datagramReceived(op, datagram, now);
  else if (kind == abi.OP_RECV_ERROR) datagramError(op, datagram, now);
  else if (kind == abi.OP_PATH_MTU) datagramPath(op, datagram, now);
  else if (kind == abi.OP_PING_OPEN) opened(op, datagram, now);
}

/** The flow's deadline has come: it ends if it was idle for its limit. */
export function pingTimeout(flow: Flow, now: i64): void {
  const due = flow.lastActive + idleLimit(flow.kind);
  if (now < due || closeRoom() == 0) {
    timerSet(flow, slotOf(flow), max(due, now + RETRY_LATER_US));
    return;
  }
  datagramEnd(changetype<UdpFlow>(flow));
}
