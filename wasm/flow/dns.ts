/**
 * What is special about datagrams to the DNS address: which resolver, whether it answers, and the
 * answer when there is none.
 *
 * Theory of operation
 *   Messages pass unchanged (RFC 5625 §3): no name, flag, option or record is touched. Each guest
 *   port has a socket of its own, connected to one resolver from a port the host picks at random,
 *   so an answer is from the resolver that was asked or it does not arrive (RFC 5452 §9).
 *
 *   A resolver (`resolvers`) is given up for the flow when a question comes again before it was
 *   answered, and as the first choice for all when it is unreachable or a flow ends without any
 *   answer. If no resolver is configured or reachable, the guest is told SERVFAIL at once instead
 *   of being left to wait.
 *
 *   A question is recognised by identifier and a hash of its first question; four per flow are
 *   remembered. Only port 53 is looked into, not what is encrypted (853).
 *
 * Source: RFC 1035 §4.1, RFC 5625 §4.1 and 6, RFC 5452 §9.
 */
import * as abi from "../abi";
import { txKeep } from "../ring";
import { count, drop } from "../stats";
import { load16, load8, store16, store8 } from "../wire/bytes";
import { sumAdd, sumBytes, sumStoreUdp } from "../wire/checksum";
import { PROTOCOL_UDP } from "../wire/ipv4";
import { UDP_HEADER_SIZE, udpEmit } from "../wire/udp";
import { F_ANSWERED, QUESTION_COUNT, UdpFlow } from "./datagram";
import { pseudoSum } from "./packet";
import {
  DNS_PORT, dnsAddressed, dnsPort, resolverAt, resolverCount, resolverPort,
} from "./resolvers";
import { packetSend } from "./send";

const HEADER_SIZE: u32 = 12;
const RESPONSE: u32 = 0x80; // QR, first octet of the flags
const FLAGS_KEPT: u32 = 0x79; // opcode and RD
const RECURSION_AVAILABLE: u32 = 0x80; // second octet
const CHECKING_DISABLED: u32 = 0x10;
const SERVFAIL: u32 = 2;

const UDP_HEADER: usize = memory.data(8, 8);

/** Whether the guest's datagrams to this endpoint are for a resolver. */
export function dnsWanted(address: u32, port: u32): bool {
  return dnsAddressed(address) && dnsPort(port);
}

/** Has the flow use the resolver `skip` places behind its present one; false = there is none. */
export function dnsChoose(flow: UdpFlow, skip: u32): bool {
  const total = resolverCount();
  for (let i: u32 = 0; i < total; i++) {
    const index = (<u32>flow.resolver + skip + i) % total;
    const address = resolverAt(index);
    if (address == 0) continue;
    flow.resolver = <u8>index;
    flow.hostAddress = address;
    flow.hostPort = <u16>resolverPort(flow.peerPort);
    return true;
  }
  return false;
}

// ---------------------------------------------------------------- questions

/** Length up to the end of the first question, or 0 if there is none or it is malformed. */
function questionEnd(p: usize, length: u32): u32 {
  if (length < HEADER_SIZE || load16(p + 4) == 0) return 0;
  let offset = HEADER_SIZE;
  while (offset < length) {
    const label = load8(p + offset);
    if (label == 0) return offset + 5 <= length ? offset + 5 : 0;
    if (label > 63) return 0;
    offset += label + 1;
    if (offset - HEADER_SIZE > 254) return 0;
  }
  return 0;
}

/** FNV-1a of the first question, letters without case: a retry may spell them anew. */
function questionHash(p: usize, length: u32): u32 {
  const end = questionEnd(p, length);
  let hash: u32 = 0x811c9dc5;
  for (let i = HEADER_SIZE; i < end; i++) hash = (hash ^ (load8(p + i) | 0x20)) * 0x01000193;
  return hash;
}

// @ts-ignore: decorator
@inline function questionAt(flow: UdpFlow, index: u32): usize {
  return changetype<usize>(flow) + offsetof<UdpFlow>("questions") + (<usize>index << 3);
}

/** Where the flow remembers the open question of this message, or 0. */
function findQuestion(flow: UdpFlow, p: usize, length: u32): usize {
  const hash = questionHash(p, length);
  const identifier = load16(p);
  for (let i: u32 = 0; i < QUESTION_COUNT; i++) {
    const known = questionAt(flow, i);
    if (
      load<u32>(known) == hash && <u32>load<u16>(known, 4) == identifier && load<u16>(known, 6) != 0
    ) return known;
  }
  return 0;
}

/** Whether the guest asks again what has not been answered. */
export function dnsIsRepeat(flow: UdpFlow, p: usize, length: u32): bool {
  return flow.peerPort == DNS_PORT && length >= HEADER_SIZE && findQuestion(flow, p, length) != 0;
}

/** Remembers what the guest asks. */
export function dnsAsked(flow: UdpFlow, p: usize, length: u32): void {
  if (flow.peerPort != DNS_PORT || length < HEADER_SIZE) return;
  if (findQuestion(flow, p, length) != 0) return;
  const known = questionAt(flow, flow.questionNext);
  store<u32>(known, questionHash(p, length));
  store<u16>(known, <u16>load16(p), 4);
  store<u16>(known, 1, 6);
  flow.questionNext = <u8>((flow.questionNext + 1) % QUESTION_COUNT);
}

/** The resolver has sent a message. */
export function dnsAnswered(flow: UdpFlow, p: usize, length: u32): void {
  flow.flags |= F_ANSWERED;
  flow.openFailures = 0;
  if (flow.peerPort != DNS_PORT || length < HEADER_SIZE) return;
  const known = findQuestion(flow, p, length);
  if (known != 0) store<u16>(known, 0, 6);
}

// ---------------------------------------------------------------- SERVFAIL

/**
 * Answers the query of `length` octets at `p` to the DNS address `source` with SERVFAIL, which
 * replaces it in its receive slot; false = it is none, nothing was sent.
 */
export function dnsServfail(
  p: usize, length: u32, source: u32, guestAddress: u32, guestPort: u32, mac: u64, handle: u32,
): bool {
  if (length < HEADER_SIZE || (load8(p + 2) & RESPONSE) != 0) return false;
  const end = load16(p + 4) == 1 ? questionEnd(p, length) : 0;
  const size = end == 0 ? HEADER_SIZE : end;
  store8(p + 2, RESPONSE | (load8(p + 2) & FLAGS_KEPT));
  store8(p + 3, RECURSION_AVAILABLE | (load8(p + 3) & CHECKING_DISABLED) | SERVFAIL);
  store16(p + 4, end == 0 ? 0 : 1);
  store16(p + 6, 0);
  store16(p + 8, 0);
  store16(p + 10, 0);
  const total = UDP_HEADER_SIZE + size;
  udpEmit(UDP_HEADER, DNS_PORT, guestPort, total);
  const pseudo = pseudoSum(source, guestAddress, PROTOCOL_UDP, total);
  const sum = sumAdd(sumBytes(UDP_HEADER, UDP_HEADER_SIZE), sumBytes(p, size));
  sumStoreUdp(UDP_HEADER + 6, sumAdd(pseudo, sum));
  const kept = txKeep(p, size);
  if (kept == 0) {
    drop(abi.DROP_TX_FULL);
    return true;
  }
  const sent = packetSend(
    source, guestAddress, mac, PROTOCOL_UDP, 64, 0, UDP_HEADER, UDP_HEADER_SIZE, kept, size, handle,
  );
  if (sent) count(abi.STAT_SERVFAIL_SENT);
  return true;
}
