/**
 * The kinds of flows, what each has of its own, and how a flow lives.
 *
 * Theory of operation
 *   A flow is a slot of the table (`table`) with a kind: TCP, UDP, ping, DNS. What is the same for
 *   all flows of a kind stands here, a line for each kind in each function: the share that its slot
 *   counts against, the list that it waits in, how long it may be idle, what is counted when it
 *   ends. What a kind does - with an event of its socket, when it is its turn to send or to
 *   receive, when its time comes, with the result of an operation, when it gives way or ends - is
 *   in files of its own, and `dispatch` leads there. A further kind is a line in each function of
 *   these two files, and its own file.
 *
 * Life of a flow, and who moves it on
 *
 *     FREE ──flowAllocate──▶ of a kind, in the index ──flowRelease──▶ FREE
 *
 *   `flowAllocate` gives it tuple and generation; only the file of its kind calls it, after
 *   `shares` has admitted it. `flowRelease` is called by `tcpEnd` and `datagramEnd` alone, which
 *   see to socket and payload first. In between a flow is moved on by its own kind:
 *
 *     TCP (`state`)                                                 by
 *       CLOSED       ▶ CONNECTING   the guest has sent SYN          tcp/open
 *       CLOSED       ▶ SYN-SENT     the host has accepted           tcp/arrival
 *       CONNECTING   ▶ SYN-RECEIVED the host is connected           tcp/connecting
 *       SYN-SENT     ▶ SYN-RECEIVED both have sent SYN              tcp/handshake
 *       SYN-SENT, SYN-RECEIVED ▶ ESTABLISHED                        tcp/handshake
 *       ESTABLISHED  ▶ FIN-WAIT-1, CLOSE-WAIT ▶ LAST-ACK our FIN    tcp/output
 *       ESTABLISHED  ▶ CLOSE-WAIT, FIN-WAIT-1 ▶ CLOSING             tcp/upstream, the guest's FIN
 *       FIN-WAIT-1   ▶ FIN-WAIT-2                                   tcp/input, ours acknowledged
 *       FIN-WAIT-1, FIN-WAIT-2, CLOSING ▶ TIME-WAIT                 tcp/conn
 *     UDP, DNS and ping (`socket`, `datagram`)
 *       NONE         ▶ OPENING      something is to be sent         datagram-send
 *       OPENING      ▶ OPEN, NONE   the host's answer               udp, ping
 *       OPENING      ▶ FAILED       the host grants no such socket  ping
 *       NONE         ▶ OPEN         a published port's              udp
 *
 *   Any state may end. `enterState` and `enterSocket` are the only ones to write these fields, and
 *   in the checked build (`trap`) they refuse every other step.
 */
import * as abi from "../abi/index";
import { Flow } from "../layout";
import { config } from "../memory";
import { SECOND_US } from "../timer";
import { CHECKED } from "../trap";

export const LIST_NONE: u8 = 0;
export const LIST_TIME_WAIT: u8 = 1;
export const LIST_DNS: u8 = 2;
export const LIST_PING: u8 = 3;
export const LIST_UDP: u8 = 4;
/** The guest's SYN waits for the host, or its answer to ours. */
export const LIST_HALF_OPEN: u8 = 5;
/** A connection from outside that the guest has not answered yet. */
export const LIST_ARRIVING: u8 = 6;
/** UDP that somebody outside has begun, by a published port. */
export const LIST_PUBLISHED: u8 = 7;
export const LIST_COUNT: i32 = 8;
/** Established: in the list of its party (`parties`), not in one of these. */
export const LIST_PARTY: u8 = 8;

/** TCP that the guest opens. */
export const SHARE_GUEST: u8 = 0;
/** TCP that comes from outside to published ports. */
export const SHARE_OUTSIDE: u8 = 1;
/** UDP and ping. */
export const SHARE_DATAGRAM: u8 = 2;
export const SHARE_DNS: u8 = 3;
/** Published UDP ports that are in use. */
export const SHARE_PUBLISHED: u8 = 4;
/** TIME-WAIT: always the first to give way. */
export const SHARE_REST: u8 = 5;
export const SHARE_COUNT: i32 = 6;

if (
  SHARE_OUTSIDE != <u8>abi.TRACE_SHARE_OUTSIDE ||
  SHARE_PUBLISHED != <u8>abi.TRACE_SHARE_PUBLISHED
) {
  ERROR("kinds.ts and abi.ts disagree");
}

