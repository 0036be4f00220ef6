/**
 * Which addresses are the host's own, and which of its ports are published: told by the host, and
 * told anew whenever they change (`host_address` of `abi`).
 *
 * Theory of operation
 *   A table of open addressing with room for twice what it may hold, so a lookup ends after a few
 *   steps whatever a guest asks for. Keys are 16 octets, IPv4 as ::ffff:A.B.C.D. The host clears
 *   the own addresses and enters all of them again within one of its turns, so no packet sees half
 *   of them. Who asks with an address of `addresses` need not know its version.
 *
 *     own addresses    at most HOST_ADDRESS_COUNT, 16 octets each; those of all interfaces
 *     published ports  on at most HOST_SPOT_COUNT addresses, a bit for each port of each protocol:
 *                      there may be all 65,535 of them; until the host takes one back (HOST_GONE).
 *                      ::ffff:0.0.0.0 and :: are all addresses of a version. An address that has no
 *                      port left gives its place to the next one that finds none.
 *
 *   What does not fit is refused to the host. Memory that was never used is not touched.
 *
 *   Beside that, which guest ports have a socket of both versions of IP (HOST_DUAL, `datagram`).
 */
import * as abi from "../abi/index";
import { CONTROL } from "../memory";
import { check } from "../trap";
import { PROTOCOL_TCP, PROTOCOL_UDP } from "../wire/ipv4";
import { isIpv6, octetsOf } from "./addresses";

/** A key: 16 octets, as two words. */
const KEY_SIZE: usize = 16;
const KEY_LOW_OFFSET: usize = 8;
const OWN_SLOTS: u32 = 2 * <u32>abi.HOST_ADDRESS_COUNT;
const OWN: usize = memory.data(<i32>(<usize>OWN_SLOTS * KEY_SIZE), 16);
/** Keys of the addresses that ports are published on. */
const SPOTS: usize = memory.data(<i32>(<usize>abi.HOST_SPOT_COUNT * KEY_SIZE), 16);
/** A bit for each port. */
const BITS_SIZE: usize = 8192;
const OCTET_SHIFT: u32 = 3;
const OCTET_BITS: u32 = 7;
/** For each of them the ports of TCP, then those of UDP. */
const PORTS: usize = memory.data(<i32>(<usize>abi.HOST_SPOT_COUNT * 2 * BITS_SIZE), 4096);
/** Guest ports whose first socket is of both versions. */
const DUAL: usize = memory.data(<i32>BITS_SIZE, 8);
/** First four octets of ::ffff:A.B.C.D behind eight zeros, as a little-endian word. */
const MAPPED: u64 = 0xffff0000;

/** Odd words that spread the bits of a key. */
const MIX_FIRST: u64 = 0x9e3779b97f4a7c15;
const MIX_SECOND: u64 = 0xd6e8feb86659fd93;

let ownCount: i32 = 0;
let spotCount: i32 = 0;
let hasDual: bool = false;
/** UDP ports of the host that are published, those of each address. */
export let ownUdpPorts: i32 = 0;

/** Forgets all. */
export function ownInit(): void {
  ownClear();
  memory.fill(PORTS, 0, <usize>spotCount * 2 * BITS_SIZE);
  if (hasDual) memory.fill(DUAL, 0, BITS_SIZE);
  spotCount = 0;
  hasDual = false;
  ownUdpPorts = 0;
}

function ownClear(): void {
  if (ownCount > 0) memory.fill(OWN, 0, <usize>OWN_SLOTS * KEY_SIZE);
  ownCount = 0;
}

function mix(high: u64, low: u64, what: u32): u32 {
  let x = ((high ^ <u64>what) * MIX_FIRST) ^ low;
  x = (x ^ (x >> 32)) * MIX_SECOND;
  return <u32>(x ^ (x >> 32));
}

/** Where the own address is, or the empty slot where it would be. */
function ownSlot(high: u64, low: u64): usize {
  const first = mix(high, low, 0);
  for (let i: u32 = 0; i < OWN_SLOTS; i++) {
    const slot = OWN + <usize>((first + i) & (OWN_SLOTS - 1)) * KEY_SIZE;
    const h = load<u64>(slot);
    const l = load<u64>(slot, KEY_LOW_OFFSET);
    if ((h == high && l == low) || (h | l) == 0) return slot;
  }
  check(false); // half of them are empty
  return OWN;
}

function bitHas(bits: usize, port: u32): bool {
  return ((<u32>load<u8>(bits + <usize>(port >>> OCTET_SHIFT)) >>> (port & OCTET_BITS)) & 1) != 0;
}

function bitSet(bits: usize, port: u32): void {
  const byte = bits + <usize>(port >>> OCTET_SHIFT);
  store<u8>(byte, load<u8>(byte) | <u8>((<u32>1) << (port & OCTET_BITS)));
}

function bitClear(bits: usize, port: u32): void {
  const byte = bits + <usize>(port >>> OCTET_SHIFT);
  store<u8>(byte, load<u8>(byte) & <u8>~((<u32>1) << (port & OCTET_BITS)));
}

