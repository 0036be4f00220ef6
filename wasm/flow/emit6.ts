/**
 * IPv6 packets towards the guest, fragmentation included: the twin of `ipv4Send` in `emit`, with
 * the same contract.
 *
 * The identification of fragments is random (RFC 7739 §5.3): unlike IPv4's it is sent with
 * fragments only and has 32 bits, so it does not come again while any of them is on its way.
 *
 * Source: RFC 8200 §3, 4.5, 5.
 */
import * as abi from "../abi/index";
import { next } from "../prng";
import { txBegin, txFree } from "../ring";
import { count, drop } from "../stats";
import { ETHERNET_HEADER_SIZE, ETHERTYPE_IPV6, ethernetEmit } from "../wire/ethernet";
import { FRAGMENT_UNIT_MASK } from "../wire/ipv4";
import {
  IPV6_FRAGMENT_SIZE,
  IPV6_HEADER_SIZE,
  ipv6Emit,
  ipv6FragmentEmit,
  NEXT_FRAGMENT,
} from "../wire/ipv6";
import { octetsOf } from "./addresses";
import { frameFinish, gatewayMac, linkMtu } from "./emit";
import { outgoing } from "./outgoing";

const HEADERS_SIZE: u32 = ETHERNET_HEADER_SIZE + IPV6_HEADER_SIZE;
const PAYLOAD_SIZE_MAX: u32 = 65535;

/** Begins a frame of `outgoing` with Ethernet and IPv6 header; returns its location, or 0. */
function begin(nextHeader: u32, size: u32): usize {
  const ethernet = txBegin();
  if (ethernet == 0) return 0;
  ethernetEmit(ethernet, outgoing.mac, gatewayMac(), ETHERTYPE_IPV6);
  ipv6Emit(
    ethernet + ETHERNET_HEADER_SIZE,
    octetsOf(outgoing.source),
    octetsOf(outgoing.destination),
    nextHeader,
    size,
    outgoing.ttl,
    outgoing.tos,
  );
  return ethernet;
}

/** Sends in fragments; the caller has seen that there is room for all of them. */
function sendFragments(
  room: u32,
  header: usize,
  headerLength: u32,
  payload: usize,
  size: u32,
  handle: u32,
): void {
  const ident = next();
  let offset: u32 = 0;
  let copied = headerLength; // the layer 4 header travels in the first fragment only
  while (offset < size) {
    const taken = min(room, size - offset);
    const ethernet = begin(NEXT_FRAGMENT, IPV6_FRAGMENT_SIZE + taken);
    if (ethernet == 0) return;
    const hasMore = offset + taken < size;
    ipv6FragmentEmit(ethernet + HEADERS_SIZE, outgoing.protocol, offset, hasMore, ident);
    const from = payload + offset + copied - headerLength;
    const start = HEADERS_SIZE + IPV6_FRAGMENT_SIZE;
    frameFinish(ethernet, start, header, copied, from, taken - copied, handle);
    count(abi.STAT_FRAGMENTS_SENT);
    offset += taken;
    copied = 0;
  }
}

/**
 * Sends the packet of `outgoing`, with `headerLength` octets (at most 64) at `header`, checksum
 * included, and `payloadLength` octets at `payload`. False: nothing was sent and the reason is
 * counted.
 */
export function ipv6Send(
  header: usize,
  headerLength: u32,
  payload: usize,
  payloadLength: u32,
  handle: u32,
): bool {
  const size = headerLength + payloadLength;
  if (payloadLength > PAYLOAD_SIZE_MAX || size > PAYLOAD_SIZE_MAX) {
    drop(abi.DROP_DATAGRAM_TOO_BIG);
    return false;
  }
  const mtu = linkMtu();
  const whole = IPV6_HEADER_SIZE + size <= mtu;
  const room = (mtu - IPV6_HEADER_SIZE - IPV6_FRAGMENT_SIZE) & ~FRAGMENT_UNIT_MASK;
  const frames: u32 = whole ? 1 : (size + room - 1) / room;
  if (<u32>txFree() < frames) {
    drop(abi.DROP_TX_FULL);
    return false;
  }
  if (!whole) {
    sendFragments(room, header, headerLength, payload, size, handle);
    return true;
  }
  const ethernet = begin(outgoing.protocol, size);
  if (ethernet == 0) return false;
  frameFinish(ethernet, HEADERS_SIZE, header, headerLength, payload, payloadLength, handle);
  return true;
}
