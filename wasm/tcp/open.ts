/**
 * How a connection begins: the guest's SYN, held until the host has connected. How one from outside
 * does is in `arrival`.
 *
 * A connection to the DNS address goes to the resolver that is right now, and to the next one, for
 * as long as there is one, when that refuses it or has not taken it in a second. What happens to
 * connections says nothing about a resolver's datagrams and is not remembered.
 *
 * Half-open connections of each direction are bounded by a quarter of the flow table; at the bound
 * the oldest one makes room (RFC 4987 §3), so a guest that scans 100,000 ports harms nobody's
 * established flows. Who else finds a slot is for `flow/shares` to say.
 */
import * as abi from "../abi/index";
import {
  enterState,
  LIST_ARRIVING,
  LIST_HALF_OPEN,
  SHARE_GUEST,
  SHARE_OUTSIDE,
} from "../flow/kinds";
import { natRefusal, natToHost } from "../flow/nat";
import { packet } from "../flow/packet";
import {
  dnsAddressed,
  dnsPort,
  resolverAt,
  resolverNow,
  resolverPort,
  resolversRefresh,
} from "../flow/resolvers";
import { admit, halfOpenMost } from "../flow/shares";
import {
  flowAllocate,
  isNone,
  listOldest,
  listSize,
  listTouch,
  markDirty,
  shareMove,
} from "../flow/table";
import { count, drop } from "../stats";
import { SECOND_US } from "../timer";
import { PROTOCOL_TCP } from "../wire/ipv4";
import { TCP_ACK, TCP_RST, TCP_WINDOW_MAX } from "../wire/tcp";
import { TCP_WINDOW_SCALE_MAX } from "../wire/tcp-options";
import {
  F_SACK,
  F_SCALED,
  F_TIMESTAMPS,
  GIVE_UP_SYN_US,
  P_CONNECT,
  Tcp,
  tcpArm,
  tcpReset,
  tcpSetMss,
} from "./conn";
import { tcpCloseHost, tcpEnd } from "./ending";
import { resetSegment } from "./reset";
import { segment } from "./segment";

/** How long a resolver may take to connect while there is another one, microseconds. */
const RESOLVER_WAIT_US: i64 = SECOND_US;

/** A half-open flow of `share` whose far end is `host`; address 0 when there is no slot for it. */
export function allocate(share: u8, host: u32, guest: u32, peer: u32, ports: u32): Tcp {
  const list = share == SHARE_OUTSIDE ? LIST_ARRIVING : LIST_HALF_OPEN;
  if (listSize(list) >= halfOpenMost()) {
    count(abi.STAT_HALF_OPEN_EVICTED);
    tcpEnd(changetype<Tcp>(listOldest(list)), true);
  }
  if (!admit(share, host)) return changetype<Tcp>(0);
  const flow = changetype<Tcp>(flowAllocate(abi.KIND_TCP, guest, peer, ports));
  shareMove(flow, share);
  listTouch(flow, list);
  return flow;
}

/** Where a connection to `address` goes on the host; 0 = nowhere. */
function target(address: u32, port: u32, now: i64): u32 {
  if (!dnsAddressed(address)) return natToHost(address, PROTOCOL_TCP, port);
  resolversRefresh();
  const index = dnsPort(port) ? resolverNow(0, now) : -1;
  return index < 0 ? 0 : resolverAt(index);
}

/** Leads the flow to the best resolver it has not been led to; false = there is none. */
function chooseResolver(flow: Tcp, now: i64): bool {
  const index = resolverNow(flow.resolversAsked, now);
  if (index < 0) return false;
  flow.resolversAsked |= <u8>((<u32>1) << (<u32>index));
  flow.hostAddress = resolverAt(index);
  const isLast = resolverNow(flow.resolversAsked, now) < 0;
  flow.rtoAt = now + (isLast ? GIVE_UP_SYN_US : RESOLVER_WAIT_US);
  return true;
}

/**
 * A resolver has refused the connection or not taken it in time: the next one is asked, before the
 * guest hears of it. False = it is no resolver's, or all have been asked.
 */
export function resolverNext(flow: Tcp, now: i64): bool {
  if (flow.state != <u8>abi.STATE_CONNECTING || !dnsAddressed(flow.peerAddress)) return false;
  resolversRefresh();
  if (!chooseResolver(flow, now)) return false;
  tcpCloseHost(flow, true);
  flow.flags |= P_CONNECT;
  tcpArm(flow);
  markDirty(flow);
  return true;
}

/** Takes the options of the guest's SYN or SYN-ACK, the segment under way. */
export function takeSynOptions(flow: Tcp, now: i64): void {
  if (segment.windowScale >= 0) {
    flow.flags |= F_SCALED;
    flow.sndScale = <u8>min(segment.windowScale, TCP_WINDOW_SCALE_MAX);
  } else flow.rcvScale = 0;
  if (segment.isSackPermitted) flow.flags |= F_SACK;
  if (segment.hasTimestamps) {
    flow.flags |= F_TIMESTAMPS;
    flow.tsRecent = segment.tsValue;
    flow.tsRecentAt = now;
  }
  tcpSetMss(flow, segment.mss);
}

/** The guest's SYN, the segment under way: asks the host to connect, or refuses at once. */
export function tcpOpen(now: i64): void {
  const guest = packet.source;
  const peer = packet.destination;
  const ports = segment.ports;
  const port = ports & 0xffff;
  const host = target(peer, port, now);
  const flow = host == 0 ? changetype<Tcp>(0) : allocate(SHARE_GUEST, host, guest, peer, ports);
  if (isNone(flow)) {
    drop(host == 0 ? natRefusal(peer, PROTOCOL_TCP, port) : abi.DROP_TCP_TABLE_FULL);
    resetSegment(0, segment.sequence + 1, TCP_RST | TCP_ACK);
    return;
  }
  tcpReset(flow, now);
  enterState(flow, abi.STATE_CONNECTING);
  flow.guestMac = packet.mac;
  flow.hostAddress = host;
  flow.hostPort = <u16>port;
  flow.rtoAt = now + GIVE_UP_SYN_US;
  if (dnsAddressed(peer)) {
    flow.hostPort = <u16>resolverPort(port);
    chooseResolver(flow, now);
  }
  flow.tos = segment.tos;
  flow.irs = segment.sequence;
  flow.rcvAck = flow.irs + 1;
  flow.rcvNext = flow.rcvAck;
  flow.rcvEdge = flow.rcvAck + TCP_WINDOW_MAX;
  takeSynOptions(flow, now);
  flow.sndWindow = segment.window; // never scaled in a SYN (RFC 7323 §2.2)
  flow.sndWindowMax = flow.sndWindow;
  flow.flags |= P_CONNECT;
  tcpArm(flow);
  markDirty(flow);
}
