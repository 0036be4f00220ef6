/**
 * IPv4 packets towards the guest: who we are on the wire, identifiers, fragmentation.
 *
 * Contract: `ipv4Send` takes a finished layer 4 header, which it copies, and a payload, which it
 * only points at: the octets must lie still until the link has taken the frames (`txReset`), which
 * those of a batch from the guest do not (`txKeep`). The packet goes out as one frame when the MTU
 * allows, else as fragments; either all of them or none, and then the datagram is counted as
 * dropped here and nowhere else.
 *
 * Identifiers (RFC 6864 §4): packets of up to 1500 octets are atomic (DF set), as senders on the
 * Internet make them, and carry a random identifier. Fragments, and larger packets that a jumbo MTU
 * lets through whole, leave DF clear, so that a router inside the guest can still fragment them;
 * their identifier comes from a keyed permutation of a counter: unpredictable, and no value returns
 * before 65,536 packets have gone.
 *
 * Source: RFC 791 §3.2, RFC 6864 §4, RFC 894 (frames of at least 60 octets).
 */
import * as abi from "../abi/index";
import { CONFIG, config } from "../memory";
import { GOLDEN_RATIO, next } from "../prng";
import { txBegin, txCommit, txEnd, txFree, txHeader, txPiece } from "../ring";
import { count, drop } from "../stats";
import { loadMac } from "../wire/bytes";
import { ETHERNET_HEADER_SIZE, ETHERTYPE_IPV4, ethernetEmit } from "../wire/ethernet";
import {
  FRAGMENT_UNIT_MASK,
  FRAGMENT_UNIT_SHIFT,
  IPV4_DF,
  IPV4_HEADER_SIZE,
  IPV4_MF,
  ipv4Emit,
} from "../wire/ipv4";
import { DNS6, GATEWAY6, isIpv6, ROUTER6 } from "./addresses";
import { outgoing } from "./outgoing";

/** Smallest Ethernet frame, without its check sequence. */
const FRAME_SIZE_MIN: u32 = 60;
const PACKET_SIZE_MAX: u32 = 65535;
/** Packets up to this size are atomic. */
const ATOMIC_SIZE_MAX: u32 = 1500;
/** Keeps the arithmetic below sound whatever the configuration says: header + L4 header + 8. */
const MTU_MIN: u32 = 128;
const ADDRESS_BITS: u64 = 32;
const IDENT_ROUNDS: u32 = 4;

let identCounter: u32 = 0;
let identKey: u32 = 0;
let ownMac: u64 = 0;

/** Draws the key of the identifiers and reads the configuration; after `prngInit`. */
export function emitInit(): void {
  identKey = next();
  identCounter = next() & 0xffff;
  ownMac = loadMac(CONFIG + abi.CONFIG_GATEWAY_MAC_OFFSET);
}

/** MAC address of gateway and DNS server. */
export function gatewayMac(): u64 {
  return ownMac;
}

/** Whether the engine itself owns this address: the gateway's or the DNS server's. */
export function isOwnAddress(address: u32): bool {
  if (address == 0) return false;
  if (isIpv6(address)) return address == GATEWAY6 || address == DNS6 || address == ROUTER6;
  return (
    address == config(abi.CONFIG_GATEWAY_ADDRESS_OFFSET) ||
    address == config(abi.CONFIG_DNS_ADDRESS_OFFSET)
  );
}

/** Netmask of the guest network; 64-bit because a 32-bit shift by 32 would be a shift by 0. */
export function networkMask(): u32 {
  return <u32>(
    ((<u64>u32.MAX_VALUE) << (ADDRESS_BITS - <u64>config(abi.CONFIG_PREFIX_LENGTH_OFFSET)))
  );
}

/** Directed broadcast address of the guest network. */
export function networkBroadcast(): u32 {
  return config(abi.CONFIG_GATEWAY_ADDRESS_OFFSET) | ~networkMask();
}

/** MTU of the link in octets, never below 128. */
export function linkMtu(): u32 {
  return max(config(abi.CONFIG_MTU_OFFSET), MTU_MIN);
}

/** One round of the permutation: eight of the key's bits and a mix of the half. */
function identRound(half: u32, key: u32): u32 {
  const x = (half ^ (key & 0xff)) * GOLDEN_RATIO;
  return (x >>> 24) ^ ((x >>> 16) & 0xff);
}