const DNS_IDLE_US: i64 = 10 * SECOND_US;
/** RFC 5508 REQ-2: at least 60 s. */
const PING_IDLE_US: i64 = 60 * SECOND_US;
/** RFC 4787 REQ-5: the recommended default. */
export const UDP_IDLE_DEFAULT_US: i64 = 300 * SECOND_US;

/** Whether the number is a kind that a flow may be of. */
export function isKind(kind: u32): bool {
  return (
    kind == abi.KIND_TCP || kind == abi.KIND_UDP || kind == abi.KIND_PING || kind == abi.KIND_DNS
  );
}

/** The share that flows of this kind count against unless they are moved. */
export function shareOf(kind: u32): u8 {
  if (kind == abi.KIND_TCP) return SHARE_GUEST;
  return kind == abi.KIND_DNS ? SHARE_DNS : SHARE_DATAGRAM;
}

/** The list of datagram flows of this kind that may be evicted, where it is its share's own. */
export function listOf(kind: u8): u8 {
  if (kind == <u8>abi.KIND_DNS) return LIST_DNS;
  return kind == <u8>abi.KIND_PING ? LIST_PING : LIST_UDP;
}

/** How long a datagram flow may be idle, microseconds. TCP: `tcp/timers`. */
export function idleLimit(kind: u8): i64 {
  if (kind == <u8>abi.KIND_DNS) return DNS_IDLE_US;
  if (kind == <u8>abi.KIND_PING) return PING_IDLE_US;
  const seconds = config(abi.CONFIG_UDP_TIMEOUT_SECONDS_OFFSET);
  return seconds == 0 ? UDP_IDLE_DEFAULT_US : <i64>seconds * SECOND_US;
}

/** Why datagrams of the flow that the host did not take are lost. */
export function sendDropReason(kind: u8): i32 {
  return kind == <u8>abi.KIND_PING ? abi.DROP_PING_SEND : abi.DROP_UDP_SEND;
}

/** What is counted when a flow gives way to another one. */
export function evictedStat(flow: Flow): i32 {
  const kind = flow.kind;
  if (kind == <u8>abi.KIND_DNS) return abi.STAT_DNS_EVICTED;
  if (kind != <u8>abi.KIND_TCP) return abi.STAT_UDP_EVICTED;
  if (flow.state == <u8>abi.STATE_TIME_WAIT) return abi.STAT_TIME_WAIT_EVICTED;
  return flow.state < <u8>abi.STATE_ESTABLISHED
    ? abi.STAT_HALF_OPEN_EVICTED
    : abi.STAT_TCP_GAVE_WAY;
}

/** A set of states, a bit each. */
function bit(state: i32): u32 {
  return (<u32>1) << (<u32>state);
}

/** States that a TCP flow may enter from this one. */
function statesAfter(state: u8): u32 {
  switch (<i32>state) {
    case abi.STATE_CLOSED:
      return bit(abi.STATE_CONNECTING) | bit(abi.STATE_SYN_SENT);
    case abi.STATE_CONNECTING:
      return bit(abi.STATE_SYN_RECEIVED);
    case abi.STATE_SYN_SENT:
      return bit(abi.STATE_SYN_RECEIVED) | bit(abi.STATE_ESTABLISHED);
    case abi.STATE_SYN_RECEIVED:
      return bit(abi.STATE_ESTABLISHED);
    case abi.STATE_ESTABLISHED:
      return bit(abi.STATE_FIN_WAIT_1) | bit(abi.STATE_CLOSE_WAIT);
    case abi.STATE_FIN_WAIT_1:
      return bit(abi.STATE_FIN_WAIT_2) | bit(abi.STATE_CLOSING) | bit(abi.STATE_TIME_WAIT);
    case abi.STATE_CLOSE_WAIT:
      return bit(abi.STATE_LAST_ACK);
    case abi.STATE_FIN_WAIT_2:
    case abi.STATE_CLOSING:
      return bit(abi.STATE_TIME_WAIT);
    default:
      return 0; // LAST-ACK and TIME-WAIT can only end
  }
}

/** Moves a TCP flow on. */
export function enterState(flow: Flow, state: i32): void {
  if (CHECKED) {
    assert(flow.kind == <u8>abi.KIND_TCP, "only TCP flows have these states");
    assert((statesAfter(flow.state) & bit(state)) != 0, "this state does not follow that one");
  }
  flow.state = <u8>state;
}
