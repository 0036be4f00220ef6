/**
 * Decodes what comes out of the engine and throws at the slightest irregularity: lengths that do
 * not add up, wrong checksums, padding that is not zero, options where they must not be, a
 * virtio_net_hdr that does not describe its frame. A frame that passes is one any guest would take.
 * Sources: those of `packet.ts`, and virtio 1.2 §5.1.6.
 */

import type {
  ArpFrame,
  DecodedTcpOptions,
  FragmentFrame,
  Frame,
  FrameBase,
  IcmpFrame,
  IpFrame,
  TcpFrame,
  UdpFrame,
  VnetHeader,
} from "./frame.ts";
import {
  checksum,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  FLAG_LETTERS,
  ipText,
  PROTOCOL_ICMP,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  pseudoSum,
  sum16,
} from "./packet.ts";
import { decodeIcmp6, decodeIpv6 } from "./packet-decode6.ts";
import { ETHERTYPE_IPV6, PROTOCOL_ICMPV6 } from "./packet6.ts";

export interface DecodeOptions {
  /** Octets of virtio_net_hdr in front. */
  readonly vnetSize: number;
  /** Octets of an IP packet, unless it is an offload frame. */
  readonly mtu: number;
}

const ETHERNET_SIZE = 14;
const GSO_TCPV4 = 1;
const GSO_TCPV6 = 4;
const GSO_UDP_L4 = 5;

/** Decodes a frame towards the guest. Throws `Error` when anything about it is wrong. */
export function decodeFrame(octets: Uint8Array, options: DecodeOptions): Frame {
  const { vnetSize } = options;
  check(octets.length >= vnetSize + ETHERNET_SIZE, "a whole Ethernet header", octets.length);
  const vnet = vnetSize === 0 ? undefined : decodeVnet(viewOf(octets.subarray(0, vnetSize)));
  const frame = octets.subarray(vnetSize);
  const type = viewOf(frame).getUint16(12);
  const sourceMac = macText(frame, 6);
  check((frame[6] ?? 1) % 2 === 0, "a unicast source MAC", sourceMac);
  const base = { octets: frame, sourceMac, destinationMac: macText(frame, 0), vnet };
  const body = frame.subarray(ETHERNET_SIZE);
  if (type === ETHERTYPE_ARP) return decodeArp(base, body);
  if (type === ETHERTYPE_IPV6) return decodeIpv6(base, body, options.mtu, decodeTransport);
  check(type === ETHERTYPE_IPV4, "ARP, IPv4 or IPv6", type);
  return decodeIpv4(base, body, options);
}

function check(holds: boolean, wanted: string, found: unknown): void {
  if (!holds) throw new Error(`wanted ${wanted}, not "${String(found)}"`);
}

function viewOf(octets: Uint8Array): DataView {
  return new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
}

function macText(octets: Uint8Array, offset: number): string {
  return Array.from(octets.subarray(offset, offset + 6), (octet) =>
    octet.toString(16).padStart(2, "0"),
  ).join(":");
}

function decodeVnet(view: DataView): VnetHeader | undefined {
  const flags = view.getUint8(0);
  const header: VnetHeader = {
    gsoType: view.getUint8(1),
    headerLength: view.getUint16(2, true),
    gsoSize: view.getUint16(4, true),
    checksumStart: view.getUint16(6, true),
    checksumOffset: view.getUint16(8, true),
  };
  if (view.byteLength === 12) check(view.getUint16(10, true) <= 1, "num_buffers 0 or 1", "more");
  if (flags === 0) {
    const used = Object.values(header).some((value) => value !== 0);
    check(!used, "zeroes in a virtio_net_hdr without flags", JSON.stringify(header));
    return undefined;
  }
  check(flags === 1, "NEEDS_CSUM alone", flags);
  return header;
}

/** Behind the packet only zeroes are allowed, up to Ethernet's 60 octets (RFC 894). */
function unpadded(base: FrameBase, body: Uint8Array, length: number): Uint8Array {
  if (length === body.length) return body;
  check(length < body.length && base.octets.length === 60, `${length} octets`, body.length);
  check(sum16(body.subarray(length)) === 0, "zeroes as padding", "others");
  return body.subarray(0, length);
}

