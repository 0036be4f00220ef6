/**
 * Asking host sockets for datagrams and errors, and taking in what came.
 *
 * Theory of operation
 *   A receive takes scratch slots of 64 KiB, one a message, for as long as its frames wait for the
 *   link. `scratchReset` frees all of them: the engine calls it when the link has taken every
 *   frame. Receives that are still to be carried out then keep their slots, as there are two sets
 *   and the next receives get the other one; by the time it is the first one's turn again, these
 *   receives and their frames are over. So the host may carry out operations while the link is
 *   full, and no slot is written to that a frame still refers to.
 *
 *   How much is asked for follows the flow: twice as many messages as last time when all of them
 *   were filled, half as many when not even half were. Because one message can become dozens of
 *   frames, the flow also remembers how many, and all receives of a turn together may fill no more
 *   than half of the frame list. A receive that finds no room leaves its flow ready.
 *
 *   A published port may have something for a guest that nobody has heard of yet. It stays in the
 *   kernel's buffer of the socket, whose size bounds it, while `neighbor` asks for the guest's MAC;
 *   the flow is woken by what comes of that (`awaitingTurn`), and if nobody answers its datagrams
 *   are read and dropped. An address of the other version at which the guest is known will do: the
 *   link has one guest. One that never answers in the sender's version gets what comes at its
 *   address of the other, from the gateway (`guestReached`): who says "localhost" means ::1 first.
 *
 *   Sockets are watched edge-triggered: a flow stays READABLE until the socket had less to give
 *   than asked for. Errors come first, as they also clear what the next call would report
 *   (`sk_err`).
 *
 * Source: recvmmsg(2), udp(7), ip(7), epoll(7).
 */
import * as abi from "../abi/index";
import { EAGAIN } from "../errno";
import { IOV_SHIFT, Iov, MSG_SHIFT, Msg, Op } from "../layout";
import { absolute, SCRATCH } from "../memory";
import {
  iovAlloc,
  iovSet,
  iovsFree,
  msgAlloc,
  msgName,
  msgSetIov,
  msgsFree,
  opAlloc,
  opsFree,
} from "../ring";
import { SOCKADDR_PORT_OFFSET } from "../sockaddr";
import { drop } from "../stats";
import { timerSet, turnNow } from "../timer";
import { load16 } from "../wire/bytes";
import { isIpv6 } from "./addresses";
import {
  controlFind,
  controlReceive,
  IP_TOS,
  IP_TTL,
  IPV6_HOPLIMIT,
  IPV6_TCLASS,
  MSG_TRUNC,
  SOL_IP,
  SOL_IPV6,
  SOL_UDP,
  UDP_GRO,
} from "./control";
import {
  F_AWAITING,
  F_DUAL,
  F_FIXED,
  F_LOCAL,
  F_OVER,
  F_PUBLISHED,
  F_RECEIVE_RETRIED,
  F_RECEIVING,
  guestOf,
  has,
  SOCKET_NONE,
  SOCKET_OPEN,
  UdpFlow,
} from "./datagram";
import { deliverPing, deliverUdp, framesFor, received } from "./datagram-deliver";
import { askedOf, senderOf } from "./datagram-origin";
import { ERROR_HEADROOM, ERROR_PAYLOAD_MAX, errorReport } from "./errors";
import { closeFlush, closeRoom, datagramEnd } from "./evict";
import { neighborAwait, neighborFind, neighborKnown, neighborNews } from "./neighbor";
import { flowAt, flowsFresh, handleOf, markReady, slotOf } from "./table";
import { guestAddress, guestReached, guestRequest } from "./whereabouts";

/** What one message is expected to make at most. */
const FRAMES_REMEMBERED_MAX: u32 = 64;
/** Frames that all receives of a turn together may lead to. */
const FRAMES_MAX: u32 = abi.TX_CAPACITY_COUNT / 2;
/** What a message goes on with whose TTL is not known. */
const TTL_UNKNOWN: u32 = 64;

