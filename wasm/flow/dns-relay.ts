/**
 * Flows to resolvers, messages that are passed on without a record, and messages to the guest from
 * its DNS address. Which message takes which way, and why, is told in `dns`.
 *
 * What passes here is bounded by the flows (`shares`) and the batch.
 */
import * as abi from "../abi/index";
import { config } from "../memory";
import { txKeep } from "../ring";
import { count, drop } from "../stats";
import { SECOND_US } from "../timer";
import { sumAdd, sumBytes, sumStoreUdp } from "../wire/checksum";
import { DNS_SERVFAIL, dnsFailureEmit } from "../wire/dns";
import { ICMP_PORT, ICMP_UNREACHABLE } from "../wire/icmpv4";
import { PROTOCOL_UDP } from "../wire/ipv4";
import { UDP_CHECKSUM_OFFSET, UDP_HEADER_SIZE, udpEmit } from "../wire/udp";
import { DNS6, isIpv6 } from "./addresses";
import { datagramTouch, UdpFlow } from "./datagram";
import { datagramAppend, datagramOpen } from "./datagram-send";
import { icmpErrorReply } from "./icmp-error";
import { noticeBegin } from "./icmp-notice";
import { SHARE_DNS } from "./kinds";
import { outgoingBegin } from "./outgoing";
import { headerTos, pseudoSum } from "./packet";
import {
  DNS_PORT,
  resolverAt,
  resolverCount,
  resolverEpoch,
  resolverNow,
  resolverPort,
} from "./resolvers";
import { packetSend } from "./send";
import { flowFind, isNone } from "./table";

/** How long answers to relayed messages pass, microseconds. */
export const RELAY_WAIT_US: i64 = 10 * SECOND_US;
const TTL: u32 = 64;

const UDP_HEADER: usize = memory.data(UDP_HEADER_SIZE, 8);

/** A message for a resolver: the guest's of the moment, or one whose flow has come to nothing. */
@unmanaged
export class DnsMessage {
  /** MAC and address of the guest that has sent it. */
  mac: u64;
  guest: u32;
  /** Its port << 16 | 53 or 853. */
  ports: u32;
  p: usize;
  length: u32;
  /** Location of its IP header. */
  quote: usize;
}

/** The one under way. */
export const message: DnsMessage = changetype<DnsMessage>(
  memory.data(<i32>offsetof<DnsMessage>(), 8),
);

/** Sets whom the message under way is from. */
export function messageFrom(guest: u32, mac: u64, ports: u32): void {
  message.guest = guest;
  message.mac = mac;
  message.ports = ports;
}

/** Sets what the message under way is. */
export function messageIs(p: usize, length: u32, quote: usize): void {
  message.p = p;
  message.length = length;
  message.quote = quote;
}

/** The guest's port that the message under way is from. */
export function messagePort(): u32 {
  return message.ports >>> 16;
}

/** Whether the message under way is for port 53. */
export function messageIsPlain(): bool {
  return (message.ports & 0xffff) == DNS_PORT;
}

/** The DNS address as this guest address knows it. */
export function dnsAddressFor(address: u32): u32 {
  return isIpv6(address) ? DNS6 : config(abi.CONFIG_DNS_ADDRESS_OFFSET);
}

// ---------------------------------------------------------------- flows

/** The flow of these ports to resolver number `index`, a new one if need be; none = no slot. */
export function flowTo(address: u32, bothPorts: u32, index: u32): UdpFlow {
  const resolver = resolverAt(index);
  let flow = changetype<UdpFlow>(flowFind(abi.KIND_DNS, address, resolver, bothPorts));
  if (isNone(flow)) {
    flow = datagramOpen(abi.KIND_DNS, SHARE_DNS, address, resolver, bothPorts);
    if (isNone(flow)) return flow;
    flow.hostAddress = resolver;
    flow.hostPort = <u16>resolverPort(bothPorts & 0xffff);
  }
  flow.resolver = <u8>index;
  flow.resolverEpoch = resolverEpoch;
  return flow;
}

