/**
 * What host sockets received, as packets for the guest.
 *
 * Theory of operation
 *   A received message is one datagram, or with UDP_GRO a run of equal ones. It lies in a scratch
 *   slot until the link has taken the frames, so only headers are written. A run leaves as one
 *   frame where the link segments (LINK_USO), else as a frame per datagram. What exceeds the MTU is
 *   fragmented by `ipv4Send`. Where the link computes checksums (LINK_CSUM) the pseudo-header's sum
 *   is left in the field.
 *
 *   The source the guest sees is the peer's address, by `shownTo`; DNS answers come from the DNS
 *   address, a service's from its transfer's port. Filtering is endpoint-independent (RFC 4787
 *   REQ-8), or address-dependent with CONFIG_FLAG_STRICT_FILTER; published ports are open to all.
 *   What this very host sends, from loopback or an own address, gets to other flows only if the
 *   guest has sent to that address, which it could where that was allowed: no program beside us
 *   talks to a guest by mistake.
 *
 *   The kernel of the host gives a ping socket's messages an identifier of its own; the guest's is
 *   put back. Only replies the far side really sent get here.
 *
 * Source: RFC 768, RFC 1122 §4.1.3, RFC 5508 REQ-1, virtio 1.2 §5.1.6.
 */
import * as abi from "../abi/index";
import { config } from "../memory";
import { txBegin, txEnd, txHeader, txOffload, txPiece, vnetSize } from "../ring";
import { count, countMany, drop } from "../stats";
import { addressIsMulticast, addressIsReserved } from "../wire/addr";
import { address6IsMulticast } from "../wire/addr6";
import { sumAdd, sumBytes, sumStorePartial, sumStoreUdp } from "../wire/checksum";
import { ICMP_ECHO_REPLY, ICMP_HEADER_SIZE, Icmpv4View, icmpv4ChecksumFill } from "../wire/icmpv4";
import { ICMPV6_ECHO_REPLY, icmpv6ChecksumFill, PROTOCOL_ICMPV6 } from "../wire/icmpv6";
import { PROTOCOL_ICMP, PROTOCOL_UDP } from "../wire/ipv4";
import { UDP_CHECKSUM_OFFSET, UDP_HEADER_SIZE, udpEmit } from "../wire/udp";
import { GSO_UDP_L4 } from "../wire/vnet";
import { isIpv6, octetsOf } from "./addresses";
import {
  datagramTouch,
  F_LOCAL,
  F_PUBLISHED,
  filterHas,
  filterIsOn,
  has,
  UdpFlow,
} from "./datagram";
import { dnsAnswered } from "./dns";
import { dnsAddressFor } from "./dns-relay";
import { identify, linkMtu } from "./emit";
import { natToGuest } from "./nat";
import { outgoingBegin } from "./outgoing";
import { headerSize, pseudoSum } from "./packet";
import { peerRemember } from "./peers";
import { reachIsLocal, reachRefusal } from "./reach";
import { headersEmit, packetSend, shownTo, startOf } from "./send";
import { handleOf } from "./table";

const PACKET_SIZE_MAX: u32 = 65535;
/** Below, summing costs less than a frame in pieces. */
const OFFLOAD_SIZE_MIN: u32 = 64;

const HEADER: usize = memory.data(UDP_HEADER_SIZE, 8);

/** A message from a host socket, read once by `datagram-receive`, and what it is to the guest. */
@unmanaged
export class Received {
  /** MAC address where frames for the guest go. */
  mac: u64;
  p: usize;
  length: u32;
  /** Octets of each datagram of the run it is; 0 = it is one datagram. */
  segment: u32;
  /** Who has sent it, on the host's side. */
  address: u32;
  port: u32;
  /** Address of the guest that it is for. */
  guest: u32;
  /** Address of the host that it was sent to; 0 = it does not matter. */
  asked: u32;
  /** What it goes on with; a hop less is left (RFC 1812 §5.3.1). */
  ttl: u32;
  tos: u32;
  /** Whom the guest sees as its sender. */
  source: u32;
  sourcePort: u32;
}