/** The other set of slots. */
const SCRATCH_OTHER: usize = memory.data(abi.SCRATCH_SLOT_COUNT * abi.SCRATCH_SLOT_SIZE, 4096);
let slots: usize = SCRATCH;
let slotsUsed: i32 = 0;
let framesExpected: u32 = 0;
/** Flows that wait for the guest's MAC, at most. */
let awaiting: i32 = 0;

/** The link has taken every frame: all slots are free but those of receives under way. */
export function scratchReset(): void {
  const pending = opsFree() < abi.OP_CAPACITY_COUNT;
  if (pending && slotsUsed > 0) slots = slots == SCRATCH ? SCRATCH_OTHER : SCRATCH;
  slotsUsed = 0;
  framesExpected = 0;
}

/** Slots that are free. */
export function scratchFree(): i32 {
  return abi.SCRATCH_SLOT_COUNT - slotsUsed;
}

function slotTake(): usize {
  const slot = slotsUsed++;
  return slots + <usize>slot * <usize>abi.SCRATCH_SLOT_SIZE;
}

/** Lets the message receive `size` octets at `p`, the sender's name and control messages. */
function prepare(msg: usize, iov: usize, p: usize, size: u32): void {
  iovSet(iov, 0, p, size);
  msgSetIov(msg, iov, 1);
  const m = changetype<Msg>(msg);
  m.name = absolute(msgName(msg));
  m.nameLength = abi.MSG_NAME_SIZE;
  memory.fill(msgName(msg), 0, abi.MSG_NAME_SIZE);
  controlReceive(msg);
}

/** Emits one recvmmsg; false = no room. */
function emitReceive(flow: UdpFlow): bool {
  const each = max<u32>(flow.receiveFrames, 1);
  let room = (FRAMES_MAX - min(framesExpected, FRAMES_MAX)) / each;
  if (framesExpected == 0 && room == 0) room = 1;
  const messages = min(
    min(<i32>flow.receiveSlots, scratchFree()),
    min(min(msgsFree(), iovsFree()), <i32>room),
  );
  if (messages < 1 || opsFree() < 1) return false;
  const msgs = msgAlloc(messages);
  const iovs = iovAlloc(messages);
  for (let i = 0; i < messages; i++) {
    prepare(
      msgs + ((<usize>i) << MSG_SHIFT),
      iovs + ((<usize>i) << IOV_SHIFT),
      slotTake(),
      abi.SCRATCH_SLOT_SIZE,
    );
  }
  framesExpected += <u32>messages * each;
  const op = opAlloc(abi.OP_UDP_RECV, handleOf(flow));
  op.pointer = <u32>msgs;
  op.count = messages;
  flow.flags |= F_RECEIVING;
  return true;
}

/** Emits one recvmsg(MSG_ERRQUEUE); false = no room. */
function emitError(flow: UdpFlow): bool {
  if (opsFree() < 1 || msgsFree() < 1 || iovsFree() < 1 || scratchFree() < 1) return false;
  const msg = msgAlloc(1);
  prepare(msg, iovAlloc(1), slotTake() + ERROR_HEADROOM, ERROR_PAYLOAD_MAX);
  framesExpected++;
  const op = opAlloc(abi.OP_RECV_ERROR, handleOf(flow));
  op.pointer = <u32>msg;
  op.count = 1;
  flow.flags |= F_RECEIVING;
  return true;
}

/** The flow's port is published no longer, and its socket closed: what it had not sent is lost. */
function unpublished(flow: UdpFlow): void {
  flow.socket = SOCKET_NONE; // there is nothing to be closed
  datagramEnd(flow);
}

/** The host socket has said something. */
export function datagramEvent(flow: UdpFlow, events: i32): void {
  if (events == abi.EVENT_HANGUP && has(flow, F_PUBLISHED)) {
    unpublished(flow);
    return;
  }
  flow.events |= <u32>events & <u32>(abi.EVENT_READABLE | abi.EVENT_ERROR);
  if (flow.events != 0 && !has(flow, F_RECEIVING)) markReady(flow);
}

/**
 * Whether the flow of a published port is of an address that the guest has left: it ends, and what
 * waits in its socket makes one of the address that the guest uses now.
 */
