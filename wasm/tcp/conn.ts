/**
 * The guest-facing TCP connection: record, states, beginning; how one ends is in `ending`.
 *
 * Theory of operation
 *  Every guest connection ends here and is carried on by a host socket. The guest's bytes are
 *  handed to the host socket straight from the frame they came in; the host's bytes are received
 *  into chunks, framed, and kept until the guest acknowledges them.
 *
 *  Promises. A SYN is answered only when the host connection is up. A byte is acknowledged only
 *  when the host socket has taken it: RCV.NXT on the wire is `rcvAck`; what has arrived in order
 *  but is not yet taken lies between `rcvAck` and `rcvNext`. The guest's FIN is acknowledged only
 *  after shutdown(SHUT_WR) on the host socket; our FIN follows the host's end of stream. A reset on
 *  one side becomes a reset on the other.
 *
 *  Receive side (guest -> host), `input` -> `upstream`: in-order payload of a batch is listed
 *  (entries) and leaves in one sendmsg per flow and batch. What the socket did not take, and what
 *  came out of order, is held in chunks (`reassembly`), bounded per flow and in total. While the
 *  socket is full the window's right edge stands still; after a second of that a window of zero is
 *  shown, so that the guest probes instead of giving up.
 *
 *  Send side (host -> guest), `upstream` -> `output`: no more is received from the host than may be
 *  sent at once (window, congestion window, pool), so the kernel's socket buffer is the queue and
 *  ours is only the retransmission queue [sndUna, sndEnd).
 *
 *  Flow control, `window`: what we advertise is the least of pool room, the ceiling, and the link
 *  queue's packets x MSS shared by the active flows when the guest does not send offload frames.
 *  Loss recovery, `recovery`: a scoreboard (`board`), RACK-TLP and PRR, for guests without SACK as
 *  far as they can be told apart; RFC 6298 timer with a floor of 200 ms (the guest is a local link
 *  away); growth as NewReno.
 *
 *  States are RFC 9293's, plus CONNECTING (LISTEN with a SYN held while the host connects):
 *    CONNECTING -> SYN-RECEIVED -> ESTABLISHED -> FIN-WAIT-1 -> FIN-WAIT-2 -> TIME-WAIT
 *    SYN-SENT (inbound) -^              \-> CLOSE-WAIT -> LAST-ACK -> released
 *  The host socket is closed as soon as both directions have ended; TIME-WAIT owns no socket.
 *
 *  Timers, all in one deadline per flow: retransmission or persist (`rtoAt`), delayed ACK (`ackAt`,
 *  0.5 ms: a reply from the host usually carries it; 40 ms once four replies in a row have, because
 *  a timer so near costs a request more than all else here), keepalive and idle (`lastActive`),
 *  TIME-WAIT (60 s, but first to be evicted). Limits: data that nobody acknowledges 924.6 s, as
 *  Linux has it with its 15 retransmissions, so that a machine may be paused for a quarter of an
 *  hour; a SYN 190 s; and what `timers` says of silence.
 *
 * Reading: RFC 9293, 7323, 2018, 5681, 6298, 6582, 6675, 6937, 8985, 5961, 6528.
 */
import * as abi from "../abi/index";
import { isIpv6, stableHashOf } from "../flow/addresses";
import { enterState } from "../flow/kinds";
import { headerSize } from "../flow/packet";
import { partyJoin } from "../flow/parties";
import { listRemove, slotOf } from "../flow/table";
import { Flow, STAKE_SIZE, STAKE_TICK, Stake, stakeOf } from "../layout";
import { config } from "../memory";
import { hashIsn } from "../prng";
import { count } from "../stats";
import { MILLISECOND_US, SECOND_US, timerSet } from "../timer";
import { seqGt } from "../wire/seqnum";
import { TCP_HEADER_SIZE } from "../wire/tcp";
import { TCP_TIMESTAMPS_SIZE } from "../wire/tcp-options";