/** The one under way. */
export const received: Received = changetype<Received>(memory.data(<i32>offsetof<Received>(), 8));

function linkHas(bits: u32): bool {
  return vnetSize > 0 && (config(abi.CONFIG_LINK_FLAGS_OFFSET) & bits) == bits;
}

/** Octets of IP and UDP header towards the guest. */
function packetHeaderSize(): u32 {
  return headerSize(received.guest) + UDP_HEADER_SIZE;
}

/** Whether a run of datagrams of `segment` octets, `length` in all, can be one frame. */
function runFits(segment: u32, length: u32): bool {
  const header = packetHeaderSize();
  const uso = isIpv6(received.guest) ? abi.LINK_USO6 : abi.LINK_USO;
  return (
    linkHas(uso | abi.LINK_CSUM) &&
    header + segment <= linkMtu() &&
    header + length <= PACKET_SIZE_MAX
  );
}

/** Whether the message is a run of more datagrams than one. */
function isRun(): bool {
  return received.segment != 0 && received.length > received.segment;
}

/** Datagrams that the run has. */
function runCount(): u32 {
  return (received.length + received.segment - 1) / received.segment;
}

/** Frames that the message under way becomes. */
export function framesFor(): u32 {
  if (!isRun()) return received.length / linkMtu() + 1;
  return runFits(received.segment, received.length) ? 1 : runCount();
}

/** Begins a packet to the guest from whom it sees. */
function begin(protocol: u32): void {
  const source = received.source;
  outgoingBegin(source, received.guest, received.mac, protocol, received.ttl, received.tos);
}

/** One frame whose UDP checksum the link completes; `segment` = size of the datagrams of a run. */
function sendOffloaded(flow: UdpFlow, p: usize, length: u32, segment: u32): bool {
  const ethernet = txBegin();
  if (ethernet == 0) return false;
  const guest = received.guest;
  const start = startOf(guest);
  const udp = ethernet + start;
  const size = UDP_HEADER_SIZE + length;
  begin(PROTOCOL_UDP);
  identify(packetHeaderSize() + (segment == 0 ? length : segment));
  headersEmit(ethernet, size);
  udpEmit(udp, received.sourcePort, flow.guestPort, size);
  const pseudo = pseudoSum(received.source, guest, PROTOCOL_UDP, size);
  sumStorePartial(udp + UDP_CHECKSUM_OFFSET, pseudo);
  txOffload(
    ethernet,
    segment == 0 ? 0 : GSO_UDP_L4,
    segment == 0 ? 0 : start + UDP_HEADER_SIZE,
    segment,
    start,
    UDP_CHECKSUM_OFFSET,
  );
  txHeader(ethernet, start + UDP_HEADER_SIZE);
  txPiece(p, length);
  txEnd(handleOf(flow));
  return true;
}

/** One datagram, in as many frames as the MTU asks for. */
function sendDatagram(flow: UdpFlow, p: usize, length: u32): bool {
  const offload = linkHas(abi.LINK_CSUM) && length >= OFFLOAD_SIZE_MIN;
  if (offload && packetHeaderSize() + length <= linkMtu()) {
    return sendOffloaded(flow, p, length, 0);
  }
  const size = UDP_HEADER_SIZE + length;
  udpEmit(HEADER, received.sourcePort, flow.guestPort, size);
  const pseudo = pseudoSum(received.source, received.guest, PROTOCOL_UDP, size);
  const sum = sumAdd(pseudo, sumAdd(sumBytes(HEADER, UDP_HEADER_SIZE), sumBytes(p, length)));
  sumStoreUdp(HEADER + UDP_CHECKSUM_OFFSET, sum);
  begin(PROTOCOL_UDP);
  return packetSend(HEADER, UDP_HEADER_SIZE, p, length, handleOf(flow));
}

