/**
 * Test module of the engine parts that answer the guest themselves: neighbours, fragments, ICMP
 * errors, the IPv4 emitter, ARP, echo, DHCP - and the rings and counters needed to watch them.
 */
import { prngInit } from "../../../wasm/prng";
import { memoryDescribe, memoryInit } from "../../../wasm/memory";
import { OPS, OPS_SIZE, ringInit } from "../../../wasm/ring";
import { emitInit } from "../../../wasm/flow/emit";
import { fragmentInit } from "../../../wasm/flow/fragment-context";
import { errorLimitInit } from "../../../wasm/flow/error-limit";
import { neighborInit } from "../../../wasm/flow/neighbor";
import * as dhcpv4 from "../../../wasm/local/dhcpv4";
import * as icmp from "../../../wasm/local/icmp";
import * as icmpError from "../../../wasm/flow/icmp-error";
import { noticeBegin } from "../../../wasm/flow/icmp-notice";
import { outgoingBegin } from "../../../wasm/flow/outgoing";
import { packet } from "../../../wasm/flow/packet";
import { load8 } from "../../../wasm/wire/bytes";
import { EthernetView } from "../../../wasm/wire/ethernet";
import { Ipv4View } from "../../../wasm/wire/ipv4";
import * as memory_ from "../../../wasm/memory";
import * as ring from "../../../wasm/ring";
import * as emit from "../../../wasm/flow/emit";
import { DhcpView } from "../../../wasm/wire/dhcpv4";

export { txReset } from "../../../wasm/ring";
export { ipv4Check } from "../../../wasm/wire/ipv4";
export { isOwnAddress, nextIdent } from "../../../wasm/flow/emit";
export {
  neighborExpire,
  neighborFind,
  neighborLearn,
  neighborRequest,
} from "../../../wasm/flow/neighbor";
export { fragmentBatchReset, fragmentNext } from "../../../wasm/flow/fragment-context";
export { fragmentExpire, fragmentInput } from "../../../wasm/flow/fragments";
export { arpInput } from "../../../wasm/local/arp";
export {
  dhcpCheck,
  dhcpEmit,
  dhcpOptionLength,
  dhcpOptionsParse,
  dhcpOptionValue,
} from "../../../wasm/wire/dhcpv4";

/** Empties everything; CONFIG has been written. */
export function init(): void {
  memoryInit();
  memoryDescribe(OPS, OPS_SIZE);
  prngInit();
  ringInit();
  emitInit();
  neighborInit();
  fragmentInit();
  errorLimitInit();
  dhcpv4.dhcpInit();
}

export function configBase(): usize {
  return memory_.CONFIG;
}

export function statsBase(): usize {
  return memory_.STATS;
}

/** Where tests put frames; RX slots are as good as any. */
export function rxBase(): usize {
  return memory_.RX_BUFFERS;
}

export function txRecords(): usize {
  return memory_.TX_RECORDS;
}

export function txBuffers(): usize {
  return memory_.TX_BUFFERS;
}

export function txCount(): i32 {
  return ring.txCount;
}

export function networkMask(): u32 {
  return emit.networkMask();
}

export function networkBroadcast(): u32 {
  return emit.networkBroadcast();
}

// ---------------------------------------------------------------- the packet under way

function readPacket(ip: usize, data: usize, length: u32): void {
  const header = Ipv4View.at(ip);
  packet.ip = ip;
  packet.data = data;
  packet.length = length;
  packet.source = header.source;
  packet.destination = header.destination;
  packet.protocol = header.protocol;
  packet.ttl = header.ttl;
  packet.tos = header.tos;
  packet.isIpv6 = false;
}

export function icmpEchoLocal(ip: usize, message: usize, length: u32, mac: u64): void {
  readPacket(ip, message, length);
  packet.mac = mac;
  icmp.icmpEchoLocal();
}

/** What the link vouches for is in the virtio_net_hdr in front of the frame. */
export function dhcpInput(frame: usize, ip: usize, udp: usize, length: u32, now: i64): void {
  readPacket(ip, udp, length);
  packet.mac = EthernetView.at(frame).source;
  packet.isChecksumTrusted = ring.vnetSize != 0 && (load8(frame - ring.vnetSize) & 3) != 0;
  dhcpv4.dhcpInput(now);
}

// ---------------------------------------------------------------- to the guest

export function ipv4Send(
  source: u32, destination: u32, mac: u64, protocol: u32, ttl: u32, tos: u32,
  header: usize, headerLength: u32, payload: usize, payloadLength: u32, handle: u32,
): bool {
  outgoingBegin(source, destination, mac, protocol, ttl, tos);
  return emit.ipv4Send(header, headerLength, payload, payloadLength, handle);
}

export function icmpErrorReply(
  ip: usize, available: u32, type: u32, code: u32, rest: u32, source: u32, mac: u64, now: i64,
): void {
  noticeBegin(type, code, rest, source, mac);
  icmpError.icmpErrorReply(ip, available, now);
}

export function icmpErrorQuote(
  type: u32, code: u32, rest: u32, source: u32, guest: u32, peer: u32, protocol: u32,
  l4Header: usize, l4Length: u32, l4Total: u32, mac: u64, now: i64,
): void {
  noticeBegin(type, code, rest, source, mac);
  icmpError.icmpErrorQuote(guest, peer, protocol, l4Header, l4Length, l4Total, now);
}

function put(out: usize, index: usize, value: u64): void {
  store<u64>(out + (index << 3), value);
}

function get(values: usize, index: usize): u32 {
  return <u32>load<u64>(values + (index << 3));
}

export function dhcpDeconstruct(p: usize, out: usize): void {
  const view = DhcpView.at(p);
  put(out, 0, view.op);
  put(out, 1, view.hardwareType);
  put(out, 2, view.hardwareLength);
  put(out, 3, view.xid);
  put(out, 4, view.flags);
  put(out, 5, view.ciaddr);
  put(out, 6, view.yiaddr);
  put(out, 7, view.siaddr);
  put(out, 8, view.giaddr);
  put(out, 9, view.clientMac);
}

export function dhcpConstruct(p: usize, values: usize): void {
  const view = DhcpView.at(p);
  view.op = get(values, 0);
  view.hardwareType = get(values, 1);
  view.hardwareLength = get(values, 2);
  view.xid = get(values, 3);
  view.flags = get(values, 4);
  view.ciaddr = get(values, 5);
  view.yiaddr = get(values, 6);
  view.siaddr = get(values, 7);
  view.giaddr = get(values, 8);
  view.clientMac = load<u64>(values + (9 << 3));
}
