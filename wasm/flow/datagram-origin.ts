/**
 * Where a message comes from and which address of the host it was sent to, by what the kernel has
 * written into its name and its control messages.
 *
 * Source: recvmsg(2), ip(7) IP_PKTINFO, RFC 3542 §6.
 */
import * as abi from "../abi/index";
import {
  AF_INET6,
  SOCKADDR_ADDRESS_OFFSET,
  SOCKADDR6_ADDRESS_OFFSET,
  SOCKADDR6_SCOPE_OFFSET,
} from "../sockaddr";
import { drop } from "../stats";
import {
  ADDRESS6_IPV4_OFFSET,
  address6IsLinkLocal,
  address6IsMapped,
  address6IsMulticast,
} from "../wire/addr6";
import { load32 } from "../wire/bytes";
import { addressIntern, isIpv6 } from "./addresses";
import {
  controlFind,
  IP_PKTINFO,
  IPV6_PKTINFO,
  PKTINFO_HEADER_OFFSET,
  PKTINFO_LOCAL_OFFSET,
  PKTINFO_SIZE,
  PKTINFO6_SCOPE_OFFSET,
  PKTINFO6_SIZE,
  SOL_IP,
  SOL_IPV6,
} from "./control";
import { F_DUAL, F_LOCAL, has, UdpFlow } from "./datagram";

/** 224.0.0.0: no unicast address from here on. */
const MULTICAST_FIRST: u32 = 0xe0000000;

/** Address of a message's sender; 0 = it cannot be used (counted). */
export function senderOf(flow: UdpFlow, name: usize): u32 {
  // Connected: there is no other.
  if (flow.kind == <u8>abi.KIND_DNS || has(flow, F_LOCAL)) return flow.hostAddress;
  const p = name + SOCKADDR6_ADDRESS_OFFSET;
  const isMapped = load<u16>(name) == AF_INET6 && address6IsMapped(p);
  const six = load<u16>(name) == AF_INET6 && !isMapped;
  const address4 = load32(isMapped ? p + ADDRESS6_IPV4_OFFSET : name + SOCKADDR_ADDRESS_OFFSET);
  // 240.0.0.0/4: nobody can be answered there. A socket has the versions it has, whoever says what.
  const isForeign = six != isIpv6(flow.guestAddress) && !has(flow, F_DUAL);
  if (isForeign || (!six && isIpv6(address4))) {
    drop(abi.DROP_UDP_FILTERED);
    return 0;
  }
  if (!six) return address4;
  const address = addressIntern(p, load<u32>(name, SOCKADDR6_SCOPE_OFFSET));
  if (address == 0) drop(abi.DROP_ADDRESS_TABLE_FULL);
  return address;
}

/** Address of the host that the message was sent to; 0 = the socket has but one, or not known. */
export function askedOf(msg: usize): u32 {
  const four = controlFind(msg, SOL_IP, IP_PKTINFO, PKTINFO_SIZE);
  if (four != 0) {
    // What the kernel would answer from is right for broadcasts, too; 0 = it did not work it out.
    const local = load32(four + PKTINFO_LOCAL_OFFSET);
    return isIpv6(local) ? 0 : local != 0 ? local : unicast4(load32(four + PKTINFO_HEADER_OFFSET));
  }
  const six = controlFind(msg, SOL_IPV6, IPV6_PKTINFO, PKTINFO6_SIZE);
  if (six == 0 || address6IsMulticast(six)) return 0;
  if (address6IsMapped(six)) return unicast4(load32(six + ADDRESS6_IPV4_OFFSET));
  return addressIntern(six, address6IsLinkLocal(six) ? load<u32>(six, PKTINFO6_SCOPE_OFFSET) : 0);
}

function unicast4(address: u32): u32 {
  return address >= MULTICAST_FIRST ? 0 : address;
}
