/**
 * Builds packets for tests, independent of the engine's own code: Ethernet, ARP, IPv4, ICMP, UDP,
 * TCP, DHCP. Addresses are text, payloads octets or text. Every field has a sensible value unless
 * given, lengths and checksums too, so a test can make any of them wrong.
 * Sources: RFC 826, 791, 792, 768, 9293, 7323, 2018, 2131, 1071.
 */

export type Octets = Uint8Array | string;

export const MAC_BROADCAST = "ff:ff:ff:ff:ff:ff";
export const MAC_ZERO = "00:00:00:00:00:00";
export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;

/** Letters of TCP flags from bit 0 on: FIN SYN RST PSH ACK URG ECE CWR. */
export const FLAG_LETTERS = "FSRPAUEC";

const ENCODER = new TextEncoder();

/** Octets of a payload; text becomes UTF-8. */
export function octetsOf(data: Octets): Uint8Array {
  return typeof data === "string" ? ENCODER.encode(data) : data;
}

export function concat(...parts: readonly Octets[]): Uint8Array {
  const lists = parts.map(octetsOf);
  const all = new Uint8Array(lists.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of lists) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** `length` octets that differ by position, so that misplaced ones show. */
export function pattern(length: number, start = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => ((start + i) * 31 + ((start + i) >> 8)) & 0xff);
}

/** "10.0.2.15" as a number in host order. */
export function ip(address: string): number {
  const parts = address.split(".").map(Number);
  if (parts.length !== 4 || parts.some((part) => !(part >= 0 && part <= 255))) {
    throw new Error(`write an IPv4 address, not "${address}"`);
  }
  return parts.reduce((sum, part) => sum * 256 + part, 0);
}

export function ipText(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join(".");
}

/** "fd10:0:2::2" as 16 octets. */
export function ip6(address: string): Uint8Array {
  const [head = "", tail] = address.split("::");
  const groups = (part: string): number[] =>
    part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16));
  const left = groups(head);
  const right = groups(tail ?? "");
  const missing = 8 - left.length - right.length;
  if (missing < 0 || (tail === undefined && missing > 0)) {
    throw new Error(`write an IPv6 address, not "${address}"`);
  }
  return concat(...[...left, ...new Array<number>(missing).fill(0), ...right].map(u16));
}

/** 16 octets as text, the first of the longest runs of zero groups left out (RFC 5952). */
export function ip6Text(octets: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) =>
    (((octets[2 * i] ?? 0) << 8) | (octets[2 * i + 1] ?? 0)).toString(16),
  );
  const text = groups.join(":");
  const runs = text.match(/(?:^|:)0(?::0)+(?=:|$)/g) ?? [];
  const longest = runs.reduce((best, run) => (run.length > best.length ? run : best), "");
  if (longest === "") return text;
  // A run in the middle brings the colon before it along.
  const at = text.indexOf(longest);
  const before = text.slice(0, at);
  return `${before}::${text.slice(at + longest.length).replace(/^:/, "")}`;
}

export function macOctets(address: string): Uint8Array {
  return Uint8Array.from(address.split(":"), (part) => Number.parseInt(part, 16));
}

export function u16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value);
}

export function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

/** Ones' complement sum of 16-bit words in network order, folded, not inverted (RFC 1071). */
export function sum16(octets: Uint8Array, initial = 0): number {
  let sum = initial;
  for (let i = 0; i + 1 < octets.length; i += 2) {
    sum += ((octets[i] ?? 0) << 8) | (octets[i + 1] ?? 0);
  }
  if (octets.length % 2 === 1) sum += (octets[octets.length - 1] ?? 0) << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return sum;
}

export function checksum(octets: Uint8Array, initial = 0): number {
  return ~sum16(octets, initial) & 0xffff;
}

/** Sum of the pseudo-header of RFC 9293 §3.1, or of RFC 8200 §8.1 for IPv6 addresses. */
export function pseudoSum(
  source: string,
  destination: string,
  protocol: number,
  length: number,
): number {
  const octets = (address: string): Uint8Array =>
    address.includes(":") ? ip6(address) : u32(ip(address));
  return sum16(concat(octets(source), octets(destination), u16(protocol), u32(length)));
}

// ---------------------------------------------------------------- Ethernet and ARP

export interface EthernetFields {
  readonly source: string;
  readonly destination: string;
  readonly type?: number;
}

export function ethernet(fields: EthernetFields, payload: Octets): Uint8Array {
  const { source, destination, type = ETHERTYPE_IPV4 } = fields;
  return concat(macOctets(destination), macOctets(source), u16(type), payload);
}