// flags: facts
export const F_SOCKET: u32 = 1; // the host has (or is about to have) a socket
export const F_HOST_EOF: u32 = 2; // the host's stream has ended
export const F_FIN_SENT: u32 = 4;
export const F_FIN_ACKED: u32 = 8;
export const F_GUEST_FIN: u32 = 16; // finSequence is known
export const F_FIN_TAKEN: u32 = 32; // the guest's FIN was passed on
export const F_SACK: u32 = 64;
export const F_TIMESTAMPS: u32 = 128;
export const F_BLOCKED: u32 = 256; // the host socket is full
export const F_RTT: u32 = 512; // a segment is being timed
export const F_RECOVERY: u32 = 1024;
export const F_PERSIST: u32 = 2048; // rtoAt is the persist timer
export const F_OVERRIDE: u32 = 4096; // a window below one segment may be used once
export const F_SCALED: u32 = 8192; // window scaling was agreed
export const F_SENDING: u32 = 16384; // the host is reading what is listed and held
export const F_CONNECT_RETRIED: u32 = 0x1000000; // the host was short of a socket once
// flags: what the flush has to do
export const P_CONNECT: u32 = 0x10000;
export const P_ERROR: u32 = 0x20000;
export const P_ACK: u32 = 0x40000;
export const P_OUTPUT: u32 = 0x80000;
export const P_SYN: u32 = 0x100000; // SYN or SYN-ACK
export const P_PROBE: u32 = 0x200000;
export const P_KEEPALIVE: u32 = 0x800000;
export const P_ASK_HOST: u32 = 0x10000000; // the host socket is to ask its peer
export const P_TOS: u32 = 0x20000000; // the host socket is to send with the guest's DSCP
// urgent, see `urgent`
export const URGENT_IN: u8 = 1; // the guest's octet at rcvUrgent
export const URGENT_MARK: u8 = 2; // the host socket has one
export const URGENT_OUT: u8 = 4; // the octet before sndUrgent, to the guest

export const MSS_FLOOR: u32 = 64; // a smaller MSS is a weapon (CVE-2019-11479)
export const MSS_DEFAULT: u32 = 536; // RFC 9293 §3.7.1
export const MSS_DEFAULT6: u32 = 1220;
export const RTO_INITIAL_US: u32 = 1_000_000; // RFC 6298 §2.1
export const RTO_MIN_US: u32 = 200_000; // departs from 1 s: the guest is on this machine
export const RTO_MAX_US: u32 = 60_000_000;
export const RTO_AFTER_SYN_LOSS_US: u32 = 3_000_000; // RFC 6298 §5.7
/** R2 of RFC 9293 §3.8.3, 100 s at least: what Linux makes of tcp_retries2 = 15 (tcp(7)). */
export const GIVE_UP_DATA_US: i64 = 924_600 * MILLISECOND_US;
export const GIVE_UP_SYN_US: i64 = 190 * SECOND_US; // R2 >= 180 s for SYN
export const TIME_WAIT_US: i64 = 60 * SECOND_US;
/** RFC 5382 REQ-5: a closing connection, 4 minutes. */
export const HALF_CLOSED_US: i64 = 240 * SECOND_US;
/** Silence after which the guest is asked whether it still knows of a half-closed connection. */
export const HALF_CLOSED_ASK_US: i64 = 60 * SECOND_US;
export const ACK_DELAY_US: i64 = 500;
/** RFC 9293 MUST-58 allows 500 ms; this is what Linux waits in an interactive connection. */
export const ACK_DELAY_INTERACTIVE_US: i64 = 40 * MILLISECOND_US;
export const ACK_TRUST: u8 = 4;
const ISS_STEP: u32 = 65537; // more than a window without scaling, and then some
export const CWND_MAX: u32 = 4_194_304;
const INITIAL_SEGMENTS: u32 = 10;
const INITIAL_WINDOW_MAX: u32 = 65535;
/** No loss has set a threshold yet. */
const SSTHRESH_NONE: u32 = 0x7fffffff;
/** The shift of the windows we offer: 8 MiB at most. */
const RCV_SCALE: u8 = 7;
/** In place of a peer's port, so that no hash for a timestamp is one for a sequence number. */
const TIMESTAMP_MARK: u32 = 0x54530000;
const ISN_TICK_SHIFT: i64 = 2;

// repair
export const REPAIR_TIMEOUT: u8 = 1; // since a timeout, until `recover` is acknowledged
export const REPAIR_FORCE: u8 = 2; // one segment goes out whatever the window says
export const REPAIR_REORDERED: u8 = 4; // the link does not keep the order
export const REPAIR_PROBED: u8 = 8; // a probe that was sent again has not been answered
export const REPAIR_UNDO: u8 = 16; // the next acknowledgment may tell that it was not needed

export const TIMER_RETRANSMIT: u8 = 0;
export const TIMER_PROBE: u8 = 1;
export const TIMER_REORDER: u8 = 2;

