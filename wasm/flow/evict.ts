/**
 * How flows end: sockets are closed later, in order.
 *
 * A flow can be released at once although its socket still has to be closed: the handle waits in a
 * queue and becomes an OP_CLOSE when the operation list has room (`closeFlush`). Handles carry a
 * generation, so the slot may be in use again by then. The queue holds as many handles as there are
 * slots; when it is full nothing more is evicted, and whoever ends a flow asks `closeRoom` first.
 *
 * Contract: `closeFlush` runs before the flows' own flush functions, so that a socket is gone
 * before its port is asked for again. Who ends to make room for others: `shares`.
 */
import * as abi from "../abi/index";
import { Flow } from "../layout";
import { opAlloc, opsFree } from "../ring";
import { count } from "../stats";
import { CHECKED } from "../trap";
import { batchLost, SOCKET_OPEN, SOCKET_OPENING, UdpFlow } from "./datagram";
import { flowRelease, flowsFresh, handleOf } from "./table";

const QUEUE_COUNT: i32 = abi.FLOW_CAPACITY_COUNT;
const HANDLES: usize = memory.data(QUEUE_COUNT << 2, 16);
const ABORTS: usize = memory.data(QUEUE_COUNT, 16);

let head: u32 = 0;
let waiting: u32 = 0;

/** Forgets what was to be closed. */
export function evictInit(): void {
  head = 0;
  waiting = 0;
}

/** Handles that `closeLater` still takes. */
export function closeRoom(): u32 {
  return <u32>QUEUE_COUNT - waiting;
}

/** Sockets that wait to be closed. */
export function closePending(): u32 {
  return waiting;
}

/** Has the socket of this handle closed, by reset if `abort`; false = the queue is full. */
export function closeLater(handle: u32, abort: bool): bool {
  if (waiting >= <u32>QUEUE_COUNT) return false;
  if (CHECKED) assert(handle != 0 && (handle & 0xffff) < <u32>flowsFresh(), "a flow had it");
  const i = <usize>((head + waiting) & (QUEUE_COUNT - 1));
  store<u32>(HANDLES + (i << 2), handle);
  store<u8>(ABORTS + i, abort ? 1 : 0);
  waiting++;
  return true;
}

/** Emits what waits, as far as there is room; true = nothing waits any more. */
export function closeFlush(): bool {
  while (waiting > 0 && opsFree() > 0) {
    const i = <usize>head;
    const op = opAlloc(abi.OP_CLOSE, load<u32>(HANDLES + (i << 2)));
    op.a = load<u8>(ABORTS + i);
    head = (head + 1) & (QUEUE_COUNT - 1);
    waiting--;
  }
  return waiting == 0;
}

/** Ends a UDP, DNS or ping flow: what it had not sent is lost, its socket closed, its slot free. */
export function datagramEnd(flow: UdpFlow): void {
  batchLost(flow);
  if (flow.socket == SOCKET_OPEN || flow.socket == SOCKET_OPENING) {
    closeLater(handleOf(flow), false);
  }
  if (flow.kind != <u8>abi.KIND_PING) count(abi.STAT_UDP_CLOSED);
  flowRelease(flow);
}

/** Ends a flow that gives way: its kind says how (`dispatch`). */
export let evictFlow: (flow: Flow, now: i64) => void = ignore;

function ignore(_flow: Flow, _now: i64): void {}

export function evictBy(end: (flow: Flow, now: i64) => void): void {
  evictFlow = end;
}