/** Which of the addresses with published ports this is; -1 = none. */
function spotFind(high: u64, low: u64): i32 {
  for (let i = 0; i < spotCount; i++) {
    const key = SPOTS + <usize>i * KEY_SIZE;
    if (load<u64>(key) == high && load<u64>(key, KEY_LOW_OFFSET) == low) return i;
  }
  return -1;
}

/** The ports of a protocol that are published on a spot. */
function bitsOf(spot: i32, protocol: u32): usize {
  return PORTS + (<usize>spot * 2 + (protocol == PROTOCOL_UDP ? 1 : 0)) * BITS_SIZE;
}

/** An address without ports, to be forgotten; -1 = each has some. */
function spotUnused(): i32 {
  for (let i = 0; i < spotCount; i++) {
    const bits = bitsOf(i, PROTOCOL_TCP);
    let at: usize = 0;
    while (at < 2 * BITS_SIZE && load<u64>(bits + at) == 0) at += sizeof<u64>();
    if (at == 2 * BITS_SIZE) return i;
  }
  return -1;
}

/** A place for one more address with ports; -1 = there is none. */
function spotTake(): i32 {
  return spotCount < abi.HOST_SPOT_COUNT ? spotCount++ : spotUnused();
}

function ownAdd(high: u64, low: u64): bool {
  if ((high | low) == 0) return false;
  const slot = ownSlot(high, low);
  if ((load<u64>(slot) | load<u64>(slot, KEY_LOW_OFFSET)) != 0) return true;
  if (ownCount >= abi.HOST_ADDRESS_COUNT) return false;
  store<u64>(slot, high);
  store<u64>(slot, low, KEY_LOW_OFFSET);
  ownCount++;
  return true;
}

function portAdd(high: u64, low: u64, what: u32): bool {
  const protocol = what >>> abi.HOST_PORT_SHIFT;
  const port = what & 0xffff;
  if (protocol == <u32>abi.HOST_DUAL) {
    hasDual = true;
    bitSet(DUAL, port);
    return true;
  }
  if (protocol != PROTOCOL_TCP && protocol != PROTOCOL_UDP) return false;
  let spot = spotFind(high, low);
  if (spot < 0) {
    spot = spotTake();
    if (spot < 0) return false;
    const key = SPOTS + <usize>spot * KEY_SIZE;
    store<u64>(key, high);
    store<u64>(key, low, KEY_LOW_OFFSET);
  }
  const bits = bitsOf(spot, protocol);
  if (bitHas(bits, port)) return true;
  bitSet(bits, port);
  if (protocol == PROTOCOL_UDP) ownUdpPorts++;
  return true;
}

/** A port is published no longer; false = it was not. */
function portGone(high: u64, low: u64, what: u32): bool {
  const protocol = what >>> abi.HOST_PORT_SHIFT;
  const port = what & 0xffff;
  if (protocol == <u32>abi.HOST_DUAL) {
    bitClear(DUAL, port);
    return true;
  }
  const spot = spotFind(high, low);
  if (spot < 0 || (protocol != PROTOCOL_TCP && protocol != PROTOCOL_UDP)) return false;
  const bits = bitsOf(spot, protocol);
  if (!bitHas(bits, port)) return false;
  bitClear(bits, port);
  if (protocol == PROTOCOL_UDP) ownUdpPorts--;
  return true;
}

/** Takes what the host says (HOST_*, `abi`); false = there is no room for it, or no sense in it. */
export function ownTake(kind: u32): bool {
  if (kind == <u32>abi.HOST_CLEAR) {
    ownClear();
    return true;
  }
  const high = load<u64>(CONTROL + abi.CONTROL_ADDRESS_OFFSET);
  const low = load<u64>(CONTROL + abi.CONTROL_ADDRESS_OFFSET, KEY_LOW_OFFSET);
  if (kind == <u32>abi.HOST_OWN) return ownAdd(high, low);
  const gone = (<u32>abi.HOST_GONE) << abi.HOST_PORT_SHIFT;
  return (kind & gone) == 0 ? portAdd(high, low, kind) : portGone(high, low, kind & ~gone);
}

function highOf(address: u32): u64 {
  return isIpv6(address) ? load<u64>(octetsOf(address)) : 0;
}

function lowOf(address: u32): u64 {
  if (isIpv6(address)) return load<u64>(octetsOf(address), KEY_LOW_OFFSET);
  return MAPPED | ((<u64>bswap<u32>(address)) << 32);
}

/** Whether one of the host's interfaces has the address. */
export function ownHas(address: u32): bool {
  if (ownCount == 0) return false;
  const slot = ownSlot(highOf(address), lowOf(address));
  return (load<u64>(slot) | load<u64>(slot, KEY_LOW_OFFSET)) != 0;
}

/** Whether the port is published on this address of the host, or on all of its version. */
export function ownPublished(address: u32, protocol: u32, port: u32): bool {
  if (spotCount == 0 || port == 0) return false;
  const spot = spotFind(highOf(address), lowOf(address));
  if (spot >= 0 && bitHas(bitsOf(spot, protocol), port)) return true;
  const all = spotFind(0, isIpv6(address) ? 0 : MAPPED);
  return all >= 0 && bitHas(bitsOf(all, protocol), port);
}

/** Whether the first socket of this guest port is of both versions of IP. */
export function ownIsDual(guestPort: u32): bool {
  return hasDual && bitHas(DUAL, guestPort);
}