@unmanaged
export class Tcp extends Flow {
  // receive side
  irs: u32;
  rcvNext: u32;
  rcvAck: u32;
  rcvEdge: u32;
  finSequence: u32;
  /** Sequence of the newest out-of-order octets: its SACK block goes first. */
  recentSack: u32;
  heldHead: i32;
  heldTail: i32;
  heldCount: i32;
  /** Octets listed as entries in this batch. */
  batchBytes: u32;
  /** Octets the host took since the last acknowledgment sent. */
  ackPending: u32;
  epoch: u32;
  blockedAt: i64;
  // send side
  iss: u32;
  sndUna: u32;
  /** When something was last sent again, a stamp of `tcp/board`. */
  againStamp: u32;
  sndMax: u32;
  sndEnd: u32;
  sndWindow: u32;
  sndWl1: u32;
  sndWl2: u32;
  sndWindowMax: u32;
  sendHead: i32;
  sendTail: i32;
  sendCount: i32;
  /** Chunk that holds what was sent last or one before it; -1 = look from the head. */
  sendCursor: i32;
  mss: u32; // payload octets of a full segment, options allowed for
  cwnd: u32;
  ssthresh: u32;
  recover: u32;
  /** Right edge of what a probe sent again. */
  probeEnd: u32;
  rcvScale: u8;
  sndScale: u8;
  dupAcks: u8;
  retransmits: u8;
  /** Runs on the scoreboard (`tcp/board`); 0 = nothing is missing. */
  runCount: u8;
  probes: u8;
  challenges: u8;
  /** Times the persist timer went off since the window shut: spaces the probes. */
  persists: u8;
  /** Acknowledgments in a row that named just the next hole, without SACK. */
  partials: u8;
  /** Replies in a row that carried an acknowledgment; up to ACK_TRUST. */
  replies: u8;
  /** To the DNS address: set of the places in the list of resolvers that it has been led to. */
  resolversAsked: u8;
  /** TOS of the guest's latest segment, without its ECN bits. */
  tos: u8;
  /** URGENT_* bits. */
  urgent: u8;
  /** Of a connection from outside that is opening: what it has tried (`arrival`). */
  arrival: u8;
  /** Without SACK: segments that came out of order, each to be told of by an acknowledgment. */
  gapAcks: u8;
  // repair (`tcp/recovery`)
  /** Octets that arrived and that were sent since the recovery began, and what was out then. */
  prrDelivered: u32;
  prrOut: u32;
  recoverFlight: u32;
  /** Of what has arrived the one sent last: when, its end, and how long it took; 0 = none yet. */
  rackStamp: u32;
  rackEnd: u32;
  rackRtt: u32;
  rttMin: u32;
  /** Our timestamp when the repair began. */
  repairEcho: u32;
  // round trip
  srtt: u32;
  rttVariance: u32;
  rto: u32;
  rttSequence: u32;
  rttAt: i64;
  // timestamps (RFC 7323)
  tsRecent: u32;
  tsOffset: u32;
  tsRecentAt: i64;
  lastAckSent: u32;
  challengeAt: u32; // seconds
  // timers
  rtoAt: i64;
  ackAt: i64;
  keepaliveAt: i64;
  /** When the oldest unanswered transmission was first sent. */
  troubleAt: i64;
  rcvUrgent: u32;
  sndUrgent: u32;
  /** Windows to go back to when the repair was not needed. */
  undoCwnd: u32;
  undoSsthresh: u32;
  /** REPAIR_* */
  repair: u8;
  /** Probes since the guest last told something new. */
  probesOut: u8;
  /** What `rtoAt` is for: TIMER_*. */
  timer: u8;
}

if (offsetof<Tcp>() > <usize>abi.FLOW_SIZE - STAKE_SIZE) ERROR("a TCP flow does not fit FLOW_SIZE");
if (
  offsetof<Tcp>("rcvAck") != <usize>abi.FLOW_TCP_RCV_ACK_OFFSET ||
  offsetof<Tcp>("rcvEdge") != <usize>abi.FLOW_TCP_RCV_EDGE_OFFSET ||
  offsetof<Tcp>("heldCount") != <usize>abi.FLOW_TCP_HELD_COUNT_OFFSET ||
  offsetof<Tcp>("sndUna") != <usize>abi.FLOW_TCP_SND_UNA_OFFSET ||
  offsetof<Tcp>("sndMax") != <usize>abi.FLOW_TCP_SND_MAX_OFFSET ||
  offsetof<Tcp>("sndWindow") != <usize>abi.FLOW_TCP_SND_WINDOW_OFFSET ||
  offsetof<Tcp>("sendCount") != <usize>abi.FLOW_TCP_SEND_COUNT_OFFSET ||
  offsetof<Tcp>("cwnd") != <usize>abi.FLOW_TCP_CWND_OFFSET ||
  offsetof<Tcp>("ssthresh") != <usize>abi.FLOW_TCP_SSTHRESH_OFFSET ||
  offsetof<Tcp>("srtt") != <usize>abi.FLOW_TCP_SRTT_OFFSET ||
  F_BLOCKED != <u32>abi.TRACE_FLAG_BLOCKED ||
  offsetof<Stake>("resent") + <usize>abi.FLOW_SIZE - STAKE_SIZE !=
    <usize>abi.TRACE_FLOW_RESENT_OFFSET
) {
  ERROR("conn.ts and abi.ts disagree");
}

