/**
 * IPv6 packets towards the guest, fragmentation included: the twin of `ipv4Send` in `emit`, with
 * the same contract.
 *
 * The identification of fragments is random (RFC 7739 §5.3): unlike IPv4's it is sent with
 * fragments only and has 32 bits, so it does not come again while any of them is on its way.
 *
 * Source: RFC 8200 §3, 4.5, 5.
 */
import * as abi from "../abi";
import { next } from "../prng";
import { txBegin, txEnd, txFree, txHeader, txPiece } from "../ring";
import { count, drop } from "../stats";
import { ETHERNET_HEADER_SIZE, ETHERTYPE_IPV6, ethernetEmit } from "../wire/ethernet";
import {
  IPV6_FRAGMENT_SIZE,
  IPV6_HEADER_SIZE,
  ipv6Emit,
  ipv6FragmentEmit,
  NEXT_FRAGMENT,
} from "../wire/ipv6";
import { octetsOf } from "./addresses";
import { frameCommit, gatewayMac, linkMtu } from "./emit";

const FRAME_SIZE_MIN: u32 = 60;
const PAYLOAD_SIZE_MAX: u32 = 65535;

/** Headers of a packet under way. */
let source: u32 = 0;
let destination: u32 = 0;
let mac: u64 = 0;
let hopLimit: u32 = 0;
let trafficClass: u32 = 0;

/** Begins a frame with Ethernet and IPv6 header; returns the location behind them, or 0. */
function begin(nextHeader: u32, size: u32): usize {
  const ethernet = txBegin();
  if (ethernet == 0) return 0;
  const ip = ethernet + ETHERNET_HEADER_SIZE;
  ethernetEmit(ethernet, mac, gatewayMac(), ETHERTYPE_IPV6);
  ipv6Emit(ip, octetsOf(source), octetsOf(destination), nextHeader, size, hopLimit, trafficClass);
  return ip + IPV6_HEADER_SIZE;
}

/** Ends it with `headerLength` octets to copy behind `p` and `length` to point at. */
function finish(
  p: usize,
  header: usize,
  headerLength: u32,
  payload: usize,
  length: u32,
  before: u32,
  handle: u32,
): void {
  const ethernet = p - before;
  memory.copy(p, header, headerLength);
  const inSlot = before + headerLength;
  if (inSlot + length <= FRAME_SIZE_MIN) {
    memory.copy(ethernet + inSlot, payload, length);
    frameCommit(ethernet, inSlot + length, handle);
    return;
  }
  txHeader(ethernet, inSlot);
  if (length > 0) txPiece(payload, length);
  txEnd(handle);
}

/** Sends in fragments; the caller has seen that there is room for all of them. */
function sendFragments(
  protocol: u32,
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
    const p = begin(NEXT_FRAGMENT, IPV6_FRAGMENT_SIZE + taken);
    if (p == 0) return;
    ipv6FragmentEmit(p, protocol, offset, offset + taken < size, ident);
    finish(
      p + IPV6_FRAGMENT_SIZE,
      header,
      copied,
      payload + offset + copied - headerLength,
      taken - copied,
      ETHERNET_HEADER_SIZE + IPV6_HEADER_SIZE + IPV6_FRAGMENT_SIZE,
      handle,
    );
    count(abi.STAT_FRAGMENTS_SENT);
    offset += taken;
    copied = 0;
  }
}

/**
 * Sends `headerLength` octets (at most 64) at `header`, checksum included, and `payloadLength`
 * octets at `payload`. False: nothing was sent and the reason is counted.
 */
export function ipv6Send(
  from: u32,
  to: u32,
  toMac: u64,
  protocol: u32,
  ttl: u32,
  tos: u32,
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
  const room = (mtu - IPV6_HEADER_SIZE - IPV6_FRAGMENT_SIZE) & ~7;
  const frames: u32 = whole ? 1 : (size + room - 1) / room;
  if (<u32>txFree() < frames) {
    drop(abi.DROP_TX_FULL);
    return false;
  }
  source = from;
  destination = to;
  mac = toMac;
  hopLimit = ttl;
  trafficClass = tos;
  if (!whole) {
    sendFragments(protocol, room, header, headerLength, payload, size, handle);
    return true;
  }
  const p = begin(protocol, size);
  if (p == 0) return false;
  finish(
    p,
    header,
    headerLength,
    payload,
    payloadLength,
    ETHERNET_HEADER_SIZE + IPV6_HEADER_SIZE,
    handle,
  );
  return true;
}
