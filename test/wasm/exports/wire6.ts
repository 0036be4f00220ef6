/**
 * Test module of the IPv6 part of `wasm/wire`, made like that of `wire`: a wrapper for each
 * function, a pair `xDeconstruct`, `xConstruct` for each view.
 */
import * as addr6 from "../../../wasm/wire/addr6";
import { Dhcp6View, Option6View } from "../../../wasm/wire/dhcpv6";
import * as dhcpv6 from "../../../wasm/wire/dhcpv6";
import { Icmpv6View } from "../../../wasm/wire/icmpv6";
import * as ipv6 from "../../../wasm/wire/ipv6";
import { FragmentView, Ipv6View } from "../../../wasm/wire/ipv6";

export {
  address6FromMac,
  address6InPrefix,
  address6IsEmbedded,
  address6IsHostZero,
  address6IsLoopback,
  address6IsSiteLocal,
  address6IsUnusable,
  address6GroupMac,
  address6Solicited,
} from "../../../wasm/wire/addr6";
export { embeddedAt, embeddedIn } from "../../../wasm/wire/embedded";
export { sumPseudo6 } from "../../../wasm/wire/checksum";
export { dhcp6Emit, dhcp6Find, dhcp6OptionEmit, dhcp6OptionsOk }
  from "../../../wasm/wire/dhcpv6";
export { icmpv6ChecksumFill, icmpv6ChecksumOk, icmpv6Emit } from "../../../wasm/wire/icmpv6";
export { ipv6Check, ipv6Emit, ipv6FragmentEmit } from "../../../wasm/wire/ipv6";
export {
  ndpAdvertisementEmit,
  ndpDnsEmit,
  ndpLinkAddressEmit,
  ndpMtuEmit,
  ndpOptionFind,
  ndpOptionsOk,
  ndpPrefixEmit,
  ndpRouterEmit,
  ndpSearchEmit,
  ndpSolicitationEmit,
} from "../../../wasm/wire/ndp";

const SCRATCH: usize = memory.data(262144, 64);

export function scratchBase(): usize {
  return SCRATCH;
}

export function address6Equal(a: usize, b: usize): bool {
  return addr6.address6Equal(a, b);
}

export function address6IsUnspecified(p: usize): bool {
  return addr6.address6IsUnspecified(p);
}

export function address6IsMulticast(p: usize): bool {
  return addr6.address6IsMulticast(p);
}

export function address6IsLinkLocal(p: usize): bool {
  return addr6.address6IsLinkLocal(p);
}

const walk: ipv6.Ipv6Walk = changetype<ipv6.Ipv6Walk>(memory.data(20, 4));

export function ipv6Walk(p: usize, length: u32, whole: bool): i32 {
  return ipv6.ipv6Walk(p, length, whole, walk);
}

export function walkProtocol(): u32 {
  return walk.protocol;
}

export function walkOffset(): u32 {
  return walk.offset;
}

export function walkField(): u32 {
  return walk.field;
}

export function problemCode(): u32 {
  return walk.problemCode;
}

export function problemPointer(): u32 {
  return walk.problemPointer;
}

export function dhcp6After(p: usize): usize {
  return dhcpv6.dhcp6After(p);
}

function put(out: usize, index: usize, value: u64): void {
  store<u64>(out + (index << 3), value);
}

function get(values: usize, index: usize): u32 {
  return <u32>load<u64>(values + (index << 3));
}

/** The address is not among the fields: its location is. */
export function ipv6Deconstruct(p: usize, out: usize): void {
  const view = Ipv6View.at(p);
  put(out, 0, view.version);
  put(out, 1, view.trafficClass);
  put(out, 2, view.flowLabel);
  put(out, 3, view.payloadLength);
  put(out, 4, view.nextHeader);
  put(out, 5, view.hopLimit);
  put(out, 6, view.source - p);
  put(out, 7, view.destination - p);
}

export function ipv6Construct(p: usize, values: usize): void {
  const view = Ipv6View.at(p);
  view.version = get(values, 0);
  view.trafficClass = get(values, 1);
  view.flowLabel = get(values, 2);
  view.payloadLength = get(values, 3);
  view.nextHeader = get(values, 4);
  view.hopLimit = get(values, 5);
}

export function fragmentDeconstruct(p: usize, out: usize): void {
  const view = FragmentView.at(p);
  put(out, 0, view.nextHeader);
  put(out, 1, view.offset);
  put(out, 2, view.moreFragments ? 1 : 0);
  put(out, 3, view.identification);
}

export function icmpv6Deconstruct(p: usize, out: usize): void {
  const view = Icmpv6View.at(p);
  put(out, 0, view.type);
  put(out, 1, view.code);
  put(out, 2, view.checksum);
  put(out, 3, view.identifier);
  put(out, 4, view.sequence);
  put(out, 5, view.rest);
}

export function icmpv6Construct(p: usize, values: usize): void {
  const view = Icmpv6View.at(p);
  view.rest = get(values, 5);
  view.type = get(values, 0);
  view.code = get(values, 1);
  view.checksum = get(values, 2);
  view.identifier = get(values, 3);
  view.sequence = get(values, 4);
}

export function dhcp6Deconstruct(p: usize, out: usize): void {
  const view = Dhcp6View.at(p);
  put(out, 0, view.type);
  put(out, 1, view.transaction);
}

export function dhcp6Construct(p: usize, values: usize): void {
  const view = Dhcp6View.at(p);
  view.type = get(values, 0);
  view.transaction = get(values, 1);
}

export function option6Deconstruct(p: usize, out: usize): void {
  const view = Option6View.at(p);
  put(out, 0, view.code);
  put(out, 1, view.length);
  put(out, 2, view.value - p);
}

export function option6Construct(p: usize, values: usize): void {
  const view = Option6View.at(p);
  view.code = get(values, 0);
  view.length = get(values, 1);
}