function hasMoved(flow: UdpFlow): bool {
  if (isTied(flow) || has(flow, F_DUAL)) return false;
  const guest = flow.guestAddress;
  if (guestAddress(isIpv6(guest)) == guest || neighborKnown(guest) || closeRoom() == 0)
    return false;
  datagramEnd(flow);
  closeFlush(); // now, as what waits is told of once the socket is free
  return true;
}

/** Whether the flow leads to its own address of the guest and no other. */
function isTied(flow: UdpFlow): bool {
  return !has(flow, F_PUBLISHED) || has(flow, F_FIXED);
}

/** The address of the guest that gets what `sender` has sent. */
function recipientOf(flow: UdpFlow, sender: u32, now: i64): u32 {
  const guest = guestOf(flow, sender);
  return isTied(flow) ? guest : guestReached(guest, now);
}

/** Whether the guest's MAC has to be known first, which is asked for. */
function mustWait(flow: UdpFlow): bool {
  if (!has(flow, F_PUBLISHED)) return false;
  const isDual = has(flow, F_DUAL);
  const guest = isDual ? guestAddress(false) : flow.guestAddress;
  if (macOf(flow, guest) != 0) return false;
  if (!isTied(flow) && guestReached(guest, turnNow) != guest) return false;
  if (!neighborAwait(guest, turnNow)) {
    if (!isDual || !neighborAwait(guestAddress(true), turnNow)) return false;
  } else if (isDual) neighborAwait(guestAddress(true), turnNow);
  if (!has(flow, F_FIXED)) guestRequest(isIpv6(guest), turnNow);
  if (!has(flow, F_AWAITING)) awaiting++;
  flow.flags |= F_AWAITING;
  return true;
}

/** Forgets who waits. */
export function awaitingInit(): void {
  awaiting = 0;
}

/** Wakes the flows that wait for a MAC, if there is news of one. */
export function awaitingTurn(): void {
  if (!neighborNews() || awaiting == 0) return;
  awaiting = 0;
  const slots = flowsFresh();
  for (let slot = 0; slot < slots; slot++) {
    const flow = changetype<UdpFlow>(flowAt(slot));
    if (flow.kind != <u8>abi.KIND_UDP || !has(flow, F_AWAITING)) continue;
    flow.flags &= ~F_AWAITING;
    if (flow.events != 0 && !has(flow, F_RECEIVING)) markReady(flow);
  }
}

/** Asks the socket for what it has; false = no room now, the flow stays ready. */
export function datagramReceive(flow: UdpFlow): bool {
  if (flow.socket != SOCKET_OPEN || has(flow, F_RECEIVING)) return true;
  if ((flow.events & abi.EVENT_ERROR) != 0) return emitError(flow);
  if ((flow.events & abi.EVENT_READABLE) == 0 || hasMoved(flow) || mustWait(flow)) return true;
  return emitReceive(flow);
}

/** Takes in one received message; returns the frames it took. */
function take(flow: UdpFlow, msg: usize, p: usize, now: i64): u32 {
  const m = changetype<Msg>(msg);
  const length = <u32>m.received; // msg_len is 32 bits wide
  if ((m.flags & MSG_TRUNC) != 0 || length > <u32>abi.SCRATCH_SLOT_SIZE) {
    drop(abi.DROP_DATAGRAM_TOO_BIG);
    return 0;
  }
  const isBound = flow.kind == <u8>abi.KIND_DNS || has(flow, F_LOCAL);
  if (length == 0 && has(flow, F_LOCAL)) {
    flow.flags |= F_OVER;
    return 0;
  }
  const name = msgName(msg);
  const address = senderOf(flow, name);
  if (address == 0) return 0;
  const guest = isBound ? flow.guestAddress : recipientOf(flow, address, now);
  const mac = macOf(flow, guest);
  if (mac == 0) {
    drop(abi.DROP_NEIGHBOR);
    return 0;
  }
  const six = isIpv6(address);
  const level = six ? SOL_IPV6 : SOL_IP;
  const ttl = controlFind(msg, level, six ? IPV6_HOPLIMIT : IP_TTL, sizeof<u32>());
  const tos = controlFind(msg, level, six ? IPV6_TCLASS : IP_TOS, 1);
  received.mac = mac;
  received.p = p;
  received.length = length;
  received.segment = 0;
  received.address = address;
  received.port = load16(name + SOCKADDR_PORT_OFFSET);
  received.guest = guest;
  received.asked = has(flow, F_PUBLISHED) ? askedOf(msg) : 0;
  const hops = ttl == 0 ? 0 : load<u32>(ttl) & 0xff;
  received.ttl = hops == 0 ? TTL_UNKNOWN : max(hops - 1, 1);
  received.tos = tos == 0 ? 0 : load<u8>(tos);
  if (flow.kind == <u8>abi.KIND_PING) deliverPing(flow, now);
  else {
    const gro = controlFind(msg, SOL_UDP, UDP_GRO, sizeof<u32>());
    if (gro != 0) received.segment = load<u32>(gro) & 0xffff;
    deliverUdp(flow, now);
  }
  return framesFor();
}

