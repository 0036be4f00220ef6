/**
 * Test module of `wasm/wire`: what a test cannot reach from outside, as plain exports.
 *
 * Functions are exported as they are. Constants and view classes leave no trace in a WebAssembly
 * module, so every constant that a test reads has a function, and every view a pair:
 * `xDeconstruct(p, out)` writes all fields as u64 in the order of the class, `xConstruct(p,
 * values)` sets them with the setters.
 */
import { MAC_BROADCAST } from "../../../wasm/wire/addr";
import { ArpView } from "../../../wasm/wire/arp";
import { EthernetView } from "../../../wasm/wire/ethernet";
import { Icmpv4View } from "../../../wasm/wire/icmpv4";
import * as ipv4 from "../../../wasm/wire/ipv4";
import { Ipv4Fields, Ipv4View } from "../../../wasm/wire/ipv4";
import * as tcp from "../../../wasm/wire/tcp";
import { TcpView } from "../../../wasm/wire/tcp";
import { UdpView } from "../../../wasm/wire/udp";
import * as options from "../../../wasm/wire/tcp-options";

export {
  load16,
  load32,
  load8,
  loadMac,
  store16,
  store32,
  store8,
  storeMac,
} from "../../../wasm/wire/bytes";
export {
  addressInPrefix,
  addressIsLinkLocal,
  addressIsLoopback,
  addressIsMulticast,
  addressIsReserved,
  addressIsThisNetwork,
  addressIsUnusableDestination,
  addressIsUnusableSource,
  macIsGroup,
} from "../../../wasm/wire/addr";
export {
  seqDiff,
  seqGe,
  seqGt,
  seqInWindow,
  seqLe,
  seqLt,
  seqMax,
  seqMin,
} from "../../../wasm/wire/seqnum";
export {
  sumAdd,
  sumConcat,
  sumFinish,
  sumOk,
  sumStore,
  sumStorePartial,
  sumStoreUdp,
  sumSwap,
} from "../../../wasm/wire/checksum";
export { sumBytes, sumPseudo4 } from "../../../wasm/wire/checksum";
export { ethernetEmit } from "../../../wasm/wire/ethernet";
export { arpCheck, arpEmit } from "../../../wasm/wire/arp";
export { ipv4Check } from "../../../wasm/wire/ipv4";
export {
  dnsFailureEmit,
  dnsIsAnswer,
  dnsIsQuery,
  dnsQuestionEnd,
  dnsQuestionHash,
} from "../../../wasm/wire/dns";
export { udpCheck, udpChecksumOk, udpEmit } from "../../../wasm/wire/udp";
export { tcpCheck, tcpChecksumOk } from "../../../wasm/wire/tcp";
export { icmpv4ChecksumFill, icmpv4ChecksumOk, icmpv4Emit } from "../../../wasm/wire/icmpv4";
export {
  tcpOptionsEmitSackBlock,
  tcpOptionsEmitSackHeader,
  tcpOptionsEmitSyn,
  tcpOptionsEmitTimestamps,
} from "../../../wasm/wire/tcp-options";

const SCRATCH_SIZE: i32 = 3 * 1024 * 1024;
const SCRATCH: usize = memory.data(SCRATCH_SIZE, 64);

/** Where tests may write: `scratchSize` octets from here. */
export function scratchBase(): usize {
  return SCRATCH;
}

export function scratchSize(): u32 {
  return SCRATCH_SIZE;
}

export function hasSimd(): bool {
  return ASC_FEATURE_SIMD;
}

export function macBroadcast(): u64 {
  return MAC_BROADCAST;
}

// ---------------------------------------------------------------- tcp options

const parsed: options.TcpOptions = changetype<options.TcpOptions>(memory.data(28, 4));

export function tcpOptionsParse(p: usize, length: u32): bool {
  return options.tcpOptionsParse(p, length, parsed);
}

export function optionSackLeft(i: i32): u32 {
  return parsed.sackLeft(i);
}

export function optionSackRight(i: i32): u32 {
  return parsed.sackRight(i);
}

export function optionMss(): i32 {
  return parsed.mss;
}

export function optionWindowScale(): i32 {
  return parsed.windowScale;
}

export function optionSackPermitted(): bool {
  return parsed.isSackPermitted;
}

export function optionTimestamps(): bool {
  return parsed.hasTimestamps;
}

export function optionTsValue(): u32 {
  return parsed.tsValue;
}

export function optionTsEcho(): u32 {
  return parsed.tsEcho;
}

export function optionSackCount(): i32 {
  return parsed.sackCount;
}

// ---------------------------------------------------------------- views

function put(out: usize, index: usize, value: u64): void {
  store<u64>(out + (index << 3), value);
}

function get(values: usize, index: usize): u32 {
  return <u32>load<u64>(values + (index << 3));
}

function getMac(values: usize, index: usize): u64 {
  return load<u64>(values + (index << 3));
}

export function ethernetDeconstruct(p: usize, out: usize): void {
  const view = EthernetView.at(p);
  put(out, 0, view.destination);
  put(out, 1, view.source);
  put(out, 2, view.etherType);
}

export function ethernetConstruct(p: usize, values: usize): void {
  const view = EthernetView.at(p);
  view.destination = getMac(values, 0);
  view.source = getMac(values, 1);
  view.etherType = get(values, 2);
}

