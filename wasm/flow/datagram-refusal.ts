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
import { ICMP_UNREACHABLE } from "../wire/icmpv4";
import { UdpFlow } from "./datagram";
import { icmpErrorReply } from "./icmp-error";
import { noticeBegin } from "./icmp-notice";
import { isShortage } from "./limits";
import { headerIsAtomic, headerIsIpv6 } from "./packet";
import { gatewayOf } from "./send";

const NET_UNREACHABLE: i32 = 0;
const HOST_UNREACHABLE: i32 = 1;
const FRAGMENTATION_NEEDED: i32 = 4;
/** By an administrator (RFC 1812 §5.2.7.1). */
const PROHIBITED: i32 = 13;

/** Code of "unreachable" that says what an errno means; -1 = none, it says nothing of the way. */
export function unreachableCode(error: i32): i32 {
  if (error == -EACCES || error == -EPERM) return PROHIBITED;
  if (
    error == -ENETUNREACH ||
    error == -ENETDOWN ||
    error == -EADDRNOTAVAIL ||
    error == -EAFNOSUPPORT ||
    error == -ENODEV ||
    error == -EPROTONOSUPPORT
  )
    return NET_UNREACHABLE;
  if (isShortage(error) || error == -EAGAIN || error == -EBADF || error == -ECONNREFUSED) return -1;
  return HOST_UNREACHABLE;
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
    code = FRAGMENTATION_NEEDED;
    // The error queue will name the exact size; until then a likely one below the datagram's.
    rest = available > 1500 ? 1500 : available > 1492 ? 1492 : isIpv6 ? 1280 : 576;
  }
  if (code < 0) return;
  noticeBegin(ICMP_UNREACHABLE, code, rest, gatewayOf(isIpv6), flow.guestMac);
  icmpErrorReply(ip, available, now);
}
