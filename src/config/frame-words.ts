/** A frame's headers in words: "192.0.2.15:1234 > 198.51.100.1:80 tcp S". */
import { formatIpv4 } from "../lib/addr.ts";
import { formatIpv6, groupsOfOctets } from "../lib/addr6.ts";
import {
  ABSENT,
  ETHERTYPE_ARP,
  emptyFrameHeaders,
  type FrameHeaders,
  PROTOCOL_ICMP,
  PROTOCOL_ICMP6,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  readFrameHeaders,
} from "./frame-headers.ts";

/** From the lowest bit on, as tcpdump writes them. */
const TCP_FLAGS = "FSRPAUEC";
const MAC_SIZE = 6;
const PROTOCOL_NAMES: ReadonlyMap<number, string> = new Map([
  [PROTOCOL_ICMP, "icmp"],
  [PROTOCOL_TCP, "tcp"],
  [PROTOCOL_UDP, "udp"],
  [PROTOCOL_ICMP6, "icmp6"],
]);

/** @param octets a frame from its destination address on, or as much of it as there is */
export function describeHeaders(octets: Uint8Array): string {
  const found = emptyFrameHeaders();
  readFrameHeaders(octets, 0, octets.length, found);
  if (found.etherType === ABSENT) return `${octets.length} octets`;
  if (found.etherType === ETHERTYPE_ARP) return describeArp(octets, found);
  if (found.version === 0) {
    const type = found.etherType.toString(16).padStart(4, "0");
    return `${macAt(octets, MAC_SIZE)} > ${macAt(octets, 0)} ethertype 0x${type}`;
  }
  const source = endOf(octets, found, found.sourceAt, found.sourcePort);
  const destination = endOf(octets, found, found.destinationAt, found.destinationPort);
  return [`${source} > ${destination}`, ...describeProtocol(found)].join(" ");
}

function describeArp(octets: Uint8Array, found: FrameHeaders): string {
  if (found.sourceAt === ABSENT) return `${macAt(octets, MAC_SIZE)} > ${macAt(octets, 0)} arp`;
  const asked = addressAt(octets, found, found.destinationAt);
  return `${addressAt(octets, found, found.sourceAt)} > ${asked} arp`;
}

function describeProtocol(found: FrameHeaders): string[] {
  const { protocol, isLaterFragment, icmpType, tcpFlags } = found;
  const words = [PROTOCOL_NAMES.get(protocol) ?? `protocol ${protocol}`];
  if (isLaterFragment) words.push("fragment");
  if (icmpType !== ABSENT) words.push(`type ${icmpType}`);
  if (tcpFlags !== ABSENT) {
    words.push([...TCP_FLAGS].filter((_, bit) => (tcpFlags & (1 << bit)) !== 0).join(""));
  }
  return words.filter((word) => word !== "");
}

function endOf(octets: Uint8Array, found: FrameHeaders, at: number, port: number): string {
  const address = addressAt(octets, found, at);
  if (port === ABSENT) return address;
  return found.version === 6 ? `[${address}]:${port}` : `${address}:${port}`;
}

function addressAt(octets: Uint8Array, { addressSize }: FrameHeaders, at: number): string {
  const address = octets.subarray(at, at + addressSize);
  if (addressSize === 16) return formatIpv6(groupsOfOctets(address));
  return formatIpv4(address.reduce((number, octet) => number * 256 + octet, 0));
}

function macAt(octets: Uint8Array, at: number): string {
  const mac = [...octets.subarray(at, at + MAC_SIZE)];
  return mac.map((octet) => octet.toString(16).padStart(2, "0")).join(":");
}
