/**
 * Builds IPv6 packets for tests, independent of the engine's own code: header, extension headers,
 * ICMPv6, neighbour discovery, DHCPv6. Like `packet.ts`, every field has a sensible value unless
 * given. Sources: RFC 8200, 4443, 4861, 9915.
 */
import {
  checksum,
  concat,
  ip6,
  macOctets,
  type Octets,
  octetsOf,
  pseudoSum,
  u16,
  u32,
} from "./packet.ts";

export const ETHERTYPE_IPV6 = 0x86dd;
export const PROTOCOL_ICMPV6 = 58;
export const ALL_NODES = "ff02::1";
export const ALL_ROUTERS = "ff02::2";
export const ALL_DHCP_SERVERS = "ff02::1:2";

export interface Ipv6Fields {
  readonly source: string;
  readonly destination: string;
  /** Of the payload as a whole: that of the first extension header if there is one. */
  readonly protocol: number;
  readonly ttl?: number;
  readonly tos?: number;
  readonly flowLabel?: number;
  readonly version?: number;
  readonly payloadLength?: number;
}

export function ipv6(fields: Ipv6Fields, payload: Octets): Uint8Array {
  const body = octetsOf(payload);
  const first =
    (fields.version ?? 6) * 2 ** 28 + (fields.tos ?? 0) * 2 ** 20 + (fields.flowLabel ?? 0);
  return concat(
    u32(first),
    u16(fields.payloadLength ?? body.length),
    Uint8Array.of(fields.protocol, fields.ttl ?? 64),
    ip6(fields.source),
    ip6(fields.destination),
    body,
  );
}

/** An extension header of options or of another kind: next header, length, content to 8 octets. */
export function extension(next: number, content: Uint8Array): Uint8Array {
  const size = Math.ceil((content.length + 2) / 8) * 8;
  const padded = new Uint8Array(size - 2);
  padded.set(content);
  return concat(Uint8Array.of(next, size / 8 - 1), padded);
}

export function fragmentHeader(
  next: number,
  offset: number,
  more: boolean,
  ident: number,
): Uint8Array {
  return concat(Uint8Array.of(next, 0), u16(offset | (more ? 1 : 0)), u32(ident));
}

/** Cuts an upper-layer packet into fragments of `size` octets, a multiple of 8. */
export function fragments6(
  fields: Ipv6Fields,
  payload: Octets,
  size: number,
  ident = 0x01020304,
): Uint8Array[] {
  const body = octetsOf(payload);
  const count = Math.ceil(body.length / size);
  return Array.from({ length: count }, (_, i) => {
    const header = fragmentHeader(fields.protocol, i * size, i + 1 < count, ident);
    const part = body.subarray(i * size, (i + 1) * size);
    return ipv6({ ...fields, protocol: 44 }, concat(header, part));
  });
}

// ---------------------------------------------------------------- ICMPv6

export interface Icmp6Fields {
  readonly source: string;
  readonly destination: string;
  readonly type: number;
  readonly code?: number;
  /** The four octets behind the checksum. */
  readonly rest?: number;
  readonly checksum?: number;
}

export function icmp6(fields: Icmp6Fields, payload: Octets): Uint8Array {
  const head = Uint8Array.of(fields.type, fields.code ?? 0, 0, 0);
  const message = concat(head, u32(fields.rest ?? 0), payload);
  const { source, destination } = fields;
  const pseudo = pseudoSum(source, destination, PROTOCOL_ICMPV6, message.length);
  message.set(u16(fields.checksum ?? checksum(message, pseudo)), 2);
  return message;
}

type Ends = Pick<Icmp6Fields, "source" | "destination">;

export function echo6(ends: Ends, id: number, sequence: number, payload: Octets): Uint8Array {
  return icmp6({ ...ends, type: 128, rest: id * 65536 + sequence }, payload);
}

/** A link-layer address option; type 1 = source, 2 = target. */
export function linkOption(type: number, mac: string): Uint8Array {
  return concat(Uint8Array.of(type, 1), macOctets(mac));
}

/** The solicited-node multicast address. */
export function solicitedNode(address: string): string {
  const octets = ip6(address);
  const [a = 0, b = 0, c = 0] = octets.subarray(13);
  return `ff02::1:ff${a.toString(16).padStart(2, "0")}:${((b << 8) | c).toString(16)}`;
}

export function neighborSolicitation(
  ends: Ends,
  target: string,
  options: Octets = "",
  more: Partial<Icmp6Fields> = {},
): Uint8Array {
  return icmp6({ ...ends, type: 135, ...more }, concat(ip6(target), options));
}

export function neighborAdvertisement(
  ends: Ends,
  target: string,
  flags: number,
  options: Octets = "",
): Uint8Array {
  return icmp6({ ...ends, type: 136, rest: flags }, concat(ip6(target), options));
}

export function routerSolicitation(ends: Ends, options: Octets = ""): Uint8Array {
  return icmp6({ ...ends, type: 133 }, options);
}

// ---------------------------------------------------------------- DHCPv6

export type Option6 = readonly [code: number, content: Uint8Array];

export function options6(list: readonly Option6[]): Uint8Array {
  return concat(...list.map(([code, content]) => concat(u16(code), u16(content.length), content)));
}

export interface Dhcp6Fields {
  readonly type: number;
  readonly transaction?: number;
  readonly options?: readonly Option6[];
}

/** A client's message, the payload of a datagram from port 546 to port 547. */
export function dhcp6(fields: Dhcp6Fields): Uint8Array {
  const head = u32(fields.type * 2 ** 24 + (fields.transaction ?? 0x123456));
  return concat(head, options6(fields.options ?? []));
}

/** An address option inside an identity association. */
export function iaAddress(address: string, lifetime = 0): Option6 {
  return [5, concat(ip6(address), u32(lifetime), u32(lifetime))];
}

/** An identity association for addresses (3) or prefixes (25). */
export function ia(id: number, inner: readonly Option6[] = [], code = 3): Option6 {
  return [code, concat(u32(id), u32(0), u32(0), options6(inner))];
}

/** Options of a message or association, in order. Throws when one reaches past the end. */
export function readOptions6(octets: Uint8Array): Option6[] {
  const found: Option6[] = [];
  const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
  for (let at = 0; at < octets.length; ) {
    if (at + 4 > octets.length) throw new Error("an option header past the end");
    const length = view.getUint16(at + 2);
    if (at + 4 + length > octets.length) throw new Error("an option past the end");
    found.push([view.getUint16(at), octets.slice(at + 4, at + 4 + length)]);
    at += 4 + length;
  }
  return found;
}
