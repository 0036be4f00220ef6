/**
 * Addresses and names as people write them in arguments and resolv.conf, read strictly.
 *
 * Every function here takes text nobody has checked yet and answers `undefined` when it is not the
 * thing asked for; the caller knows which option the text came from and words the message.
 * IPv4 addresses are numbers in host order (10.0.2.2 = 0x0a000202), as in the engine's ABI.
 */

import { isIpv4, parseIpv4, parseMac } from "../lib/addr.ts";
import { readIpv6 } from "../lib/addr6.ts";

/** Octets of a MAC address, in wire order. */
export type MacOctets = readonly [number, number, number, number, number, number];

/** Longest DNS name as text, final dot not counted (RFC 1035 §2.3.4: 255 octets on the wire). */
const NAME_SIZE_MAX = 253;

const HOST_LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i;
const DOMAIN_LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i;

/** Reads dotted-quad text; four decimal octets without leading zeros, nothing shorter. */
export function readIpv4(text: string): number | undefined {
  return isIpv4(text) ? parseIpv4(text) : undefined;
}

/** Whether text is an IPv6 address (RFC 4291 §2.2), a zone such as `%eth0` allowed at its end. */
export function isIpv6(text: string): boolean {
  const zoneAt = text.indexOf("%");
  if (zoneAt < 0) return readIpv6(text) !== undefined;
  // What a zone may be called is the kernel's affair, and runtimes differ about it.
  return zoneAt < text.length - 1 && readIpv6(text.slice(0, zoneAt)) !== undefined;
}

/** Reads six octets of two hex digits with colons between them. */
export function readMac(text: string): MacOctets | undefined {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) return undefined;
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = parseMac(text);
  return [a, b, c, d, e, f];
}

/**
 * Reads a DNS name to search in: labels of 1 to 63 letters, digits, hyphens and underscores, at
 * most 253 characters; a final dot is taken off. Names in other scripts come as A-labels.
 */
export function readDomain(text: string): string | undefined {
  return readName(text.endsWith(".") ? text.slice(0, -1) : text, DOMAIN_LABEL);
}

/** Reads a host name (RFC 1123 §2.1): like a domain, but neither underscore nor final dot. */
export function readHostName(text: string): string | undefined {
  return readName(text, HOST_LABEL);
}

function readName(name: string, label: RegExp): string | undefined {
  if (name.length > NAME_SIZE_MAX) return undefined;
  return name.split(".").every((part) => label.test(part)) ? name : undefined;
}
