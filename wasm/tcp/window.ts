/**
 * The window we advertise to the guest (RFC 9293 §3.8.6, RFC 7323 §2).
 *
 * It is the least of
 *  - half of the payload pool that is free and not kept (`flow/shares`), but 64 KiB at least (what
 *    then finds no room is sent again),
 *  - WINDOW_MAX,
 *  - three quarters of the link queue, in packets x MSS, divided by the flows that are sending now,
 *     when the guest's frames are single segments: a window larger than the queue in front of us is
 *     what makes tap paths collapse,
 * and it does not grow while the host socket is full. The right edge we accept never moves left
 * (SHLD-14), and moves right only by a segment or half the window (MUST-39). What is *shown* is
 * zero once the host has been full for a second, so that the guest probes instead of giving up;
 * octets up to the old edge are still taken.
 */
import * as abi from "../abi/index";
import { chunksSpare, config } from "../memory";
import { MILLISECOND_US, SECOND_US } from "../timer";
import { seqGt } from "../wire/seqnum";
import { TCP_WINDOW_MAX } from "../wire/tcp";
import { F_BLOCKED, F_SCALED, has, Tcp } from "./conn";

const WINDOW_MAX: u32 = 4_194_304;
const WINDOW_FLOOR: u32 = 65536;
/** What is believed of a link's queue, in packets. */
const LINK_QUEUE_MIN: u32 = 8;
const LINK_QUEUE_MAX: u32 = 65536;
/** Half of a chunk's octets, as a shift. */
const HALF_CHUNK_SHIFT: u32 = 13;
/** A host socket that has been full for this long shows as a zero window. */
const STALL_US: i64 = SECOND_US;
const EPOCH_US: i64 = 100 * MILLISECOND_US;

let epoch: u32 = 0;
let epochEnd: i64 = 0;
let activeNow: u32 = 0;
let activeBefore: u32 = 0;
let linkBudget: u32 = 0;
let sharing: bool = false;

export function windowInit(): void {
  epoch = 1;
  epochEnd = 0;
  activeNow = 0;
  activeBefore = 0;
  sharing = (config(abi.CONFIG_LINK_FLAGS_OFFSET) & abi.LINK_RX_TSO) == 0;
  const asked = config(abi.CONFIG_LINK_QUEUE_OFFSET);
  const queue = min(max(asked, LINK_QUEUE_MIN), LINK_QUEUE_MAX);
  linkBudget = queue - (queue >> 2);
}

/** Notes that the flow is sending data, to know among how many the link queue is shared. */
export function windowActive(flow: Tcp, now: i64): void {
  if (!sharing) return;
  if (now >= epochEnd) {
    epoch++;
    epochEnd = now + EPOCH_US;
    activeBefore = activeNow;
    activeNow = 0;
  }
  if (flow.epoch == epoch) return;
  flow.epoch = epoch;
  activeNow++;
}

function ceiling(flow: Tcp): u32 {
  const room = (<u32>chunksSpare()) << HALF_CHUNK_SHIFT; // half of the octets nobody has a claim to
  let limit = min(max(room, WINDOW_FLOOR), WINDOW_MAX);
  if (sharing) {
    const active = max(max(activeNow, activeBefore), 1);
    limit = min(limit, max(linkBudget / active, 2) * flow.mss);
  }
  if (!has(flow, F_SCALED)) limit = min(limit, TCP_WINDOW_MAX);
  return limit;
}

/** Moves the right edge as far as allowed and returns the window to advertise, in octets. */
export function windowAdvertise(flow: Tcp, now: i64): u32 {
  if (has(flow, F_BLOCKED)) {
    if (now - flow.blockedAt >= STALL_US) return 0;
  } else {
    const limit = ceiling(flow);
    const edge = flow.rcvAck + limit;
    if (seqGt(edge, flow.rcvEdge) && edge - flow.rcvEdge >= min(flow.mss, limit >> 1)) {
      flow.rcvEdge = edge;
    }
  }
  return flow.rcvEdge - flow.rcvAck;
}

/**
 * The window field of a segment. Rounding down would move the right edge left by up to a unit of
 * the scale (RFC 7323 §2.4), so it is rounded up, and the edge is where the guest sees it.
 */
export function windowField(flow: Tcp, now: i64): u32 {
  const window = windowAdvertise(flow, now);
  if (!has(flow, F_SCALED)) return min(window, TCP_WINDOW_MAX);
  const scale = <u32>flow.rcvScale;
  const field = min((window + (1 << scale) - 1) >> scale, TCP_WINDOW_MAX);
  const edge = flow.rcvAck + (field << scale);
  if (seqGt(edge, flow.rcvEdge)) flow.rcvEdge = edge;
  return field;
}

/** True when the guest must hear of the window at once: it is nearly shut and may open. */
export function windowWorthTelling(flow: Tcp): bool {
  if (has(flow, F_BLOCKED) || flow.rcvEdge - flow.rcvAck >= 2 * flow.mss) return false;
  // Signed: the ceiling may have come down below what was promised.
  return <i32>(flow.rcvAck + ceiling(flow) - flow.rcvEdge) >= <i32>(2 * flow.mss);
}