export function arpDeconstruct(p: usize, out: usize): void {
  const view = ArpView.at(p);
  put(out, 0, view.hardwareType);
  put(out, 1, view.protocolType);
  put(out, 2, view.hardwareLength);
  put(out, 3, view.protocolLength);
  put(out, 4, view.operation);
  put(out, 5, view.senderMac);
  put(out, 6, view.senderAddress);
  put(out, 7, view.targetMac);
  put(out, 8, view.targetAddress);
}

export function arpConstruct(p: usize, values: usize): void {
  const view = ArpView.at(p);
  view.hardwareType = get(values, 0);
  view.protocolType = get(values, 1);
  view.hardwareLength = get(values, 2);
  view.protocolLength = get(values, 3);
  view.operation = get(values, 4);
  view.senderMac = getMac(values, 5);
  view.senderAddress = get(values, 6);
  view.targetMac = getMac(values, 7);
  view.targetAddress = get(values, 8);
}

export function ipv4Deconstruct(p: usize, out: usize): void {
  const view = Ipv4View.at(p);
  put(out, 0, view.version);
  put(out, 1, view.headerLength);
  put(out, 2, view.tos);
  put(out, 3, view.totalLength);
  put(out, 4, view.ident);
  put(out, 5, view.fragmentField);
  put(out, 6, view.ttl);
  put(out, 7, view.protocol);
  put(out, 8, view.checksum);
  put(out, 9, view.source);
  put(out, 10, view.destination);
  put(out, 11, view.fragmentOffset);
  put(out, 12, view.moreFragments);
  put(out, 13, view.dontFragment);
}

/** The three readings of the fragment field (11 to 13) have no setters. */
export function ipv4Construct(p: usize, values: usize): void {
  const view = Ipv4View.at(p);
  view.version = get(values, 0);
  view.headerLength = get(values, 1);
  view.tos = get(values, 2);
  view.totalLength = get(values, 3);
  view.ident = get(values, 4);
  view.fragmentField = get(values, 5);
  view.ttl = get(values, 6);
  view.protocol = get(values, 7);
  view.checksum = get(values, 8);
  view.source = get(values, 9);
  view.destination = get(values, 10);
}

export function udpDeconstruct(p: usize, out: usize): void {
  const view = UdpView.at(p);
  put(out, 0, view.sourcePort);
  put(out, 1, view.destinationPort);
  put(out, 2, view.length);
  put(out, 3, view.checksum);
}

export function udpConstruct(p: usize, values: usize): void {
  const view = UdpView.at(p);
  view.sourcePort = get(values, 0);
  view.destinationPort = get(values, 1);
  view.length = get(values, 2);
  view.checksum = get(values, 3);
}

export function tcpDeconstruct(p: usize, out: usize): void {
  const view = TcpView.at(p);
  put(out, 0, view.sourcePort);
  put(out, 1, view.destinationPort);
  put(out, 2, view.sequence);
  put(out, 3, view.acknowledgment);
  put(out, 4, view.dataOffset);
  put(out, 5, view.flags);
  put(out, 6, view.window);
  put(out, 7, view.checksum);
  put(out, 8, view.urgent);
}

export function tcpConstruct(p: usize, values: usize): void {
  const view = TcpView.at(p);
  view.sourcePort = get(values, 0);
  view.destinationPort = get(values, 1);
  view.sequence = get(values, 2);
  view.acknowledgment = get(values, 3);
  view.dataOffset = get(values, 4);
  view.flags = get(values, 5);
  view.window = get(values, 6);
  view.checksum = get(values, 7);
  view.urgent = get(values, 8);
}

export function icmpv4Deconstruct(p: usize, out: usize): void {
  const view = Icmpv4View.at(p);
  put(out, 0, view.type);
  put(out, 1, view.code);
  put(out, 2, view.checksum);
  put(out, 3, view.identifier);
  put(out, 4, view.sequence);
  put(out, 5, view.rest);
  put(out, 6, view.mtu);
}

/** `rest` and `mtu` lie over identifier and sequence, so they are set first. */
export function icmpv4Construct(p: usize, values: usize): void {
  const view = Icmpv4View.at(p);
  view.rest = get(values, 5);
  view.mtu = get(values, 6);
  view.type = get(values, 0);
  view.code = get(values, 1);
  view.checksum = get(values, 2);
  view.identifier = get(values, 3);
  view.sequence = get(values, 4);
}

// ---------------------------------------------------------------- headers

const fields: Ipv4Fields = changetype<Ipv4Fields>(memory.data(28, 4));

export function ipv4Emit(
  p: usize, source: u32, destination: u32, protocol: u32, payloadLength: u32, ttl: u32, ident: u32,
  fragmentField: u32, tos: u32,
): void {
  fields.source = source;
  fields.destination = destination;
  fields.protocol = protocol;
  fields.ttl = ttl;
  fields.tos = tos;
  fields.ident = ident;
  fields.fragmentField = fragmentField;
  ipv4.ipv4Emit(p, fields, payloadLength);
}

export function tcpEmit(
  p: usize, sourcePort: u32, destinationPort: u32, sequence: u32, acknowledgment: u32,
  headerLength: u32, flags: u32, window: u32,
): void {
  const ports = (sourcePort << 16) | destinationPort;
  tcp.tcpEmit(p, ports, sequence, acknowledgment, headerLength, flags, window);
}
