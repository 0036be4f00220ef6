/** What the guest is told when the host does not take its datagrams. */
import {
  EACCES,
  EADDRNOTAVAIL,
  EAFNOSUPPORT,
  EAGAIN,
  EBADF,
  ECONNREFUSED,
  EMSGSIZE,
  ENETDOWN,
  ENETUNREACH,
  ENODEV,
  EPERM,
  EPROTONOSUPPORT,
} from "../errno";
import { Entry } from "../ring";
import {
  ICMP_FRAGMENTATION_NEEDED,
  ICMP_HOST,
  ICMP_NET,
  ICMP_PROHIBITED,
  ICMP_UNREACHABLE,
} from "../wire/icmpv4";
import { IPV6_MTU_MIN } from "../wire/ipv6";
import { UdpFlow } from "./datagram";
import { icmpErrorReply } from "./icmp-error";
import { noticeBegin } from "./icmp-notice";
import { isShortage } from "./limits";
import { headerIsAtomic, headerIsIpv6 } from "./packet";
import { gatewayOf } from "./send";

/** Likely sizes of the way out: Ethernet, PPPoE (RFC 2516 §7), and what all IPv4 paths take. */
const MTU_ETHERNET: u32 = 1500;
const MTU_PPPOE: u32 = 1492;
const MTU_SURE: u32 = 576;

/** Code of "unreachable" that says what an errno means; -1 = none, it says nothing of the way. */
export function unreachableCode(error: i32): i32 {
  if (error == -EACCES || error == -EPERM) return ICMP_PROHIBITED;
  if (
    error == -ENETUNREACH ||
    error == -ENETDOWN ||
    error == -EADDRNOTAVAIL ||
    error == -EAFNOSUPPORT ||
    error == -ENODEV ||
    error == -EPROTONOSUPPORT
  )
    return ICMP_NET;
  if (isShortage(error) || error == -EAGAIN || error == -EBADF || error == -ECONNREFUSED) return -1;
  return ICMP_HOST;
}

/** A size below that of a packet of `size` octets, for the guest to try next. */
function likelyMtu(size: u32, isIpv6: bool): u32 {
  if (size > MTU_ETHERNET) return MTU_ETHERNET;
  if (size > MTU_PPPOE) return MTU_PPPOE;
  return isIpv6 ? IPV6_MTU_MIN : MTU_SURE;
}

/** Tells the guest why its datagram went no further, if there is something to tell. */
export function sendIcmpErrorAbout(flow: UdpFlow, entry: Entry, error: i32, now: i64): void {
  const ip = <usize>entry.quote;
  if (ip == 0) return;
  const available = entry.pointer + entry.length - entry.quote;
  const isIpv6 = headerIsIpv6(ip);
  let code = unreachableCode(error);
  let rest: u32 = 0;
  if (error == -EMSGSIZE) {
    if (!headerIsAtomic(ip)) return;
    code = ICMP_FRAGMENTATION_NEEDED;
    // The error queue will name the exact size; until then a likely one below the datagram's.
    rest = likelyMtu(available, isIpv6);
  }
  if (code < 0) return;
  noticeBegin(ICMP_UNREACHABLE, code, rest, gatewayOf(isIpv6), flow.guestMac);
  icmpErrorReply(ip, available, now);
}
