/**
 * Headers of an Ethernet frame as far as filters and summaries need them: where the addresses lie,
 * which protocol it carries, which ports.
 *
 * Theory of operation
 *   The octets may be anything, and may be cut off anywhere. `readFrameHeaders` fills one record,
 *   which the caller keeps and hands over again, so nothing is allocated for a frame; what the
 *   octets do not hold is ABSENT there. Each header is looked at only after its whole fixed part is
 *   known to be there, and of IPv6 at most EXTENSION_COUNT_MAX extension headers are passed.
 *   A fragment that is not the first has a protocol and addresses, and neither ports nor type.
 *   Frames with VLAN tags are frames of an EtherType nobody knows.
 *   Sources: RFC 791 §3.1, RFC 826, RFC 4302 §2.2, RFC 8200 §3 and §4, RFC 9293 §3.1.
 */

export const ABSENT = -1;

const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
const ETHERTYPE_IPV6 = 0x86dd;
export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
export const PROTOCOL_ICMP6 = 58;

const PROTOCOL_HOP_BY_HOP = 0;
const PROTOCOL_ROUTING = 43;
const PROTOCOL_FRAGMENT = 44;
const PROTOCOL_AUTHENTICATION = 51;
const PROTOCOL_DESTINATION_OPTIONS = 60;
const ETHERNET_SIZE = 14;
const ARP_SIZE = 28;
const IPV4_SIZE = 20;
const IPV6_SIZE = 40;
const EXTENSION_SIZE = 8;
const EXTENSION_COUNT_MAX = 8;
const TCP_SIZE = 20;
const UDP_SIZE = 8;
const ICMP_SIZE = 8;

/** What was found. Places are indexes into all octets, and ABSENT where there is none. */
export interface FrameHeaders {
  /** ABSENT: shorter than an Ethernet header. */
  etherType: number;
  /** 4 or 6; 0: no whole header of either. */
  version: number;
  /** Of the addresses of IP, or of ARP's sender and target. */
  sourceAt: number;
  destinationAt: number;
  /** Octets of each of the two addresses: 4 or 16. */
  addressSize: number;
  /** The upper protocol of IP. */
  protocol: number;
  isLaterFragment: boolean;
  /** Of TCP and UDP. */
  sourcePort: number;
  destinationPort: number;
  /** Of ICMP in either version. */
  icmpType: number;
  /** Of TCP. */
  tcpFlags: number;
  /** Where the last header that was recognized ends; at most where the octets end. */
  end: number;
}

export function emptyFrameHeaders(): FrameHeaders {
  return {
    etherType: ABSENT,
    version: 0,
    sourceAt: ABSENT,
    destinationAt: ABSENT,
    addressSize: 0,
    protocol: ABSENT,
    isLaterFragment: false,
    sourcePort: ABSENT,
    destinationPort: ABSENT,
    icmpType: ABSENT,
    tcpFlags: ABSENT,
    end: 0,
  };
}

/**
 * Reads `length` octets from `start` on, a frame from its destination address on, into `found`;
 * fewer where there are not so many.
 */
export function readFrameHeaders(
  octets: Uint8Array,
  start: number,
  length: number,
  found: FrameHeaders,
): void {
  clear(found);
  const size = Math.min(start + length, octets.length);
  const ip = start + ETHERNET_SIZE;
  found.end = Math.min(size, ip);
  if (size < ip) return;
  found.etherType = word(octets, start + 12);
  if (found.etherType === ETHERTYPE_IPV4) readIpv4(octets, ip, size, found);
  else if (found.etherType === ETHERTYPE_IPV6) readIpv6(octets, ip, size, found);
  else if (found.etherType === ETHERTYPE_ARP) readArp(octets, ip, size, found);
}

function clear(found: FrameHeaders): void {
  found.etherType = ABSENT;
  found.version = 0;
  found.sourceAt = ABSENT;
  found.destinationAt = ABSENT;
  found.addressSize = 0;
  found.protocol = ABSENT;
  found.isLaterFragment = false;
  found.sourcePort = ABSENT;
  found.destinationPort = ABSENT;
  found.icmpType = ABSENT;
  found.tcpFlags = ABSENT;
}

function octet(octets: Uint8Array, at: number): number {
  return octets[at] ?? 0;
}

