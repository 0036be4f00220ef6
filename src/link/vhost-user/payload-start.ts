/**
 * Where the payload of a frame begins that need not be in engine memory to be sent on.
 *
 * The engine reads payload for checksums, in SYNs, datagrams and fragments, and quotes it in ICMP
 * errors. What is left is a segment of an established TCP connection whose checksum is vouched for
 * and that no router on the way may refuse. Anything else is copied as a whole, and judged by the
 * engine; so is a frame with a length field that does not fit, or with padding. What is judged here
 * is the copy of the headers that the engine judges, too.
 *
 * Source: virtio 1.2 §5.1.6; RFC 791 §3.1, RFC 8200 §3, RFC 9293 §3.1.
 */
import { VNET_SIZE } from "./features.ts";

/** Octets that hold virtio_net_hdr, Ethernet, IPv4 and TCP header with all options. */
export const HEADERS_SIZE = VNET_SIZE + 14 + 60 + 60;

const CHECKSUM_FLAGS = 3; // NEEDS_CSUM, DATA_VALID
const [GSO_NONE, GSO_TCPV4, GSO_TCPV6] = [0, 1, 4];
const GSO_ECN = 0x80;
const ETHERNET_SIZE = 14;
const IP = VNET_SIZE + ETHERNET_SIZE;
const [ETHERTYPE_IPV4, ETHERTYPE_IPV6] = [0x0800, 0x86dd];
const IPV4_SIZE_MIN = 20;
const FRAGMENT_BITS = 0xbfff; // all but "don't fragment"
const IPV6_SIZE = 40;
const PROTOCOL_TCP = 6;
const TCP_SIZE_MIN = 20;
const TCP_SYN = 2;

/**
 * @param at where the virtio_net_hdr of twelve octets is, with HEADERS_SIZE octets at least
 * @param size octets of the frame, header included
 * @returns octets before the payload; 0 = the frame has to be copied
 */
export function payloadStart(octets: Uint8Array, at: number, size: number): number {
  const octet = (i: number): number => octets[at + i] ?? 0;
  const word = (i: number): number => octet(i) * 256 + octet(i + 1);
  if ((octet(0) & CHECKSUM_FLAGS) === 0) return 0;
  const gso = octet(1) & ~GSO_ECN;
  const type = word(VNET_SIZE + 12);
  let tcp = 0;
  if (type === ETHERTYPE_IPV4 && (gso === GSO_NONE || gso === GSO_TCPV4)) {
    const header = (octet(IP) & 15) * 4;
    const isPlain =
      octet(IP) >> 4 === 4 && header >= IPV4_SIZE_MIN && (word(IP + 6) & FRAGMENT_BITS) === 0;
    const isTcp = octet(IP + 9) === PROTOCOL_TCP && octet(IP + 8) > 1;
    if (isPlain && isTcp && word(IP + 2) === size - IP) tcp = IP + header;
  } else if (type === ETHERTYPE_IPV6 && (gso === GSO_NONE || gso === GSO_TCPV6)) {
    const isLinkLocal = (word(IP + 8) & 0xffc0) === 0xfe80;
    const isTcp = octet(IP + 6) === PROTOCOL_TCP && octet(IP + 7) > 1;
    const isWhole = octet(IP) >> 4 === 6 && word(IP + 4) === size - IP - IPV6_SIZE;
    if (isTcp && isWhole && !isLinkLocal) tcp = IP + IPV6_SIZE;
  }
  if (tcp === 0 || (octet(tcp + 13) & TCP_SYN) !== 0) return 0;
  const header = (octet(tcp + 12) >> 4) * 4;
  return header >= TCP_SIZE_MIN && tcp + header < size ? tcp + header : 0;
}