export interface ArpFields {
  /** 1 = request, 2 = reply. */
  readonly operation?: number;
  readonly senderMac: string;
  readonly senderAddress: string;
  readonly targetMac?: string;
  readonly targetAddress: string;
  readonly hardware?: number;
  readonly protocol?: number;
  readonly hardwareSize?: number;
  readonly protocolSize?: number;
}

export function arp(fields: ArpFields): Uint8Array {
  return concat(
    u16(fields.hardware ?? 1),
    u16(fields.protocol ?? ETHERTYPE_IPV4),
    Uint8Array.of(fields.hardwareSize ?? 6, fields.protocolSize ?? 4),
    u16(fields.operation ?? 1),
    macOctets(fields.senderMac),
    u32(ip(fields.senderAddress)),
    macOctets(fields.targetMac ?? MAC_ZERO),
    u32(ip(fields.targetAddress)),
  );
}

// ---------------------------------------------------------------- IPv4

export interface Ipv4Fields {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  readonly ttl?: number;
  readonly tos?: number;
  readonly id?: number;
  readonly dontFragment?: boolean;
  readonly moreFragments?: boolean;
  /** Octets, a multiple of 8. */
  readonly fragmentOffset?: number;
  /** A multiple of 4 octets. */
  readonly options?: Uint8Array;
  readonly version?: number;
  readonly headerWords?: number;
  readonly totalLength?: number;
  readonly checksum?: number;
}

export function ipv4(fields: Ipv4Fields, payload: Octets): Uint8Array {
  const { options = new Uint8Array(0) } = fields;
  const body = octetsOf(payload);
  const flags = (fields.dontFragment ? 0x4000 : 0) | (fields.moreFragments ? 0x2000 : 0);
  const header = concat(
    Uint8Array.of(
      ((fields.version ?? 4) << 4) | (fields.headerWords ?? 5 + options.length / 4),
      fields.tos ?? 0,
    ),
    u16(fields.totalLength ?? 20 + options.length + body.length),
    u16(fields.id ?? 0x1234),
    u16(flags | ((fields.fragmentOffset ?? 0) / 8)),
    Uint8Array.of(fields.ttl ?? 64, fields.protocol, 0, 0),
    u32(ip(fields.source)),
    u32(ip(fields.destination)),
    options,
  );
  header.set(u16(fields.checksum ?? checksum(header)), 10);
  return concat(header, body);
}

/**
 * Cuts an IPv4 packet without options into fragments whose payloads have `size` octets, a multiple
 * of 8, the last one less.
 */
export function fragments(fields: Ipv4Fields, payload: Octets, size: number): Uint8Array[] {
  const body = octetsOf(payload);
  const count = Math.ceil(body.length / size);
  return Array.from({ length: count }, (_, i) =>
    ipv4(
      { ...fields, fragmentOffset: i * size, moreFragments: i + 1 < count },
      body.subarray(i * size, (i + 1) * size),
    ),
  );
}

// ---------------------------------------------------------------- ICMP

export interface IcmpFields {
  readonly type: number;
  readonly code?: number;
  /** The four octets behind the checksum. */
  readonly rest?: number;
  readonly checksum?: number;
}

export function icmp(fields: IcmpFields, payload: Octets): Uint8Array {
  const head = Uint8Array.of(fields.type, fields.code ?? 0, 0, 0);
  const message = concat(head, u32(fields.rest ?? 0), payload);
  message.set(u16(fields.checksum ?? checksum(message)), 2);
  return message;
}

/** Echo request; type 0 for a reply. */
export function icmpEcho(id: number, sequence: number, payload: Octets, type = 8): Uint8Array {
  return icmp({ type, rest: id * 65536 + sequence }, payload);
}

// ---------------------------------------------------------------- UDP

export interface UdpFields {
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly length?: number;
  readonly checksum?: number;
}

export function udp(fields: UdpFields, payload: Octets): Uint8Array {
  const body = octetsOf(payload);
  const length = 8 + body.length;
  const datagram = concat(
    u16(fields.sourcePort),
    u16(fields.destinationPort),
    u16(fields.length ?? length),
    u16(0),
    body,
  );
  const pseudo = pseudoSum(fields.source, fields.destination, PROTOCOL_UDP, length);
  // A sum of 0 would mean "none" (RFC 768).
  datagram.set(u16(fields.checksum ?? (checksum(datagram, pseudo) || 0xffff)), 6);
  return datagram;
}