/** Has the flow send `length` octets; false = the batch is full. */
export function sendBy(flow: UdpFlow, p: usize, length: u32, quote: usize, now: i64): bool {
  const entry = datagramAppend(flow, p, length);
  if (changetype<usize>(entry) == 0) return false;
  entry.address = flow.hostAddress;
  entry.port = flow.hostPort;
  entry.ttl = 0;
  entry.tos = quote == 0 ? 0 : <u8>headerTos(quote);
  entry.quote = <u32>quote;
  entry.isOwn = quote == 0 ? 1 : 0;
  datagramTouch(flow, now);
  return true;
}

/** Whether what the flow's resolver says passes unseen. */
export function isRelaying(flow: UdpFlow, now: i64): bool {
  return flow.relayUntil > now;
}

// ---------------------------------------------------------------- to the guest

/** Sends the guest a message from its DNS address; false = no room, which is counted. */
export function sendDnsReply(address: u32, port: u32, mac: u64, p: usize, size: u32): bool {
  const source = dnsAddressFor(address);
  const total = UDP_HEADER_SIZE + size;
  udpEmit(UDP_HEADER, DNS_PORT, port, total);
  const pseudo = pseudoSum(source, address, PROTOCOL_UDP, total);
  const sum = sumAdd(sumBytes(UDP_HEADER, UDP_HEADER_SIZE), sumBytes(p, size));
  sumStoreUdp(UDP_HEADER + UDP_CHECKSUM_OFFSET, sumAdd(pseudo, sum));
  const kept = txKeep(p, size);
  if (kept == 0) {
    drop(abi.DROP_TX_FULL);
    return false;
  }
  outgoingBegin(source, address, mac, PROTOCOL_UDP, TTL, 0);
  return packetSend(UDP_HEADER, UDP_HEADER_SIZE, kept, size, 0);
}

// ---------------------------------------------------------------- relayed messages

/** Tells the guest that there is nobody to ask. */
export function refuse(now: i64): void {
  const p = message.p;
  const length = message.length;
  const guest = message.guest;
  const size = messageIsPlain() ? dnsFailureEmit(p, length, DNS_SERVFAIL) : 0;
  if (size > 0) {
    if (sendDnsReply(guest, messagePort(), message.mac, p, size)) count(abi.STAT_SERVFAIL_SENT);
    count(abi.STAT_CONSUMED_LOCAL);
    return;
  }
  drop(abi.DROP_NO_RESOLVER);
  const quote = message.quote;
  if (quote == 0) return;
  noticeBegin(ICMP_UNREACHABLE, ICMP_PORT, 0, dnsAddressFor(guest), message.mac);
  icmpErrorReply(quote, <u32>(p + length - quote), now);
}

/** Where a message goes that is relayed: to whom its flow has, as far as that is for a session. */
function target(now: i64): i32 {
  if (messageIsPlain()) return resolverNow(0, now);
  const total = resolverCount();
  for (let index: u32 = 0; index < total; index++) {
    const address = resolverAt(index);
    if (address == 0) continue;
    if (!isNone(flowFind(abi.KIND_DNS, message.guest, address, message.ports))) return index;
  }
  return resolverNow(0, now);
}

/** Passes the message under way on to resolver number `index`; -1 = there is none. */
export function relayTo(index: i32, now: i64): void {
  if (index < 0) {
    refuse(now);
    return;
  }
  const flow = flowTo(message.guest, message.ports, index);
  if (isNone(flow)) {
    drop(abi.DROP_UDP_TABLE_FULL);
    return;
  }
  flow.guestMac = message.mac;
  flow.relayUntil = now + RELAY_WAIT_US;
  if (!sendBy(flow, message.p, message.length, message.quote, now)) drop(abi.DROP_OP_LIMIT);
}

/** Passes the message under way on to the resolver that is right for it. */
export function relay(now: i64): void {
  relayTo(target(now), now);
}
