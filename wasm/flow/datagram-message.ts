/**
 * The messages that a flow's batch makes for one sendmmsg: where each begins and ends, and its
 * headers for the kernel. Which a batch makes is told in `datagram-send`.
 */
import * as abi from "../abi/index";
import {
  Entry,
  entryAt,
  iovSet,
  msgSetIov,
  msgSetName4,
  msgSetName6,
  msgSetNameMapped,
} from "../ring";
import { isIpv6, octetsOf, scopeOf } from "./addresses";
import {
  controlAppend,
  controlSource,
  IP_TOS,
  IP_TTL,
  IPV6_HOPLIMIT,
  IPV6_TCLASS,
  SOL_IP,
  SOL_IPV6,
  SOL_UDP,
  UDP_SEGMENT,
} from "./control";
import { F_DUAL, F_LOCAL, has, UdpFlow } from "./datagram";

/** UDP_MAX_SEGMENTS of kernels before 6.8. */
const SEGMENTS_MAX: u32 = 64;
const PAYLOAD_MAX: u32 = 65507;

/** A message, as far as it is a part of a batch. */
@unmanaged
export class Part {
  iovs: i32;
  octets: u32;
  /** Datagrams it carries. */
  datagrams: u32;
  /** Value for UDP_SEGMENT; 0 = it is one datagram. */
  segment: u32;
  /** Entry of the next message and its first octet there; -1 = there is none. */
  nextIndex: i32;
  nextOffset: u32;
}

/** The one found by `measure`. */
export const part: Part = changetype<Part>(memory.data(<i32>offsetof<Part>(), 4));

/** The whole of the entry, or what is left of it, as one message. */
function measureRun(entry: Entry, offset: u32, segmentMax: u32): void {
  const left = entry.length - offset;
  const segment = <u32>entry.segment;
  const whole = segment <= segmentMax || left <= segment;
  part.iovs = 1;
  part.octets = whole ? left : segment;
  part.datagrams = whole ? (left + segment - 1) / segment : 1;
  part.segment = whole && left > segment ? segment : 0;
  part.nextIndex = whole ? entry.next : part.nextIndex;
  part.nextOffset = whole ? 0 : offset + segment;
}

/** Finds the message that starts at octet `offset` of entry `index`. */
export function measure(flow: UdpFlow, index: i32, offset: u32): void {
  const first = entryAt(index);
  const segmentMax = <u32>flow.segmentMax;
  if (first.segment != 0) {
    part.nextIndex = index;
    measureRun(first, offset, segmentMax);
    return;
  }
  const size = first.length;
  part.iovs = 1;
  part.octets = size;
  part.datagrams = 1;
  part.segment = 0;
  part.nextIndex = first.next;
  part.nextOffset = 0;
  if (size == 0 || size > segmentMax) return;
  let last = size;
  while (part.nextIndex >= 0 && part.datagrams < SEGMENTS_MAX && last == size) {
    const entry = entryAt(part.nextIndex);
    last = entry.length;
    if (
      last == 0 ||
      last > size ||
      part.octets + last > PAYLOAD_MAX ||
      entry.segment != 0 ||
      entry.address != first.address ||
      entry.port != first.port ||
      entry.ttl != first.ttl ||
      entry.tos != first.tos ||
      entry.from != first.from
    )
      break;
    part.segment = size;
    part.iovs++;
    part.datagrams++;
    part.octets += last;
    part.nextIndex = entry.next;
  }
}

/** Fills in the message just measured, which starts at octet `offset` of entry `index`. */
export function fillMessage(flow: UdpFlow, msg: usize, iov: usize, index: i32, offset: u32): void {
  const first = entryAt(index);
  let entry = first;
  if (first.segment != 0) iovSet(iov, 0, <usize>(first.pointer + offset), part.octets);
  else {
    for (let i = 0; i < part.iovs; i++) {
      iovSet(iov, i, <usize>entry.pointer, entry.length);
      entry = entryAt(entry.next);
    }
  }
  msgSetIov(msg, iov, part.iovs);
  // The socket of a DNS flow is connected, that to a service has one other end.
  const address = first.address;
  const six = isIpv6(address);
  if (flow.kind != <u8>abi.KIND_DNS && !has(flow, F_LOCAL)) {
    if (six) msgSetName6(msg, octetsOf(address), scopeOf(address), first.port);
    else if (has(flow, F_DUAL)) msgSetNameMapped(msg, address, first.port);
    else msgSetName4(msg, address, first.port);
  }
  const level = six ? SOL_IPV6 : SOL_IP;
  if (part.segment != 0) controlAppend(msg, SOL_UDP, UDP_SEGMENT, part.segment, sizeof<u16>());
  if (first.ttl != 0)
    controlAppend(msg, level, six ? IPV6_HOPLIMIT : IP_TTL, first.ttl, sizeof<u32>());
  if (first.tos != 0)
    controlAppend(msg, level, six ? IPV6_TCLASS : IP_TOS, first.tos, sizeof<u32>());
  if (first.from != 0) controlSource(msg, first.from);
}

/** How many of the message just measured the engine sends of its own accord. */
export function ownOf(flow: UdpFlow): u32 {
  if (flow.kind != <u8>abi.KIND_DNS) return 0;
  let own: u32 = 0;
  let index = flow.batchHead;
  for (let i = 0; i < part.iovs; i++) {
    const entry = entryAt(index);
    own += entry.isOwn;
    index = entry.next;
  }
  return own;
}
