/**
 * What flows do, by their kind: the one place that knows the files of all of them.
 *
 * A line for each kind in each function; `flow/kinds` has the other half, and tells how a flow
 * lives. Who is in the list of this file's callers needs no kind: `engine` visits flows, `guest`
 * ends them. `flow/shares`, which lies below, ends flows through `evictBy`.
 */
import * as abi from "./abi/index";
import { UdpFlow } from "./flow/datagram";
import { datagramEvent, datagramReceive } from "./flow/datagram-receive";
import { datagramFlush } from "./flow/datagram-send";
import { datagramEnd, evictBy } from "./flow/evict";
import { datagramIsSound } from "./flow/invariants";
import { pingResult, pingTimeout } from "./flow/ping";
import { flowOf, isNone } from "./flow/table";
import { udpResult, udpTimeout } from "./flow/udp";
import { Flow, Op } from "./layout";
import { chunksRelease } from "./memory";
import { dropMany } from "./stats";
import { Tcp } from "./tcp/conn";
import { tcpReceive } from "./tcp/download";
import { tcpEnd } from "./tcp/ending";
import { tcpIsArmed, tcpIsSound } from "./tcp/invariants";
import { tcpGiveWay } from "./tcp/pressure";
import { tcpTimeout } from "./tcp/timers";
import { tcpEvent, tcpFlush, tcpResult } from "./tcp/upstream";
import { CHECKED } from "./trap";

/** Takes it on to end flows that give way. */
export function dispatchInit(): void {
  evictBy(flowGiveWay);
}

/** The flow is as it must be between two calls, if it has not ended (checked build only). */
function flowIsSound(flow: Flow): void {
  if (flow.kind == <u8>abi.KIND_TCP) tcpIsSound(changetype<Tcp>(flow));
  else if (flow.kind != <u8>abi.KIND_FREE) datagramIsSound(changetype<UdpFlow>(flow));
}

/** The flow's host socket has news (EVENT_*). */
export function flowEvent(flow: Flow, events: u32, now: i64): void {
  if (flow.kind == <u8>abi.KIND_TCP) tcpEvent(changetype<Tcp>(flow), events, now);
  else datagramEvent(changetype<UdpFlow>(flow), events);
  if (CHECKED) flowIsSound(flow);
}

/** Emits what the flow has to send; false = there is not room for all of it, it stays dirty. */
export function flowFlush(flow: Flow, now: i64): bool {
  const isTcp = flow.kind == <u8>abi.KIND_TCP;
  const done = isTcp
    ? tcpFlush(changetype<Tcp>(flow), now)
    : datagramFlush(changetype<UdpFlow>(flow));
  if (CHECKED) {
    flowIsSound(flow);
    if (done && flow.kind == <u8>abi.KIND_TCP) tcpIsArmed(changetype<Tcp>(flow));
  }
  return done;
}

/** Emits a receive for a ready flow; false = no room, it stays ready. */
export function flowReceive(flow: Flow, now: i64): bool {
  const isTcp = flow.kind == <u8>abi.KIND_TCP;
  const done = isTcp
    ? tcpReceive(changetype<Tcp>(flow), now)
    : datagramReceive(changetype<UdpFlow>(flow));
  if (CHECKED) flowIsSound(flow);
  return done;
}

/** The flow's deadline has come. */
export function flowTimeout(flow: Flow, now: i64): void {
  if (flow.kind == <u8>abi.KIND_TCP) tcpTimeout(changetype<Tcp>(flow), now);
  else if (flow.kind == <u8>abi.KIND_PING) pingTimeout(flow, now);
  else udpTimeout(flow, now);
  if (CHECKED) flowIsSound(flow);
}

/** The host has carried out an operation of a flow, which may have ended meanwhile. */
export function flowResult(op: Op, now: i64): void {
  const flow = flowOf(op.handle);
  if (isNone(flow)) {
    // Chunks reserved for a receive are all that is left of the flow.
    if (op.kind == abi.OP_TCP_RECV) chunksRelease(<i32>op.b);
  } else if (flow.kind == <u8>abi.KIND_TCP) tcpResult(op, changetype<Tcp>(flow), now);
  else if (flow.kind == <u8>abi.KIND_PING) pingResult(op, flow, now);
  else udpResult(op, flow, now);
  if (CHECKED && !isNone(flow)) flowIsSound(flow);
}

/** Ends the flow so that another one may have its slot or socket. */
export function flowGiveWay(flow: Flow, now: i64): void {
  if (flow.kind == <u8>abi.KIND_TCP) tcpGiveWay(changetype<Tcp>(flow), now);
  else datagramEnd(changetype<UdpFlow>(flow));
}

/** Ends the flow of a machine that is gone; a published port's socket is parked. */
export function flowForget(flow: Flow): void {
  if (flow.kind == <u8>abi.KIND_TCP) {
    tcpEnd(changetype<Tcp>(flow), true);
    return;
  }
  // What a DNS flow had to send is queries, which have records of their own.
  if (flow.batchCount > 0 && flow.kind != <u8>abi.KIND_DNS) {
    dropMany(abi.DROP_GUEST_GONE, flow.batchCount);
    flow.batchHead = -1;
    flow.batchTail = -1;
    flow.batchCount = 0;
  }
  datagramEnd(changetype<UdpFlow>(flow));
}