function decodeArp(base: FrameBase, padded: Uint8Array): ArpFrame {
  check(padded.length >= 28, "28 octets of ARP", padded.length);
  const body = unpadded(base, padded, 28);
  check(base.vnet === undefined, "no offload of ARP", "some");
  const view = viewOf(body);
  check(view.getUint16(0) === 1, "Ethernet", view.getUint16(0));
  check(view.getUint16(2) === ETHERTYPE_IPV4, "IPv4", view.getUint16(2));
  check(view.getUint16(4) === 0x0604, "sizes 6 and 4", view.getUint16(4));
  const operation = view.getUint16(6);
  check(operation === 1 || operation === 2, "request or reply", operation);
  check(macText(body, 8) === base.sourceMac, "the frame's source as sender", macText(body, 8));
  return {
    kind: "arp",
    ...base,
    operation,
    senderMac: macText(body, 8),
    senderAddress: ipText(view.getUint32(14)),
    targetMac: macText(body, 18),
    targetAddress: ipText(view.getUint32(24)),
  };
}

function decodeIpv4(base: FrameBase, padded: Uint8Array, options: DecodeOptions): Frame {
  check(padded.length >= 20, "a whole IPv4 header", padded.length);
  const view = viewOf(padded);
  check(view.getUint8(0) === 0x45, "version 4, 5 words", view.getUint8(0).toString(16));
  const packet = unpadded(base, padded, view.getUint16(2));
  check(packet.length >= 20, "a whole IPv4 header", packet.length);
  const gso = (base.vnet?.gsoType ?? 0) !== 0;
  check(gso || packet.length <= options.mtu, `at most ${options.mtu}`, packet.length);
  check(sum16(packet.subarray(0, 20)) === 0xffff, "a sound IPv4 checksum", view.getUint16(10));
  check(view.getUint8(8) > 0, "a TTL above 0", view.getUint8(8));
  const bits = view.getUint16(6);
  check((bits & 0x8000) === 0, "the reserved flag clear", bits);
  const common = {
    ...base,
    source: ipText(view.getUint32(12)),
    destination: ipText(view.getUint32(16)),
    protocol: view.getUint8(9),
    ttl: view.getUint8(8),
    tos: view.getUint8(1),
    id: view.getUint16(4),
    dontFragment: (bits & 0x4000) !== 0,
  };
  const payload = packet.subarray(20);
  const fragmentOffset = (bits & 0x1fff) * 8;
  const moreFragments = (bits & 0x2000) !== 0;
  if (moreFragments || fragmentOffset > 0) {
    check(base.vnet === undefined, "no offload of a fragment", "some");
    check(!moreFragments || payload.length % 8 === 0, "a multiple of 8", payload.length);
    check(payload.length > 0, "a fragment with content", payload.length);
    return { kind: "fragment", ...common, payload, fragmentOffset, moreFragments };
  }
  return decodeTransport(common, payload);
}

type IpCommon = Omit<IpFrame, "payload">;

function decodeTransport(common: IpCommon, payload: Uint8Array): Frame {
  switch (common.protocol) {
    case PROTOCOL_ICMP:
      return decodeIcmp(common, payload);
    case PROTOCOL_ICMPV6:
      return decodeIcmp6(common, payload);
    case PROTOCOL_UDP:
      return decodeUdp(common, payload);
    case PROTOCOL_TCP:
      return decodeTcp(common, payload);
    default:
      throw new Error(`wanted ICMP, UDP or TCP, not "${common.protocol}"`);
  }
}

function decodeIcmp(common: IpCommon, message: Uint8Array): IcmpFrame {
  check(message.length >= 8, "a whole ICMP header", message.length);
  check(common.vnet === undefined, "no offload of ICMP", "some");
  check(sum16(message) === 0xffff, "a sound ICMP checksum", viewOf(message).getUint16(2));
  const type = viewOf(message).getUint8(0);
  // RFC 1122 §3.2.2: an error quotes at least the IP header and 8 octets of what caused it.
  const isError = [3, 4, 5, 11, 12].includes(type);
  check(!isError || message.length >= 8 + 28, "an error with its quote", message.length);
  return {
    kind: "icmp",
    ...common,
    type,
    code: viewOf(message).getUint8(1),
    rest: viewOf(message).getUint32(4),
    payload: message.subarray(8),
  };
}

/** Octets of the IP header, which has no options. */
function headerSize(common: IpCommon): number {
  return common.source.includes(":") ? 40 : 20;
}

