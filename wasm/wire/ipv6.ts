/**
 * IPv6 header and the chain of extension headers. Source: RFC 8200, RFC 5095, RFC 6946, RFC 7112.
 *
 *      0                              4                6             7           8        24
 *     | version, class, flow label   | payload length | next header | hop limit | source | dest. |
 *
 *     hop-by-hop, routing, destination options:  | next header | length / 8 - 1 | … |
 *     fragment:  | next header | 0 | offset, M 2 | identification 4 |
 *
 * Contract: `ipv6Check` returned WIRE_OK proves that header and payload lie within the octets it
 * was given. `ipv6Walk` then finds what the packet carries; its findings hold until it is called
 * again. It reads no octet beyond the packet, looks at eight extension headers at most, and each
 * step moves on, so it ends. Addresses and hop limit are not judged.
 */

import { address6Copy } from "./addr6";
import { load8, load16, load32, store8, store16, store32 } from "./bytes";
import { ICMPV6_HEADER_SIZE, PROTOCOL_ICMPV6 } from "./icmpv6";
import { PROTOCOL_TCP, PROTOCOL_UDP, WIRE_OK } from "./ipv4";

export const IPV6_HEADER_SIZE: u32 = 40;
export const IPV6_VERSION: u32 = 6;
export const IPV6_FRAGMENT_SIZE: u32 = 8;
/** Smallest MTU of a link (RFC 8200 §5). */
export const IPV6_MTU_MIN: u32 = 1280;

export const NEXT_HOP_BY_HOP: u32 = 0;
export const NEXT_ROUTING: u32 = 43;
export const NEXT_FRAGMENT: u32 = 44;
export const NEXT_NONE: u32 = 59;
export const NEXT_DESTINATION: u32 = 60;

/** Answers of `ipv6Check` besides WIRE_OK; the same numbers as those of `ipv4Check`. */
export const IPV6_TRUNCATED: i32 = 1;
export const IPV6_WRONG_VERSION: i32 = 2;
export const IPV6_LENGTH: i32 = 4;

/** Answers of `ipv6Walk` besides WIRE_OK: nobody is told; the sender is; even of a multicast. */
export const WALK_DROP: i32 = 1;
export const WALK_PROBLEM: i32 = 2;
export const WALK_PROBLEM_ALWAYS: i32 = 3;

/** Codes of the ICMPv6 message "parameter problem". */
export const PROBLEM_FIELD: u32 = 0;
export const PROBLEM_NEXT_HEADER: u32 = 1;
export const PROBLEM_OPTION: u32 = 2;
export const PROBLEM_FIRST_FRAGMENT: u32 = 3;

/** Extension headers are as long as units of 8 octets. */
export const EXTENSION_UNIT: u32 = 8;
export const EXTENSION_SHIFT: u32 = 3;
const SEGMENTS_LEFT_OFFSET: u32 = 3;
export const FRAGMENT_FIELD_OFFSET: usize = 2;
const FRAGMENT_IDENT_OFFSET: usize = 4;
const FRAGMENT_OFFSET_BITS: u32 = 0xfff8;
/** First word of the header: version 4 bits, traffic class 8, flow label 20. */
const VERSION_SHIFT: u32 = 28;
const CLASS_SHIFT: u32 = 20;
const CLASS_BITS: u32 = 0xff << CLASS_SHIFT;
const LABEL_BITS: u32 = 0xfffff;
const LOW_NIBBLE: u32 = 0xf;
/** What is done with an option that is not known, its two top bits: 0 = it is skipped. */
const ACTION_DROP: u32 = 1;
const ACTION_TELL: u32 = 2;
const ACTION_TELL_UNLESS_MULTICAST: u32 = 3;

const HEADERS_MAX: u32 = 8;
const TCP_SIZE_MIN: u32 = 20;
const UDP_SIZE_MIN: u32 = 8;

export const IPV6_PAYLOAD_LENGTH_OFFSET: usize = 4;
const NEXT_HEADER_OFFSET: usize = 6;
const HOP_LIMIT_OFFSET: usize = 7;
export const IPV6_SOURCE_OFFSET: usize = 8;
export const IPV6_DESTINATION_OFFSET: usize = 24;

@unmanaged
export class Ipv6View {
  static at(p: usize): Ipv6View {
    return changetype<Ipv6View>(p);
  }

  get version(): u32 {
    return load8(changetype<usize>(this)) >>> 4;
  }

  set version(v: u32) {
    store8(changetype<usize>(this), (v << 4) | (load8(changetype<usize>(this)) & LOW_NIBBLE));
  }

  get trafficClass(): u32 {
    return (load32(changetype<usize>(this)) >>> CLASS_SHIFT) & 0xff;
  }

