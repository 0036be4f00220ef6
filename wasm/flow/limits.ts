/**
 * Limits that change while the engine runs, and room for a host that has no socket left.
 *
 * The host may rewrite CONFIG_FLOWS_MAX and CONFIG_CHUNKS_MAX between any two calls: lower when the
 * memory it may use or its descriptors run short, back up to what `init` was given when they do
 * not. `limitsApply` takes them over at the start of a step and ends flows, at most SHRINK_COUNT in
 * one step so that a turn stays short, in the order `shares` has, until the table is within its
 * limit or nothing may be ended. Chunks above the limit are not taken away: none is handed out
 * until enough have come back.
 *
 * An operation that opens a socket fails with EMFILE, ENFILE, ENOBUFS or ENOMEM when the host is
 * short of something that flows hold. `socketRoomFor` ends flows until one had a socket; its close
 * comes before whatever is asked for next, so that the same operation, once more, finds a place.
 */
import { EMFILE, ENFILE, ENOBUFS, ENOMEM } from "../errno";
import { Flow } from "../layout";
import { memoryLimit } from "../memory";
import { enterSocket, F_OPEN_RETRIED, has, SOCKET_NONE, UdpFlow } from "./datagram";
import { closePending } from "./evict";
import { LIST_NONE } from "./kinds";
import { giveWay, makeDescriptorRoom } from "./shares";
import { flowsMax, flowsUsed, listRemove, listTouch, markDirty, tableLimit } from "./table";

const SHRINK_COUNT: i32 = 64;
const TRIES: i32 = 16;

/** Takes over the limits in CONFIG. */
export function limitsApply(): void {
  memoryLimit();
  tableLimit();
  for (let i = 0; i < SHRINK_COUNT && flowsUsed > flowsMax; i++) {
    if (!giveWay()) return;
  }
}

/** Whether a socket could not be opened for want of what another flow may give up. */
export function isShortage(result: i32): bool {
  return result == -EMFILE || result == -ENFILE || result == -ENOBUFS || result == -ENOMEM;
}

/** Ends flows, but not this one, until one had a socket; false = there is none. */
export function socketRoomFor(flow: Flow): bool {
  const list = flow.list;
  const before = closePending();
  listRemove(flow);
  for (let i = 0; i < TRIES && closePending() == before; i++) {
    if (!makeDescriptorRoom(flow.share, flow.hostAddress)) break;
  }
  if (list != LIST_NONE) listTouch(flow, list);
  return closePending() != before;
}

/** Result of opening a datagram flow's socket: true = it is asked for once more. */
export function openAgain(flow: UdpFlow, result: i32): bool {
  if (!isShortage(result)) {
    flow.flags &= ~F_OPEN_RETRIED;
    return false;
  }
  if (has(flow, F_OPEN_RETRIED) || !socketRoomFor(flow)) return false;
  flow.flags |= F_OPEN_RETRIED;
  enterSocket(flow, SOCKET_NONE);
  markDirty(flow);
  return true;
}
