/**
 * IPv6 addresses as text, as eight groups of 16 bits, and as 16 octets on the wire.
 *
 * Source: RFC 4291 §2.2 (reading), RFC 5952 §4 (writing).
 */
import { isIpv4, parseIpv4 } from "./addr.ts";

/** Eight groups of 16 bits. */
export type Ipv6Groups = readonly number[];

/** An address of either version of IP: IPv4 in host order, or IPv6. */
export type IpAddress = number | Ipv6Groups;

const GROUP_COUNT = 8;
const OCTET_COUNT = 16;
const GROUP = /^[0-9a-f]{1,4}$/i;

/** Reads an address without zone; undefined for anything else. */
export function readIpv6(text: string): Ipv6Groups | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head = "", tail] = halves;
  const left = readGroups(head, tail === undefined);
  const right = tail === undefined ? [] : readGroups(tail, true);
  if (left === undefined || right === undefined) return undefined;
  const missing = GROUP_COUNT - left.length - right.length;
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined;
  return [...left, ...new Array<number>(missing).fill(0), ...right];
}

/** Groups between colons; the last may be a dotted quad, which counts as two. */
function readGroups(half: string, mayEndInIpv4: boolean): number[] | undefined {
  if (half === "") return [];
  const parts = half.split(":");
  const groups: number[] = [];
  for (const [index, part] of parts.entries()) {
    if (GROUP.test(part)) groups.push(Number.parseInt(part, 16));
    else if (mayEndInIpv4 && index === parts.length - 1 && isIpv4(part)) {
      const address = parseIpv4(part);
      groups.push(address >>> 16, address & 0xffff);
    } else return undefined;
  }
  return groups;
}

/** The shortest form: lower case, no leading zeros, the longest run of zeros as "::". */
export function formatIpv6(groups: Ipv6Groups): string {
  const { start, length } = longestZeros(groups);
  const text = (part: Ipv6Groups): string => part.map((group) => group.toString(16)).join(":");
  if (length < 2) return text(groups);
  return `${text(groups.slice(0, start))}::${text(groups.slice(start + length))}`;
}

/** The first of the longest runs of zero groups. */
function longestZeros(groups: Ipv6Groups): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (let index = 0; index <= groups.length; index += 1) {
    if (groups[index] === 0) continue;
    if (index - start > best.length) best = { start, length: index - start };
    start = index + 1;
  }
  return best;
}

/** As on the wire. */
export function octetsOfIpv6(groups: Ipv6Groups): number[] {
  return groups.flatMap((group) => [group >>> 8, group & 0xff]);
}

/** ::ffff:A.B.C.D, as on the wire, of an IPv4 address in host order (RFC 4291 §2.5.5.2). */
export function mappedOctetsOf(address: number): number[] {
  return octetsOfIpv6([0, 0, 0, 0, 0, 0xffff, address >>> 16, address & 0xffff]);
}

/** From the first 16 octets of a list. */
export function groupsOfOctets(octets: ArrayLike<number>): number[] {
  return Array.from(
    { length: OCTET_COUNT / 2 },
    (_group, i) => ((octets[2 * i] ?? 0) << 8) | (octets[2 * i + 1] ?? 0),
  );
}

/** The link-local address of a MAC: modified EUI-64 (RFC 4291, Appendix A). */
export function linkLocalOfMac(mac: ArrayLike<number>): number[] {
  const at = (index: number): number => mac[index] ?? 0;
  return [
    0xfe80,
    0,
    0,
    0,
    ((at(0) ^ 2) << 8) | at(1),
    (at(2) << 8) | 0xff,
    0xfe00 | at(3),
    (at(4) << 8) | at(5),
  ];
}