  set trafficClass(v: u32) {
    const rest = load32(changetype<usize>(this)) & ~CLASS_BITS;
    store32(changetype<usize>(this), rest | ((v & 0xff) << CLASS_SHIFT));
  }

  get flowLabel(): u32 {
    return load32(changetype<usize>(this)) & LABEL_BITS;
  }

  set flowLabel(v: u32) {
    const rest = load32(changetype<usize>(this)) & ~LABEL_BITS;
    store32(changetype<usize>(this), rest | (v & LABEL_BITS));
  }

  get payloadLength(): u32 {
    return load16(changetype<usize>(this) + IPV6_PAYLOAD_LENGTH_OFFSET);
  }

  set payloadLength(v: u32) {
    store16(changetype<usize>(this) + IPV6_PAYLOAD_LENGTH_OFFSET, v);
  }

  get nextHeader(): u32 {
    return load8(changetype<usize>(this) + NEXT_HEADER_OFFSET);
  }

  set nextHeader(v: u32) {
    store8(changetype<usize>(this) + NEXT_HEADER_OFFSET, v);
  }

  get hopLimit(): u32 {
    return load8(changetype<usize>(this) + HOP_LIMIT_OFFSET);
  }

  set hopLimit(v: u32) {
    store8(changetype<usize>(this) + HOP_LIMIT_OFFSET, v);
  }

  /** Location of the 16 octets. */
  get source(): usize {
    return changetype<usize>(this) + IPV6_SOURCE_OFFSET;
  }

  get destination(): usize {
    return changetype<usize>(this) + IPV6_DESTINATION_OFFSET;
  }
}

@unmanaged
export class FragmentView {
  static at(p: usize): FragmentView {
    return changetype<FragmentView>(p);
  }

  get nextHeader(): u32 {
    return load8(changetype<usize>(this));
  }

  /** Octets. */
  get offset(): u32 {
    return load16(changetype<usize>(this) + FRAGMENT_FIELD_OFFSET) & FRAGMENT_OFFSET_BITS;
  }

  get moreFragments(): bool {
    return (load16(changetype<usize>(this) + FRAGMENT_FIELD_OFFSET) & 1) != 0;
  }

  get identification(): u32 {
    return load32(changetype<usize>(this) + FRAGMENT_IDENT_OFFSET);
  }
}

/** Judges the header of a packet in `length` octets; those behind its payload are padding. */
export function ipv6Check(p: usize, length: u32): i32 {
  if (length < IPV6_HEADER_SIZE) return IPV6_TRUNCATED;
  const ip = Ipv6View.at(p);
  if (ip.version != IPV6_VERSION) return IPV6_WRONG_VERSION;
  return ip.payloadLength > length - IPV6_HEADER_SIZE ? IPV6_LENGTH : WIRE_OK;
}

/**
 * Writes a header of 40 octets without flow label. `source` and `destination` are locations of
 * addresses, which must not lie in the header.
 */
export function ipv6Emit(
  p: usize,
  source: usize,
  destination: usize,
  nextHeader: u32,
  payloadLength: u32,
  hopLimit: u32,
  trafficClass: u32,
): void {
  store32(p, (IPV6_VERSION << VERSION_SHIFT) | (trafficClass << CLASS_SHIFT));
  store32(p + IPV6_PAYLOAD_LENGTH_OFFSET, (payloadLength << 16) | (nextHeader << 8) | hopLimit);
  address6Copy(p + IPV6_SOURCE_OFFSET, source);
  address6Copy(p + IPV6_DESTINATION_OFFSET, destination);
}

/** Writes a fragment header of 8 octets; `offset` in octets, a multiple of 8. */
export function ipv6FragmentEmit(
  p: usize,
  nextHeader: u32,
  offset: u32,
  more: bool,
  identification: u32,
): void {
  store32(p, (nextHeader << 24) | offset | (more ? 1 : 0));
  store32(p + FRAGMENT_IDENT_OFFSET, identification);
}

// ---------------------------------------------------------------- extension headers

/** What `ipv6Walk` has found. */
@unmanaged
export class Ipv6Walk {
  /** What lies behind the extension headers, or NEXT_FRAGMENT. */
  protocol: u32;
  /** Offset of that from the IPv6 header on. */
  offset: u32;
  /** Offset of the field that says so: what a "parameter problem" about it points at. */
  field: u32;
  /** Of a WALK_PROBLEM: code and pointer. */
  problemCode: u32;
  problemPointer: u32;

  find(protocol: u32, offset: u32, field: u32): i32 {
    this.protocol = protocol;
    this.offset = offset;
    this.field = field;
    return WIRE_OK;
  }

