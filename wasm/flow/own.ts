/**
 * Which addresses are the host's own, and which of its ports are published: told by the host, and
 * told anew whenever they change (`host_address` of `abi`).
 *
 * Theory of operation
 *   Two tables of open addressing with room for twice what they may hold, so a lookup ends after a
 *   few steps whatever a guest asks for. Keys are 16 octets, IPv4 as ::ffff:A.B.C.D; a published
 *   port has its protocol and number beside them. The host clears the own addresses and enters all
 *   of them again within one of its turns, so no packet sees half of them. Who asks with an address
 *   of `addresses` need not know its version.
 *
 *     own addresses    at most HOST_ADDRESS_COUNT, 16 octets each; those of all interfaces
 *     published ports  at most HOST_PORT_COUNT, for good
 *
 *   What does not fit is refused to the host, which counts and logs it. Memory that was never used
 *   is not touched.
 */
import * as abi from "../abi";
import { CONTROL } from "../memory";
import { PROTOCOL_TCP, PROTOCOL_UDP } from "../wire/ipv4";
import { isSix, octetsOf } from "./addresses";

const OWN_SLOTS: u32 = 4096;
const OWN_SIZE: usize = 16;
const OWN: usize = memory.data(65536, 16);
const PORT_SLOTS: u32 = 16384;
const PORT_SIZE: usize = 24;
const PORTS: usize = memory.data(393216, 16);
/** First four octets of ::ffff:A.B.C.D behind eight zeros, as a little-endian word. */
const MAPPED: u64 = 0xffff0000;

let ownCount: i32 = 0;
let portCount: i32 = 0;

/** Forgets all. */
export function ownInit(): void {
  ownClear();
  if (portCount > 0) memory.fill(PORTS, 0, <usize>PORT_SLOTS * PORT_SIZE);
  portCount = 0;
}

function ownClear(): void {
  if (ownCount > 0) memory.fill(OWN, 0, <usize>OWN_SLOTS * OWN_SIZE);
  ownCount = 0;
}

// @ts-ignore: decorator
@inline function mix(high: u64, low: u64, what: u32): u32 {
  let x = (high ^ <u64>what) * 0x9e3779b97f4a7c15 ^ low;
  x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93;
  return <u32>(x ^ (x >> 32));
}

/** Where the own address is, or the empty slot where it would be. */
function ownSlot(high: u64, low: u64): usize {
  let i = mix(high, low, 0);
  while (true) {
    const slot = OWN + <usize>(i & (OWN_SLOTS - 1)) * OWN_SIZE;
    const h = load<u64>(slot);
    const l = load<u64>(slot, 8);
    if ((h == high && l == low) || (h | l) == 0) return slot;
    i++;
  }
}

/** The same for a published port; `what` is never 0. */
function portSlot(high: u64, low: u64, what: u32): usize {
  let i = mix(high, low, what);
  while (true) {
    const slot = PORTS + <usize>(i & (PORT_SLOTS - 1)) * PORT_SIZE;
    const there = load<u32>(slot, 16);
    if (there == 0) return slot;
    if (there == what && load<u64>(slot) == high && load<u64>(slot, 8) == low) return slot;
    i++;
  }
}

function ownAdd(high: u64, low: u64): bool {
  if ((high | low) == 0) return false;
  const slot = ownSlot(high, low);
  if ((load<u64>(slot) | load<u64>(slot, 8)) != 0) return true;
  if (ownCount >= abi.HOST_ADDRESS_COUNT) return false;
  store<u64>(slot, high);
  store<u64>(slot, low, 8);
  ownCount++;
  return true;
}

function portAdd(high: u64, low: u64, what: u32): bool {
  const protocol = what >>> abi.HOST_PORT_SHIFT;
  if (protocol != PROTOCOL_TCP && protocol != PROTOCOL_UDP) return false;
  const slot = portSlot(high, low, what);
  if (load<u32>(slot, 16) != 0) return true;
  if (portCount >= abi.HOST_PORT_COUNT) return false;
  store<u64>(slot, high);
  store<u64>(slot, low, 8);
  store<u32>(slot, what, 16);
  portCount++;
  return true;
}

/** Takes what the host says (HOST_*, `abi`); false = there is no room for it, or no sense in it. */
export function ownTake(kind: u32): bool {
  if (kind == <u32>abi.HOST_CLEAR) {
    ownClear();
    return true;
  }
  const high = load<u64>(CONTROL + abi.CONTROL_ADDRESS_OFFSET);
  const low = load<u64>(CONTROL + abi.CONTROL_ADDRESS_OFFSET, 8);
  return kind == <u32>abi.HOST_OWN ? ownAdd(high, low) : portAdd(high, low, kind);
}

// @ts-ignore: decorator
@inline function highOf(address: u32): u64 {
  return isSix(address) ? load<u64>(octetsOf(address)) : 0;
}

// @ts-ignore: decorator
@inline function lowOf(address: u32): u64 {
  if (isSix(address)) return load<u64>(octetsOf(address), 8);
  return MAPPED | (<u64>bswap<u32>(address) << 32);
}

/** Whether one of the host's interfaces has the address. */
export function ownHas(address: u32): bool {
  if (ownCount == 0) return false;
  const slot = ownSlot(highOf(address), lowOf(address));
  return (load<u64>(slot) | load<u64>(slot, 8)) != 0;
}

/** Whether the port is published on this address of the host, or on all of its version. */
export function ownPublished(address: u32, protocol: u32, port: u32): bool {
  if (portCount == 0 || port == 0) return false;
  const what = (protocol << abi.HOST_PORT_SHIFT) | port;
  if (load<u32>(portSlot(highOf(address), lowOf(address), what), 16) != 0) return true;
  return load<u32>(portSlot(0, isSix(address) ? 0 : MAPPED, what), 16) != 0;
}

if (
  OWN_SLOTS != <u32>abi.HOST_ADDRESS_COUNT * 2 || OWN_SLOTS * <u32>OWN_SIZE != 65536 ||
  PORT_SLOTS != <u32>abi.HOST_PORT_COUNT * 2 || PORT_SLOTS * <u32>PORT_SIZE != 393216
) {
  ERROR("own.ts reserves the wrong sizes");
}