// ---------------------------------------------------------------- TCP

export interface TcpOptions {
  readonly mss?: number;
  readonly windowScale?: number;
  readonly sackPermitted?: boolean;
  /** TSval, TSecr. */
  readonly timestamps?: readonly [number, number];
  /** Left and right edges. */
  readonly sack?: readonly (readonly [number, number])[];
  /** Octets put behind the others as they are. */
  readonly raw?: Uint8Array;
}

export interface TcpFields {
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly seq: number;
  readonly ack?: number;
  /** Of `FLAG_LETTERS`, such as "SA". */
  readonly flags: string;
  readonly window?: number;
  readonly urgent?: number;
  readonly options?: TcpOptions;
  readonly dataOffset?: number;
  readonly checksum?: number;
}

function flagBits(letters: string): number {
  let bits = 0;
  for (const letter of letters) {
    const bit = FLAG_LETTERS.indexOf(letter);
    if (bit < 0) throw new Error(`name flags by "${FLAG_LETTERS}", not "${letters}"`);
    bits |= 1 << bit;
  }
  return bits;
}

/** The options, padded with NOP in front of each to 4 octets as common stacks do. */
function tcpOptions(options: TcpOptions): Uint8Array {
  const parts: Uint8Array[] = [];
  const add = (...octets: Uint8Array[]): void => {
    const option = concat(...octets);
    parts.push(new Uint8Array((4 - (option.length % 4)) % 4).fill(1), option);
  };
  if (options.mss !== undefined) add(Uint8Array.of(2, 4), u16(options.mss));
  if (options.sackPermitted === true) add(Uint8Array.of(4, 2));
  if (options.timestamps !== undefined) {
    add(Uint8Array.of(8, 10), u32(options.timestamps[0]), u32(options.timestamps[1]));
  }
  if (options.windowScale !== undefined) add(Uint8Array.of(3, 3, options.windowScale));
  if (options.sack !== undefined && options.sack.length > 0) {
    const edges = options.sack.flatMap(([left, right]) => [u32(left), u32(right)]);
    add(Uint8Array.of(5, 2 + 8 * options.sack.length), ...edges);
  }
  if (options.raw !== undefined) parts.push(options.raw);
  const all = concat(...parts);
  return concat(all, new Uint8Array((4 - (all.length % 4)) % 4));
}

export function tcp(fields: TcpFields, payload: Octets = ""): Uint8Array {
  const options = tcpOptions(fields.options ?? {});
  const segment = concat(
    u16(fields.sourcePort),
    u16(fields.destinationPort),
    u32(fields.seq),
    u32(fields.ack ?? 0),
    Uint8Array.of((fields.dataOffset ?? 5 + options.length / 4) << 4, flagBits(fields.flags)),
    u16(fields.window ?? 65535),
    u16(0),
    u16(fields.urgent ?? 0),
    options,
    payload,
  );
  const pseudo = pseudoSum(fields.source, fields.destination, PROTOCOL_TCP, segment.length);
  segment.set(u16(fields.checksum ?? checksum(segment, pseudo)), 16);
  return segment;
}

// ---------------------------------------------------------------- DHCP

export interface DhcpFields {
  /** Message type, option 53: 1 DISCOVER, 3 REQUEST, 4 DECLINE, 7 RELEASE, 8 INFORM. */
  readonly type: number;
  readonly mac: string;
  readonly xid?: number;
  readonly broadcast?: boolean;
  readonly clientAddress?: string;
  readonly operation?: number;
  /** Further options: code and content. */
  readonly options?: readonly (readonly [number, Uint8Array])[];
}

/** A client's message, the payload of a datagram from port 68 to port 67. */
export function dhcp(fields: DhcpFields): Uint8Array {
  const options: readonly (readonly [number, Uint8Array])[] = [
    [53, Uint8Array.of(fields.type)],
    ...(fields.options ?? []),
  ];
  return concat(
    Uint8Array.of(fields.operation ?? 1, 1, 6, 0),
    u32(fields.xid ?? 0x3903f326),
    u16(0),
    u16(fields.broadcast === true ? 0x8000 : 0),
    u32(ip(fields.clientAddress ?? "0.0.0.0")),
    new Uint8Array(12),
    macOctets(fields.mac),
    new Uint8Array(10 + 192),
    u32(0x63825363),
    ...options.map(([code, content]) => concat(Uint8Array.of(code, content.length), content)),
    Uint8Array.of(255),
  );
}
