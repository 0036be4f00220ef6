/**
 * How large packets may be on the way to a destination: what the host knows of it, for guests that
 * forbid fragmentation.
 *
 * Theory of operation
 *   A guest's link may take larger packets than the host's way out. The host's kernel fragments
 *   what is too large, so a datagram arrives whatever the guest's DF bit says. But the guest asked
 *   to be told, and who is told once can do better. So the first packet to a destination that may
 *   be too large has the host asked for the size (OP_PATH_MTU), before it is sent:
 *
 *     size known, packet fits          it goes out
 *     packet is larger                 it goes out, in fragments; the guest is told of it once in
 *                                      EXPIRY_US
 *     the same, CONFIG_FLAG_STRICT_DF  it is dropped, the guest is told each time (`error-limit`)
 *
 *   Packets of MTU_SURE octets and less, those a guest has fragmented itself, and IPv4 without DF
 *   are not looked at. What an ICMP error from further away says of the size counts, too.
 *
 * Limits: ENTRY_COUNT destinations, by hash; one that comes to a place takes it, and the other is
 * asked for again. Times in microseconds. Source: RFC 1191 §3 and 6.3, RFC 8201 §4, ip(7) IP_MTU.
 */
import * as abi from "../abi/index";
import { config, RX_BUFFERS } from "../memory";
import { GOLDEN_RATIO } from "../prng";
import { SECOND_US } from "../timer";
import { ICMP_FRAGMENTATION_NEEDED, ICMP_UNREACHABLE } from "../wire/icmpv4";
import { IPV6_HEADER_SIZE, IPV6_MTU_MIN } from "../wire/ipv6";
import { stableHashOf } from "./addresses";
import { icmpErrorReply } from "./icmp-error";
import { noticeBegin } from "./icmp-notice";
import { headerIsAtomic, headerIsIpv6 } from "./packet";
import { gatewayOf } from "./send";

const HASH_BITS: u32 = 32;
const ENTRY_BITS: u32 = 10;
const ENTRY_COUNT: u32 = 1 << ENTRY_BITS;
const ENTRY_SIZE: usize = 16;
const ENTRIES: usize = memory.data(<i32>(<usize>ENTRY_COUNT * ENTRY_SIZE), 8);
/** RFC 8201 §4 wants 10 minutes before a larger size is tried. */
const EXPIRY_US: i64 = 600 * SECOND_US;
/** All ways carry this: IPv4's usual least; of IPv6 IPV6_MTU_MIN. */
const MTU_SURE: u32 = 576;
const MTU_MAX: u32 = 65535 + IPV6_HEADER_SIZE;

/** What `pathJudge` says of a packet. */
export const PATH_FITS: u32 = 0;
export const PATH_UNKNOWN: u32 = 1;
export const PATH_REFUSED: u32 = 2;

@unmanaged
class PathMtu {
  /** `stableHashOf` the address. */
  word: u32;
  /** Octets of a packet, and TOLD; 0 = the entry is free. */
  mtu: u32;
  until: i64;
}

const TOLD: u32 = 0x80000000;

export function pathMtuInit(): void {
  memory.fill(ENTRIES, 0, <usize>ENTRY_COUNT * ENTRY_SIZE);
}

function entryOf(address: u32): PathMtu {
  const place = (stableHashOf(address) * GOLDEN_RATIO) >>> (HASH_BITS - ENTRY_BITS);
  return changetype<PathMtu>(ENTRIES + <usize>place * ENTRY_SIZE);
}

/** Octets a packet to this address may have; 0 = not known. */
function pathMtuOf(address: u32, now: i64): u32 {
  const entry = entryOf(address);
  if (entry.word != stableHashOf(address) || now > entry.until) return 0;
  return entry.mtu & ~TOLD;
}

/** The host says how large packets may be; a negative errno = it does not know. */
export function pathMtuStore(address: u32, result: i32, now: i64): void {
  const mtu = result <= 0 ? MTU_MAX : min(<u32>result, MTU_MAX);
  const entry = entryOf(address);
  const isSame = entry.word == stableHashOf(address) && mtu == (entry.mtu & ~TOLD);
  if (!isSame || now > entry.until) entry.mtu = mtu;
  entry.word = stableHashOf(address);
  entry.until = now + EXPIRY_US;
}

/** Whether the guest is still to be told of it: true once. */
function tellOnce(address: u32): bool {
  const entry = entryOf(address);
  if (entry.word != stableHashOf(address) || (entry.mtu & TOLD) != 0) return false;
  entry.mtu |= TOLD;
  return true;
}

/** The guest hears of the size from somebody else. */
export function pathMtuTold(address: u32, mtu: u32, now: i64): void {
  pathMtuStore(address, <i32>min(mtu, MTU_MAX), now);
  tellOnce(address);
}

/** Whether the packet came from the guest in one piece: nothing was put together. */
function isWhole(ip: usize): bool {
  return ip - RX_BUFFERS < <usize>abi.RX_SLOT_COUNT * <usize>abi.RX_SLOT_SIZE;
}

/**
 * Whether the guest's packet at `ip`, `size` octets of it, or of each that a run is cut into, may
 * go to the host's `address`; tells the guest at `mac` if it is to be told.
 */
export function pathJudge(ip: usize, size: u32, address: u32, mac: u64, now: i64): u32 {
  if (size <= MTU_SURE || !isWhole(ip) || !headerIsAtomic(ip)) return PATH_FITS;
  if (size <= IPV6_MTU_MIN && headerIsIpv6(ip)) return PATH_FITS;
  const mtu = pathMtuOf(address, now);
  if (mtu == 0) return PATH_UNKNOWN;
  if (size <= mtu) return PATH_FITS;
  const isStrict = (config(abi.CONFIG_FLAGS_OFFSET) & abi.CONFIG_FLAG_STRICT_DF) != 0;
  if (tellOnce(address) || isStrict) {
    const isIpv6 = headerIsIpv6(ip);
    const rest = isIpv6 ? max(mtu, IPV6_MTU_MIN) : mtu;
    noticeBegin(ICMP_UNREACHABLE, ICMP_FRAGMENTATION_NEEDED, rest, gatewayOf(isIpv6), mac);
    icmpErrorReply(ip, size, now);
  }
  return isStrict ? PATH_REFUSED : PATH_FITS;
}

if (offsetof<PathMtu>() != ENTRY_SIZE) ERROR("an entry has another size");
