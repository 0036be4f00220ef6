/**
 * Published UDP ports follow the guest to the address it uses.
 *
 * A published port is a flow of the guest's address and port, and one address is as good as another
 * to whoever asks from outside. So the flow is renamed, its handle and socket staying, when a
 * datagram comes in and the guest is at another address now (`guest`), and when the guest sends
 * from there first. A flow that the guest has opened from that port and address meanwhile gives
 * way. Flows whose rule names an address (no F_FOLLOWS) stay where they are.
 */
import * as abi from "../abi";
import { isSix } from "./addresses";
import { F_FOLLOWS, F_STATIC, UdpFlow, has } from "./datagram";
import { closeRoom, datagramEnd } from "./evict";
import { guestAddress, guestChosen } from "./guest";
import { guestConfigured } from "./neighbor";
import { flowFind, flowRename, isNone } from "./table";

// @ts-ignore: decorator
@inline function at(guest: u32, port: u32): UdpFlow {
  return changetype<UdpFlow>(flowFind(abi.KIND_UDP, guest, 0, port << 16));
}

/** Lets the flow of a published port be the guest's at the address it uses now. */
export function publishedFollow(flow: UdpFlow): void {
  if (!has(flow, F_FOLLOWS)) return;
  const address = guestAddress(isSix(flow.guestAddress));
  if (address == flow.guestAddress) return;
  const other = at(address, flow.guestPort);
  if (!isNone(other)) {
    if (has(other, F_STATIC) || closeRoom() == 0) return;
    datagramEnd(other);
  }
  flowRename(flow, address, 0, <u32>flow.guestPort << 16);
}

/** The flow of a published port that the guest sends from at another address now, or none. */
export function publishedOf(guest: u32, port: u32): UdpFlow {
  const six = isSix(guest);
  let flow = at(guestConfigured(six), port);
  if (isNone(flow) || !has(flow, F_FOLLOWS)) {
    const chosen = guestChosen(six);
    flow = chosen == 0 ? flow : at(chosen, port);
  }
  if (isNone(flow) || !has(flow, F_FOLLOWS)) return changetype<UdpFlow>(0);
  publishedFollow(flow);
  return flow.guestAddress == guest ? flow : changetype<UdpFlow>(0);
}