/** Whether the flow takes messages from this host address; counts the drop if not. */
function admitted(flow: UdpFlow, address: u32): bool {
  if (!has(flow, F_PUBLISHED)) {
    const isLocal = reachIsLocal(address);
    if ((isLocal || filterIsOn()) && !filterHas(flow, address)) {
      drop(isLocal ? abi.DROP_UDP_LOCAL : abi.DROP_UDP_FILTERED);
      return false;
    }
  }
  // Nobody can be answered there (RFC 1122 §4.1.3.6).
  const isNobody = isIpv6(address)
    ? address6IsMulticast(octetsOf(address))
    : addressIsMulticast(address) || addressIsReserved(address);
  if (isNobody) {
    drop(abi.DROP_UDP_FILTERED);
    return false;
  }
  return true;
}

/** Sets the source the guest sees; false = dropped and counted. */
function resolve(flow: UdpFlow, now: i64): bool {
  if (flow.kind == <u8>abi.KIND_DNS || has(flow, F_LOCAL)) {
    const isLocal = has(flow, F_LOCAL);
    received.source = isLocal ? flow.peerAddress : dnsAddressFor(flow.guestAddress);
    received.sourcePort = flow.peerPort;
    return true;
  }
  const address = received.address;
  const port = received.port;
  if (port == 0) {
    drop(abi.DROP_UDP_PORT);
    return false;
  }
  if (!admitted(flow, address)) return false;
  const source = shownTo(received.guest, address);
  const asked = received.asked;
  received.source = source;
  received.sourcePort = port;
  // Those the guest could not answer otherwise, or not as they asked.
  if (
    asked != 0 ||
    flow.peerPort != 0 ||
    source != address ||
    reachRefusal(address, PROTOCOL_UDP, port) != abi.DROP_NONE
  ) {
    const ports = ((<u32>flow.guestPort) << 16) | port;
    const peer = peerRemember(received.guest, source, ports, now);
    peer.address = address;
    peer.asked = asked;
    peer.spot = flow.peerPort;
    peer.owner = flow.guestAddress;
  }
  return true;
}

/** Delivers the message under way, a datagram or a run of them. */
export function deliverUdp(flow: UdpFlow, now: i64): void {
  if (!resolve(flow, now)) return;
  datagramTouch(flow, now);
  const p = received.p;
  const length = received.length;
  const segment = received.segment;
  const dns = flow.kind == <u8>abi.KIND_DNS; // of a run, each answer is looked at
  if (!dns && isRun() && runFits(segment, length)) {
    if (!sendOffloaded(flow, p, length, segment)) return;
    countMany(abi.STAT_UDP_TO_GUEST, runCount());
    flow.bytesToGuest += length;
    return;
  }
  const step = segment == 0 ? length : segment;
  let offset: u32 = 0;
  do {
    const size = min(step, length - offset);
    const wanted = !dns || dnsAnswered(flow, p + offset, size, now);
    if (wanted && sendDatagram(flow, p + offset, size)) {
      count(abi.STAT_UDP_TO_GUEST);
      flow.bytesToGuest += size;
    }
    offset += size;
  } while (offset < length);
}

/** Delivers the message under way, of ICMP, that a ping socket has got. */
export function deliverPing(flow: UdpFlow, now: i64): void {
  const p = received.p;
  const length = received.length;
  if (length < ICMP_HEADER_SIZE) {
    drop(abi.DROP_ICMP_TRUNCATED);
    return;
  }
  const guest = flow.guestAddress;
  const six = isIpv6(guest);
  const message = Icmpv4View.at(p); // an echo looks the same in ICMPv6
  if (message.type != (six ? ICMPV6_ECHO_REPLY : ICMP_ECHO_REPLY) || message.code != 0) {
    drop(abi.DROP_ICMP_TYPE);
    return;
  }
  if (!admitted(flow, received.address)) return;
  datagramTouch(flow, now);
  message.identifier = flow.guestPort;
  const source = natToGuest(received.address);
  if (six) icmpv6ChecksumFill(p, length, pseudoSum(source, guest, PROTOCOL_ICMPV6, length));
  else icmpv4ChecksumFill(p, length);
  received.source = source;
  begin(six ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP);
  const data = p + ICMP_HEADER_SIZE;
  if (!packetSend(p, ICMP_HEADER_SIZE, data, length - ICMP_HEADER_SIZE, handleOf(flow))) return;
  count(abi.STAT_PING_TO_GUEST);
  flow.bytesToGuest += length;
}