/** Next identifier for a packet that may be fragmented: a Feistel network over the counter. */
export function nextIdent(): u32 {
  identCounter = (identCounter + 1) & 0xffff;
  let left = identCounter >>> 8;
  let right = identCounter & 0xff;
  for (let round: u32 = 0; round < IDENT_ROUNDS; round++) {
    const swapped = left ^ identRound(right, identKey >>> (round << 3));
    left = right;
    right = swapped;
  }
  return (left << 8) | right;
}

/** Identifies the packet of `outgoing`, of `size` octets with its header, as one that is whole. */
export function identify(size: u32): void {
  const isAtomic = size <= ATOMIC_SIZE_MAX;
  outgoing.ident = isAtomic ? next() & 0xffff : nextIdent();
  outgoing.fragmentField = isAtomic ? IPV4_DF : 0;
}

/** Commits a frame that lies in its slot as a whole, padded with zeros to 60 octets. */
export function frameCommit(ethernet: usize, length: u32, handle: u32): void {
  if (length < FRAME_SIZE_MIN) {
    memory.fill(ethernet + length, 0, FRAME_SIZE_MIN - length);
    txCommit(ethernet, FRAME_SIZE_MIN, handle);
  } else {
    txCommit(ethernet, length, handle);
  }
}

/**
 * Sends the packet of `outgoing` as one frame. `header` and what is left of the payload in the
 * frame are `headerLength` and `length` octets. The caller has made sure that a frame is free.
 */
function sendFrame(
  header: usize,
  headerLength: u32,
  payload: usize,
  length: u32,
  handle: u32,
): void {
  const ethernet = txBegin();
  if (ethernet == 0) return;
  const ip = ethernet + ETHERNET_HEADER_SIZE;
  ethernetEmit(ethernet, outgoing.mac, gatewayMac(), ETHERTYPE_IPV4);
  ipv4Emit(ip, outgoing, headerLength + length);
  const start = ETHERNET_HEADER_SIZE + IPV4_HEADER_SIZE;
  frameFinish(ethernet, start, header, headerLength, payload, length, handle);
}

/**
 * Ends a frame of which `start` octets are written, with `headerLength` octets to copy behind them
 * and `length` to point at.
 */
export function frameFinish(
  ethernet: usize,
  start: u32,
  header: usize,
  headerLength: u32,
  payload: usize,
  length: u32,
  handle: u32,
): void {
  memory.copy(ethernet + start, header, headerLength);
  const inSlot = start + headerLength;
  if (inSlot + length <= FRAME_SIZE_MIN) {
    memory.copy(ethernet + inSlot, payload, length);
    frameCommit(ethernet, inSlot + length, handle);
    return;
  }
  txHeader(ethernet, inSlot);
  if (length > 0) txPiece(payload, length);
  txEnd(handle);
}

/**
 * Sends the packet of `outgoing`, with `headerLength` octets (at most 64) at `header`, checksum
 * included, and `payloadLength` octets at `payload`. False: nothing was sent and the reason is
 * counted (DROP_TX_FULL, DROP_DATAGRAM_TOO_BIG).
 */
export function ipv4Send(
  header: usize,
  headerLength: u32,
  payload: usize,
  payloadLength: u32,
  handle: u32,
): bool {
  const size = headerLength + payloadLength;
  const mtu = linkMtu();
  if (payloadLength > PACKET_SIZE_MAX || IPV4_HEADER_SIZE + size > PACKET_SIZE_MAX) {
    drop(abi.DROP_DATAGRAM_TOO_BIG);
    return false;
  }
  if (IPV4_HEADER_SIZE + size <= mtu) {
    if (txFree() < 1) {
      drop(abi.DROP_TX_FULL);
      return false;
    }
    identify(IPV4_HEADER_SIZE + size);
    sendFrame(header, headerLength, payload, payloadLength, handle);
    return true;
  }
  const room = (mtu - IPV4_HEADER_SIZE) & ~FRAGMENT_UNIT_MASK;
  if (<u32>txFree() < (size + room - 1) / room) {
    drop(abi.DROP_TX_FULL);
    return false;
  }
  outgoing.ident = nextIdent();
  let offset: u32 = 0;
  let copied = headerLength; // the layer 4 header travels in the first fragment only
  while (offset < size) {
    const taken = min(room, size - offset);
    const from = offset + copied - headerLength; // octets of payload already sent
    outgoing.fragmentField =
      (offset >>> FRAGMENT_UNIT_SHIFT) | (offset + taken < size ? IPV4_MF : 0);
    sendFrame(header, copied, payload + from, taken - copied, handle);
    count(abi.STAT_FRAGMENTS_SENT);
    offset += taken;
    copied = 0;
  }
  return true;
}