function word(octets: Uint8Array, at: number): number {
  return (octet(octets, at) << 8) | octet(octets, at + 1);
}

function readArp(octets: Uint8Array, ip: number, size: number, found: FrameHeaders): void {
  found.end = Math.min(size, ip + ARP_SIZE);
  if (size < ip + ARP_SIZE) return;
  const isIpv4 = word(octets, ip + 2) === ETHERTYPE_IPV4;
  const hasSizes = octet(octets, ip + 4) === 6 && octet(octets, ip + 5) === 4;
  if (!isIpv4 || !hasSizes) return;
  found.sourceAt = ip + 14;
  found.destinationAt = ip + 24;
  found.addressSize = 4;
}

function readIpv4(octets: Uint8Array, ip: number, size: number, found: FrameHeaders): void {
  found.end = Math.min(size, ip + IPV4_SIZE);
  const first = octet(octets, ip);
  if (size < ip + IPV4_SIZE || first >> 4 !== 4) return;
  found.version = 4;
  found.addressSize = 4;
  found.sourceAt = ip + 12;
  found.destinationAt = ip + 16;
  found.protocol = octet(octets, ip + 9);
  found.isLaterFragment = (word(octets, ip + 6) & 0x1fff) !== 0;
  const headerSize = (first & 15) * 4;
  if (headerSize < IPV4_SIZE) return;
  found.end = Math.min(size, ip + headerSize);
  readTransport(octets, size, ip + headerSize, found);
}

function readIpv6(octets: Uint8Array, ip: number, size: number, found: FrameHeaders): void {
  found.end = Math.min(size, ip + IPV6_SIZE);
  if (size < ip + IPV6_SIZE || octet(octets, ip) >> 4 !== 6) return;
  found.version = 6;
  found.addressSize = 16;
  found.sourceAt = ip + 8;
  found.destinationAt = ip + 24;
  found.protocol = octet(octets, ip + 6);
  let at = ip + IPV6_SIZE;
  for (let i = 0; i < EXTENSION_COUNT_MAX && isExtension(found.protocol); i += 1) {
    if (size < at + EXTENSION_SIZE) return;
    const header = found.protocol;
    found.protocol = octet(octets, at);
    if (header === PROTOCOL_FRAGMENT) {
      found.isLaterFragment = (word(octets, at + 2) & 0xfff8) !== 0;
      at += EXTENSION_SIZE;
    } else if (header === PROTOCOL_AUTHENTICATION) at += (octet(octets, at + 1) + 2) * 4;
    else at += (octet(octets, at + 1) + 1) * EXTENSION_SIZE;
    found.end = Math.min(size, at);
    if (found.isLaterFragment) return;
  }
  if (!isExtension(found.protocol)) readTransport(octets, size, at, found);
}

function isExtension(protocol: number): boolean {
  return (
    protocol === PROTOCOL_HOP_BY_HOP ||
    protocol === PROTOCOL_ROUTING ||
    protocol === PROTOCOL_FRAGMENT ||
    protocol === PROTOCOL_AUTHENTICATION ||
    protocol === PROTOCOL_DESTINATION_OPTIONS
  );
}

/** @param at where the header begins, which may be beyond the octets */
function readTransport(octets: Uint8Array, size: number, at: number, found: FrameHeaders): void {
  const { protocol, version } = found;
  if (found.isLaterFragment) return;
  if (protocol === PROTOCOL_TCP || protocol === PROTOCOL_UDP) {
    if (size < at + 4) return;
    found.sourcePort = word(octets, at);
    found.destinationPort = word(octets, at + 2);
    found.end = Math.min(size, at + UDP_SIZE);
    if (protocol === PROTOCOL_TCP) readTcp(octets, size, at, found);
  } else if (protocol === (version === 4 ? PROTOCOL_ICMP : PROTOCOL_ICMP6)) {
    if (size < at + 1) return;
    found.icmpType = octet(octets, at);
    found.end = Math.min(size, at + ICMP_SIZE);
  }
}

function readTcp(octets: Uint8Array, size: number, at: number, found: FrameHeaders): void {
  found.end = Math.min(size, at + TCP_SIZE);
  if (size < at + TCP_SIZE) return;
  found.tcpFlags = octet(octets, at + 13);
  found.end = Math.min(size, at + Math.max(TCP_SIZE, (octet(octets, at + 12) >> 4) * 4));
}