/** Complete, or just the pseudo-header's sum when the link is to do the rest. */
function checkTransport(common: IpCommon, data: Uint8Array, field: number, gso: number): void {
  const { vnet } = common;
  const pseudo = pseudoSum(common.source, common.destination, common.protocol, data.length);
  const found = viewOf(data).getUint16(field);
  if (vnet === undefined) {
    check(checksum(data, pseudo) === 0, "a sound checksum", found.toString(16));
    return;
  }
  const start = ETHERNET_SIZE + headerSize(common);
  check(vnet.checksumStart === start, `csum_start ${start}`, vnet.checksumStart);
  check(vnet.checksumOffset === field, `csum_offset ${field}`, vnet.checksumOffset);
  check(found === pseudo, `the pseudo-header's sum ${pseudo}`, found);
  if (vnet.gsoType === 0) {
    check(vnet.gsoSize === 0, "gso_size 0 without GSO", vnet.gsoSize);
    return;
  }
  check(vnet.gsoType === gso, `gso_type ${gso}`, vnet.gsoType);
  check(vnet.gsoSize > 0, "a gso_size above 0", vnet.gsoSize);
}

function checkGso(common: IpCommon, headerLength: number, payload: number): void {
  const { vnet } = common;
  if (vnet === undefined || vnet.gsoType === 0) return;
  const wanted = ETHERNET_SIZE + headerSize(common) + headerLength;
  check(vnet.headerLength === wanted, `hdr_len ${wanted}`, vnet.headerLength);
  check(payload > vnet.gsoSize, `more than one segment of ${vnet.gsoSize}`, payload);
}

function decodeUdp(common: IpCommon, datagram: Uint8Array): UdpFrame {
  check(datagram.length >= 8, "a whole UDP header", datagram.length);
  const view = viewOf(datagram);
  check(view.getUint16(4) === datagram.length, "the datagram's length", view.getUint16(4));
  check(view.getUint16(6) !== 0, "a UDP checksum", 0);
  checkTransport(common, datagram, 6, GSO_UDP_L4);
  checkGso(common, 8, datagram.length - 8);
  const [sourcePort, destinationPort] = [view.getUint16(0), view.getUint16(2)];
  check(sourcePort > 0 && destinationPort > 0, "ports above 0", 0);
  return { kind: "udp", ...common, sourcePort, destinationPort, payload: datagram.subarray(8) };
}