export function has(flow: Tcp, flag: u32): bool {
  return (flow.flags & flag) != 0;
}

/** Largest payload of a segment towards the guest, before options. */
export function mssMax(flow: Tcp): u32 {
  return config(abi.CONFIG_MTU_OFFSET) - headerSize(flow.guestAddress) - TCP_HEADER_SIZE;
}

/** Initial sequence number: RFC 6528 §3, a 4 microsecond clock plus a keyed hash of the tuple. */
export function initialSequence(flow: Flow, now: i64): u32 {
  const ports = ((<u32>flow.guestPort) << 16) | <u32>flow.peerPort;
  return (
    <u32>(now >> ISN_TICK_SHIFT) +
    hashIsn(stableHashOf(flow.guestAddress), stableHashOf(flow.peerAddress), ports)
  );
}

function startAt(flow: Tcp, iss: u32): void {
  flow.iss = iss;
  flow.sndUna = iss;
  flow.sndMax = iss;
  flow.sndEnd = iss + 1;
}

/** Lets our sequence numbers begin above those of the tuple's last use (RFC 1122 §4.2.2.13). */
export function startAbove(flow: Tcp, last: u32): void {
  if (!seqGt(flow.iss, last)) startAt(flow, last + ISS_STEP);
}

/** Begins the handshake anew for the tuple the flow has now; nothing of the old one counts. */
export function tcpRestart(flow: Tcp, now: i64): void {
  startAt(flow, initialSequence(flow, now));
  flow.tsOffset = hashIsn(
    stableHashOf(flow.peerAddress),
    stableHashOf(flow.guestAddress),
    TIMESTAMP_MARK | <u32>flow.guestPort,
  );
  flow.rto = RTO_INITIAL_US;
}

/** Puts a new record into its neutral state. */
export function tcpReset(flow: Tcp, now: i64): void {
  flow.heldHead = -1;
  flow.heldTail = -1;
  flow.sendHead = -1;
  flow.sendTail = -1;
  flow.sendCursor = -1;
  flow.ssthresh = SSTHRESH_NONE;
  flow.rcvScale = RCV_SCALE;
  tcpRestart(flow, now);
  flow.lastActive = now;
  count(abi.STAT_TCP_OPENED);
}

/** First congestion window: RFC 6928 with 64 KiB for its 14,600 octets, the path being one link. */
export function initialWindow(mss: u32): u32 {
  return min(INITIAL_SEGMENTS * mss, max<u32>(2 * mss, INITIAL_WINDOW_MAX));
}

/** Sets segment size and first congestion window from the peer's MSS (RFC 9293 §3.7.1, 6928). */
export function tcpSetMss(flow: Tcp, peerMss: i32): void {
  const fallback = isIpv6(flow.guestAddress) ? MSS_DEFAULT6 : MSS_DEFAULT;
  let mss = peerMss < 0 ? fallback : <u32>peerMss;
  mss = min(max(mss, MSS_FLOOR), mssMax(flow));
  if (has(flow, F_TIMESTAMPS)) mss -= TCP_TIMESTAMPS_SIZE;
  flow.mss = mss;
  flow.cwnd = initialWindow(mss);
}

/** Timestamp clock: milliseconds, offset per connection so that it tells nothing about uptime. */
export function timestamp(flow: Tcp, now: i64): u32 {
  return <u32>(now / MILLISECOND_US) + flow.tsOffset;
}

/** Octets have moved on, or the first of them begin to wait. */
export function tcpProgress(flow: Tcp, now: i64): void {
  stakeOf(flow).progress = <u32>(now >> STAKE_TICK);
}

/** The connection is established: it joins its party. */
export function tcpEstablished(flow: Tcp, now: i64): void {
  enterState(flow, abi.STATE_ESTABLISHED);
  tcpProgress(flow, now);
  listRemove(flow);
  partyJoin(flow);
}

/** Hands the earliest of the flow's timers to the heap. */
export function tcpArm(flow: Tcp): void {
  let at = flow.keepaliveAt;
  if (flow.rtoAt != 0 && (at == 0 || flow.rtoAt < at)) at = flow.rtoAt;
  if (flow.ackAt != 0 && (at == 0 || flow.ackAt < at)) at = flow.ackAt;
  timerSet(flow, slotOf(flow), at);
}
