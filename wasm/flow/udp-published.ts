/**
 * Published UDP ports: a socket that the host keeps bound becomes a flow while it is used, see
 * `datagram`.
 */
import * as abi from "../abi/index";
import { isIpv6 } from "./addresses";
import {
  datagramTouch,
  enterSocket,
  F_DUAL,
  F_FIXED,
  F_PUBLISHED,
  has,
  SOCKET_NONE,
  SOCKET_OPEN,
  UdpFlow,
} from "./datagram";
import { datagramOpen } from "./datagram-send";
import { closeRoom, datagramEnd } from "./evict";
import { SHARE_PUBLISHED } from "./kinds";
import { guestConfigured } from "./neighbor";
import { ownIsDual } from "./own";
import { flowFind, handleOf, isNone, markDirty, shareMove } from "./table";
import { guestAddress } from "./whereabouts";

const FAMILY_MASK: u32 = (1 << abi.INBOUND_SPOT_SHIFT) - 1;

/**
 * Something has come in at a published UDP port: the flow of spot `code >> INBOUND_SPOT_SHIFT` of
 * `guestPort`, for a socket the host has bound to `hostPort`, of IPv6 if the rest of `code` is
 * FAMILY_SIX (`ownIsDual` says which are of both). `fixed` = the one address of the guest it leads
 * to, 0 = whichever the guest uses. Returns its handle; 0 = there is no slot for it, or it has its
 * socket already.
 */
export function udpInboundOpen(
  guestPort: u32,
  hostPort: u32,
  code: u32,
  fixed: u32,
  now: i64,
): u32 {
  const spot = code >>> abi.INBOUND_SPOT_SHIFT;
  const six = (code & FAMILY_MASK) == <u32>abi.FAMILY_SIX;
  if (guestPort == 0 || guestPort > <u32>u16.MAX_VALUE || spot >= <u32>abi.SPOT_COUNT) return 0;
  if (fixed != 0 && isIpv6(fixed) != six) return 0;
  const guest = fixed != 0 ? fixed : inboundOwner(guestPort, spot, six);
  if (guest == 0) return 0;
  const ports = (guestPort << 16) | spot;
  let flow = changetype<UdpFlow>(flowFind(abi.KIND_UDP, guest, 0, ports));
  if (!isNone(flow) && flow.socket != SOCKET_NONE) {
    if (has(flow, F_PUBLISHED) || closeRoom() == 0) return 0;
    datagramEnd(flow);
    flow = changetype<UdpFlow>(0);
  }
  if (isNone(flow)) {
    flow = datagramOpen(abi.KIND_UDP, SHARE_PUBLISHED, guest, 0, ports);
    if (isNone(flow)) return 0;
  }
  publish(flow, hostPort);
  if (fixed != 0) flow.flags |= F_FIXED;
  datagramTouch(flow, now);
  if (flow.batchHead >= 0) markDirty(flow);
  return handleOf(flow);
}

/** Under which address of the guest the flow of a spot is, no rule naming one. */
function inboundOwner(guestPort: u32, spot: u32, six: bool): u32 {
  return spot == 0 && ownIsDual(guestPort) ? guestConfigured(false) : guestAddress(six);
}

/** The flow has the socket of a published port, which stays when the flow ends. */
export function publish(flow: UdpFlow, hostPort: u32): void {
  if (flow.share != SHARE_PUBLISHED) shareMove(flow, SHARE_PUBLISHED);
  flow.flags |= F_PUBLISHED;
  if (flow.peerPort == 0 && ownIsDual(flow.guestPort) && !isIpv6(flow.guestAddress)) {
    flow.flags |= F_DUAL;
  }
  enterSocket(flow, SOCKET_OPEN);
  flow.hostPort = <u16>hostPort;
}
