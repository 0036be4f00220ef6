/**
 * The host's connection on its way: asked for, up, or refused, and what the guest hears of that.
 * The guest's SYN is held meanwhile (`conn`).
 */
import * as abi from "../abi/index";
import {
  EACCES,
  EADDRNOTAVAIL,
  EHOSTDOWN,
  EHOSTUNREACH,
  ENETUNREACH,
  EPERM,
  ETIMEDOUT,
} from "../errno";
import { isIpv6, octetsOf, scopeOf } from "../flow/addresses";
import { icmpErrorQuote } from "../flow/icmp-error";
import { noticeBegin } from "../flow/icmp-notice";
import { enterState, LIST_HALF_OPEN } from "../flow/kinds";
import { socketRoomFor } from "../flow/limits";
import { gatewayFor } from "../flow/send";
import { handleOf, listTouch, markDirty } from "../flow/table";
import { msgAlloc, msgName, opAlloc } from "../ring";
import { sockaddr6 } from "../sockaddr";
import { ICMP_HOST, ICMP_NET, ICMP_PROHIBITED, ICMP_UNREACHABLE } from "../wire/icmpv4";
import { PROTOCOL_TCP } from "../wire/ipv4";
import { TCP_HEADER_SIZE, TCP_SYN, TCP_WINDOW_MAX, tcpEmit } from "../wire/tcp";
import {
  F_CONNECT_RETRIED,
  F_SOCKET,
  has,
  P_CONNECT,
  P_SYN,
  RTO_INITIAL_US,
  Tcp,
  tcpArm,
} from "./conn";
import { keepaliveStart } from "./deadline";
import { sendReset } from "./emit";
import { tcpEnd } from "./ending";

/** Emits the connect. */
export function connectHost(flow: Tcp): void {
  const op = opAlloc(abi.OP_TCP_CONNECT, handleOf(flow));
  const address = flow.hostAddress;
  op.b = flow.hostPort;
  op.c = flow.tos;
  if (isIpv6(address)) {
    op.pointer = <u32>msgName(msgAlloc(1));
    sockaddr6(op.pointer, octetsOf(address), scopeOf(address), flow.hostPort);
    op.count = abi.FAMILY_SIX;
  } else op.a = address;
  flow.flags |= F_SOCKET;
}

const QUOTE: usize = memory.data(TCP_HEADER_SIZE, 8);

/** Tells the guest why there is no connection (RFC 9293 §3.9.2.2, RFC 5382 REQ-9). */
export function refused(flow: Tcp, errno: i32, now: i64): void {
  let code = -1;
  // EADDRNOTAVAIL: the address to go out from is no longer there.
  if (errno == ENETUNREACH || errno == EADDRNOTAVAIL) code = ICMP_NET;
  else if (errno == EHOSTUNREACH || errno == ETIMEDOUT || errno == EHOSTDOWN) code = ICMP_HOST;
  else if (errno == EPERM || errno == EACCES) code = ICMP_PROHIBITED;
  if (code < 0) sendReset(flow, now);
  else {
    const guest = flow.guestAddress;
    const ports = ((<u32>flow.guestPort) << 16) | <u32>flow.peerPort;
    const size = TCP_HEADER_SIZE;
    tcpEmit(QUOTE, ports, flow.irs, 0, size, TCP_SYN, TCP_WINDOW_MAX);
    noticeBegin(ICMP_UNREACHABLE, code, 0, gatewayFor(guest), flow.guestMac);
    icmpErrorQuote(guest, flow.peerAddress, PROTOCOL_TCP, QUOTE, size, size, now);
  }
  tcpEnd(flow, false);
}

/** The host had no socket to give: once more after another flow has ended; false = no more. */
export function connectAgain(flow: Tcp): bool {
  if (has(flow, F_CONNECT_RETRIED) || !socketRoomFor(flow)) return false;
  flow.flags |= P_CONNECT | F_CONNECT_RETRIED;
  markDirty(flow);
  return true;
}

/** The host is connected: now the guest's SYN is answered. */
export function connected(flow: Tcp, now: i64): void {
  enterState(flow, abi.STATE_SYN_RECEIVED);
  flow.flags |= P_SYN;
  flow.troubleAt = now;
  flow.rtoAt = now + RTO_INITIAL_US;
  keepaliveStart(flow, now);
  listTouch(flow, LIST_HALF_OPEN);
  tcpArm(flow);
  markDirty(flow);
}