/** Address of the message's only buffer. */
function bufferOf(msg: usize): usize {
  const iov = <usize>(changetype<Msg>(msg).iov - absolute(0));
  return <usize>(changetype<Iov>(iov).base - absolute(0));
}

/** MAC address where frames of the flow for this address of the guest go, or 0. */
function macOf(flow: UdpFlow, guest: u32): u64 {
  const mac = neighborFind(guest);
  if (mac != 0 || flow.guestMac != 0 || !has(flow, F_DUAL)) return mac == 0 ? flow.guestMac : mac;
  return neighborFind(guestAddress(!isIpv6(guest)));
}

/** Stays ready or not after a receive; `done` = the socket had no more. */
function settle(flow: UdpFlow, bit: u32, done: bool): void {
  if (done) flow.events &= ~bit;
  if (flow.events != 0) markReady(flow);
}

/** Result of OP_UDP_RECV. */
export function datagramReceived(op: Op, flow: UdpFlow, now: i64): void {
  flow.flags &= ~F_RECEIVING;
  const asked = <i32>op.count;
  const result = min(op.result, asked);
  if (result < 0) {
    // One retry: an ICMP error is reported once in place of data.
    const again = result != -EAGAIN && !has(flow, F_RECEIVE_RETRIED);
    if (again) flow.flags |= F_RECEIVE_RETRIED;
    else flow.flags &= ~F_RECEIVE_RETRIED;
    settle(flow, abi.EVENT_READABLE, !again);
    return;
  }
  flow.flags &= ~F_RECEIVE_RETRIED;
  let most: u32 = 1;
  for (let i = 0; i < result; i++) {
    const msg = <usize>op.pointer + ((<usize>i) << MSG_SHIFT);
    most = max(most, take(flow, msg, bufferOf(msg), now));
  }
  flow.receiveFrames = <u8>min<u32>(most, FRAMES_REMEMBERED_MAX);
  const full = result == asked;
  if (full) {
    const more = max<i32>(asked * 2, flow.receiveSlots);
    flow.receiveSlots = <u8>min(more, abi.SCRATCH_SLOT_COUNT / 2);
  } else if (result * 2 < asked) flow.receiveSlots = <u8>max(asked / 2, 1);
  if (has(flow, F_OVER)) timerSet(flow, slotOf(flow), now);
  settle(flow, abi.EVENT_READABLE, !full || has(flow, F_OVER));
}

/** Result of OP_RECV_ERROR. */
export function datagramError(op: Op, flow: UdpFlow, now: i64): void {
  flow.flags &= ~F_RECEIVING;
  if (op.result < 0) {
    settle(flow, abi.EVENT_ERROR, true);
    return;
  }
  const msg = <usize>op.pointer;
  const length = min<u32>(op.result, ERROR_PAYLOAD_MAX);
  errorReport(flow, msg, bufferOf(msg), length, macOf(flow, flow.guestAddress), now);
  settle(flow, abi.EVENT_ERROR, false);
}