  problem(verdict: i32, code: u32, pointer: u32): i32 {
    this.problemCode = code;
    this.problemPointer = pointer;
    return verdict;
  }

  /** The chain reaches past the packet; of a first fragment its sender is told. */
  cut(fragment: u32): i32 {
    return fragment == 0 ? WALK_DROP : this.problem(WALK_PROBLEM, PROBLEM_FIRST_FRAGMENT, 0);
  }
}

/** Options from `offset` to `end`, by the two top bits of those that are not known. */
function optionsVerdict(p: usize, offset: u32, end: u32, into: Ipv6Walk): i32 {
  while (offset < end) {
    const kind = load8(p + offset);
    if (kind == 0) {
      offset += 1;
      continue;
    }
    if (end - offset < 2) return WALK_DROP;
    const size = load8(p + offset + 1);
    if (size > end - offset - 2) return WALK_DROP;
    const action = kind >>> 6;
    if (action == ACTION_DROP) return WALK_DROP;
    if (action == ACTION_TELL) return into.problem(WALK_PROBLEM_ALWAYS, PROBLEM_OPTION, offset);
    if (action == ACTION_TELL_UNLESS_MULTICAST)
      return into.problem(WALK_PROBLEM, PROBLEM_OPTION, offset);
    offset += 2 + size;
  }
  return WIRE_OK;
}

/** A routing header: every type that has segments left asks for what is not done (RFC 5095). */
function routingVerdict(p: usize, offset: u32, into: Ipv6Walk): i32 {
  const segmentsLeft = load8(p + offset + SEGMENTS_LEFT_OFFSET);
  return segmentsLeft == 0 ? WIRE_OK : into.problem(WALK_PROBLEM, PROBLEM_FIELD, offset + 2);
}

/** Octets of the transport header that a first fragment has to hold (RFC 7112 §5). */
function headerSizeMin(protocol: u32): u32 {
  if (protocol == PROTOCOL_TCP) return TCP_SIZE_MIN;
  if (protocol == PROTOCOL_UDP) return UDP_SIZE_MIN;
  return protocol == PROTOCOL_ICMPV6 ? ICMPV6_HEADER_SIZE : 0;
}

/**
 * Walks the extension headers of the packet of `length` octets at `p`. Stops at a fragment header,
 * whose fragment, if it is the first, is checked to hold the rest of the chain; one that says
 * "neither before nor after me" is stepped over (RFC 6946). `whole` = the packet has been put
 * together from fragments: there must be no other fragment header. What is found goes `into` a
 * record.
 */
export function ipv6Walk(p: usize, length: u32, whole: bool, into: Ipv6Walk): i32 {
  let next = Ipv6View.at(p).nextHeader;
  let field = <u32>NEXT_HEADER_OFFSET;
  let offset: u32 = IPV6_HEADER_SIZE;
  let fragment: u32 = 0;
  let fragmentField: u32 = 0;
  for (let count: u32 = 0; count <= HEADERS_MAX; count++) {
    const isOptions = next == NEXT_HOP_BY_HOP || next == NEXT_DESTINATION;
    if (!isOptions && next != NEXT_ROUTING && next != NEXT_FRAGMENT) {
      if (fragment != 0) {
        if (length - offset < headerSizeMin(next)) {
          return into.problem(WALK_PROBLEM, PROBLEM_FIRST_FRAGMENT, 0);
        }
        return into.find(NEXT_FRAGMENT, fragment, fragmentField);
      }
      return into.find(next, offset, field);
    }
    if (count == HEADERS_MAX) return WALK_DROP;
    if (next == NEXT_HOP_BY_HOP && count != 0) {
      return into.problem(WALK_PROBLEM, PROBLEM_NEXT_HEADER, field);
    }
    if (length - offset < EXTENSION_UNIT) return into.cut(fragment);
    if (next == NEXT_FRAGMENT) {
      if (fragment != 0 || whole) return WALK_DROP;
      const header = FragmentView.at(p + offset);
      if (header.offset != 0) return into.find(NEXT_FRAGMENT, offset, field);
      if (header.moreFragments) {
        fragment = offset;
        fragmentField = field;
      } else whole = true;
      field = offset;
      next = header.nextHeader;
      offset += IPV6_FRAGMENT_SIZE;
      continue;
    }
    const size = (load8(p + offset + 1) + 1) << EXTENSION_SHIFT;
    if (size > length - offset) return into.cut(fragment);
    const verdict = isOptions
      ? optionsVerdict(p, offset + 2, offset + size, into)
      : routingVerdict(p, offset, into);
    if (verdict != WIRE_OK) return verdict;
    field = offset;
    next = load8(p + offset);
    offset += size;
  }
  return WALK_DROP;
}
