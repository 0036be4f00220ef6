/**
 * Control messages of sendmsg and recvmsg: struct cmsghdr of a 64-bit kernel.
 *
 *      0            8       12     16
 *     | length u64 | level | type | data, padded to 8 |
 *
 * Contract: `length` counts the 16 octets of the header. Appending never exceeds MSG_CONTROL_SIZE:
 * three messages of 24 octets and one of 40 are the most anybody appends. What the kernel wrote is
 * searched within the size it reported. Source: cmsg(3), ip(7), ipv6(7), udp(7),
 * <linux/errqueue.h>.
 */
import * as abi from "../abi/index";
import { Msg } from "../layout";
import { absolute } from "../memory";
import { msgControl } from "../ring";
import { address6Copy } from "../wire/addr6";
import { isIpv6, octetsOf, scopeOf } from "./addresses";

export const SOL_IP: u32 = 0;
export const SOL_UDP: u32 = 17;
export const SOL_IPV6: u32 = 41;
export const IP_TOS: u32 = 1;
export const IP_TTL: u32 = 2;
export const IP_PKTINFO: u32 = 8;
export const IP_RECVERR: u32 = 11;
export const IPV6_RECVERR: u32 = 25;
export const IPV6_PKTINFO: u32 = 50;
export const IPV6_HOPLIMIT: u32 = 52;
export const IPV6_TCLASS: u32 = 67;
export const UDP_SEGMENT: u32 = 103;
export const UDP_GRO: u32 = 104;
/** Bit of `Msg.flags`: the datagram was longer than its buffer. */
export const MSG_TRUNC: u64 = 0x20;

/** struct in_pktinfo: interface, local address, address in the header; in6_pktinfo: the reverse. */
export const PKTINFO_SIZE: u32 = 12;
export const PKTINFO_LOCAL_OFFSET: usize = 4;
export const PKTINFO_HEADER_OFFSET: usize = 8;
export const PKTINFO6_SIZE: u32 = 20;
export const PKTINFO6_SCOPE_OFFSET: usize = 16;

const LEVEL_OFFSET: usize = 8;
const TYPE_OFFSET: usize = 12;
const HEADER_SIZE: usize = 16;
/** Messages begin at multiples of 8. */
const ALIGN: u64 = 7;
/** A control message of up to 8 octets of data. */
const SMALL_SIZE: u32 = 24;
/** One with an address: that of IPv4, that of IPv6. */
const SOURCE_SIZE: u32 = 32;
const SOURCE6_SIZE: u32 = 40;

/** Adds a value of `size` octets, 2 or 4. */
export function controlAppend(msg: usize, level: u32, type: u32, value: u32, size: u32): void {
  const m = changetype<Msg>(msg);
  const base = msgControl(msg);
  const p = base + <usize>m.controlLength;
  store<u64>(p, HEADER_SIZE + size);
  store<u32>(p, level, LEVEL_OFFSET);
  store<u32>(p, type, TYPE_OFFSET);
  // Little-endian: the low octets come first, the padding is zero.
  store<u64>(p, <u64>value, HEADER_SIZE);
  m.control = absolute(base);
  m.controlLength += SMALL_SIZE;
}

/** Has the message leave from this address of the host. */
export function controlSource(msg: usize, address: u32): void {
  const m = changetype<Msg>(msg);
  const base = msgControl(msg);
  const p = base + <usize>m.controlLength;
  const six = isIpv6(address);
  store<u64>(p, HEADER_SIZE + (six ? PKTINFO6_SIZE : PKTINFO_SIZE));
  store<u32>(p, six ? SOL_IPV6 : SOL_IP, LEVEL_OFFSET);
  store<u32>(p, six ? IPV6_PKTINFO : IP_PKTINFO, TYPE_OFFSET);
  const data = p + HEADER_SIZE;
  if (six) {
    address6Copy(data, octetsOf(address));
    // No interface but for a link-local address.
    store<u64>(data, scopeOf(address), PKTINFO6_SCOPE_OFFSET);
  } else {
    store<u64>(data, (<u64>bswap<u32>(address)) << 32);
    store<u64>(data, 0, PKTINFO_HEADER_OFFSET);
  }
  m.control = absolute(base);
  m.controlLength += six ? SOURCE6_SIZE : SOURCE_SIZE;
}

/** Lets the kernel write control messages for this message. */
export function controlReceive(msg: usize): void {
  const m = changetype<Msg>(msg);
  m.control = absolute(msgControl(msg));
  m.controlLength = abi.MSG_CONTROL_SIZE;
}

/** Data of a received control message with at least `size` octets of it, or 0. */
export function controlFind(msg: usize, level: u32, type: u32, size: u32): usize {
  const end = min<u64>(changetype<Msg>(msg).controlLength, abi.MSG_CONTROL_SIZE);
  const base = msgControl(msg);
  let offset: u64 = 0;
  while (offset + HEADER_SIZE <= end) {
    const p = base + <usize>offset;
    const length = load<u64>(p);
    if (length < HEADER_SIZE || length > end - offset) return 0;
    if (load<u32>(p, LEVEL_OFFSET) == level && load<u32>(p, TYPE_OFFSET) == type) {
      return length - HEADER_SIZE >= <u64>size ? p + HEADER_SIZE : 0;
    }
    offset += (length + ALIGN) & ~ALIGN;
  }
  return 0;
}