function decodeTcp(common: IpCommon, segment: Uint8Array): TcpFrame {
  check(segment.length >= 20, "a whole TCP header", segment.length);
  const view = viewOf(segment);
  const headerLength = (view.getUint8(12) >> 4) * 4;
  check(headerLength >= 20 && headerLength <= segment.length, "a data offset", headerLength);
  check((view.getUint8(12) & 15) === 0, "reserved bits clear", view.getUint8(12));
  checkTransport(common, segment, 16, headerSize(common) === 40 ? GSO_TCPV6 : GSO_TCPV4);
  checkGso(common, headerLength, segment.length - headerLength);
  const bits = view.getUint8(13);
  const flags = [...FLAG_LETTERS].filter((_, bit) => (bits & (1 << bit)) !== 0).join("");
  const options = decodeTcpOptions(segment.subarray(20, headerLength));
  const syn = flags.includes("S");
  // RFC 9293 §3.2, RFC 7323 §2.2, RFC 2018 §2: these only open a connection.
  check(syn || options.mss === undefined, "MSS only with SYN", flags);
  check(syn || options.windowScale === undefined, "window scale only with SYN", flags);
  check(syn || options.sackPermitted === undefined, "SACK permitted only with SYN", flags);
  check(/^(F?P?AU?|SA?|RA?)$/.test(flags), "a legal mix of flags", flags);
  const [sourcePort, destinationPort] = [view.getUint16(0), view.getUint16(2)];
  check(sourcePort > 0 && destinationPort > 0, "ports above 0", 0);
  return {
    kind: "tcp",
    ...common,
    sourcePort,
    destinationPort,
    seq: view.getUint32(4),
    ack: view.getUint32(8),
    flags,
    window: view.getUint16(14),
    urgent: view.getUint16(18),
    options,
    payload: segment.subarray(headerLength),
  };
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

function decodeTcpOptions(octets: Uint8Array): DecodedTcpOptions {
  const view = viewOf(octets);
  const found: Mutable<DecodedTcpOptions> = {};
  for (let i = 0; i < octets.length; ) {
    const kind = view.getUint8(i);
    if (kind === 0) {
      check(sum16(octets.subarray(i)) === 0, "zeroes behind the end of options", "others");
      break;
    }
    if (kind === 1) {
      i += 1;
      continue;
    }
    check(i + 1 < octets.length, "an option length", "the header's end");
    const length = view.getUint8(i + 1);
    check(length >= 2 && i + length <= octets.length, "an option inside the header", length);
    decodeTcpOption(found, kind, viewOf(octets.subarray(i + 2, i + length)));
    i += length;
  }
  return found;
}

function decodeTcpOption(found: Mutable<DecodedTcpOptions>, kind: number, body: DataView): void {
  const sized = (size: number): void => check(body.byteLength === size, `${size} octets`, kind);
  switch (kind) {
    case 2:
      sized(2);
      found.mss = body.getUint16(0);
      break;
    case 3:
      sized(1);
      check(body.getUint8(0) <= 14, "a shift up to 14", body.getUint8(0));
      found.windowScale = body.getUint8(0);
      break;
    case 4:
      sized(0);
      found.sackPermitted = true;
      break;
    case 5:
      check(body.byteLength % 8 === 0 && body.byteLength > 0, "whole SACK blocks", kind);
      found.sack = Array.from({ length: body.byteLength / 8 }, (_, i) => {
        return [body.getUint32(8 * i), body.getUint32(8 * i + 4)] as const;
      });
      break;
    case 8:
      sized(8);
      found.timestamps = [body.getUint32(0), body.getUint32(4)];
      break;
    default:
      throw new Error(`wanted a TCP option in common use, not "${kind}"`);
  }
}

/**
 * Puts the fragments of one packet together and decodes what results. Throws when one is missing,
 * overlaps, or differs in its identification.
 */
export function reassemble(parts: readonly FragmentFrame[]): Frame {
  const sorted = [...parts].sort((a, b) => a.fragmentOffset - b.fragmentOffset);
  const [first] = sorted;
  if (first === undefined) throw new Error("give at least one fragment");
  const body: number[] = [];
  sorted.forEach((part, i) => {
    check(part.id === first.id && part.source === first.source, "one packet", part.id);
    check(part.fragmentOffset === body.length, `offset ${body.length}`, part.fragmentOffset);
    check(part.moreFragments === i + 1 < sorted.length, "more until the last", i);
    // One by one: as arguments of one call they need more stack than a browser's workers have.
    for (const octet of part.payload) body.push(octet);
  });
  const { kind: _kind, fragmentOffset: _offset, moreFragments: _more, ...common } = first;
  return decodeTransport(common, Uint8Array.from(body));
}

// ---------------------------------------------------------------- DHCP

export interface DhcpReply {
  readonly operation: number;
  readonly xid: number;
  readonly flags: number;
  readonly clientAddress: string;
  readonly yourAddress: string;
  readonly serverAddress: string;
  readonly relayAddress: string;
  readonly mac: string;
  readonly options: ReadonlyMap<number, Uint8Array>;
  /** Option codes in the order sent. */
  readonly order: readonly number[];
}

/** Decodes a server's message (RFC 2131 §2). Throws when it is malformed. */
export function decodeDhcp(message: Uint8Array): DhcpReply {
  check(message.length >= 241, "a whole BOOTP message and options", message.length);
  const view = viewOf(message);
  check(view.getUint32(236) === 0x63825363, "the magic cookie", view.getUint32(236));
  check(view.getUint16(1) === 0x0106 && view.getUint8(3) === 0, "Ethernet", view.getUint16(1));
  const options = new Map<number, Uint8Array>();
  let at = 240;
  while (view.getUint8(at) !== 255) {
    const code = view.getUint8(at);
    at += 1;
    if (code === 0) continue;
    const length = view.getUint8(at);
    check(at + 1 + length < message.length, "an option inside the message", code);
    check(!options.has(code), "each option once", code);
    options.set(code, message.slice(at + 1, at + 1 + length));
    at += 1 + length;
  }
  check(sum16(message.subarray(at + 1)) === 0, "zeroes behind the end", "others");
  return {
    operation: view.getUint8(0),
    xid: view.getUint32(4),
    flags: view.getUint16(10),
    clientAddress: ipText(view.getUint32(12)),
    yourAddress: ipText(view.getUint32(16)),
    serverAddress: ipText(view.getUint32(20)),
    relayAddress: ipText(view.getUint32(24)),
    mac: macText(message, 28),
    options,
    order: [...options.keys()],
  };
}
