/**
 * Addresses as text and as numbers.
 *
 * An IPv4 address is a number in host order, 0 to 2^32-1 (10.0.2.2 = 0x0a000202); a MAC address is
 * six octets as on the wire. Text is read strictly: RFC 6943 §3.1.1 tells why leniency with octal
 * or short forms is a hole.
 */

const ADDRESS = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/;
const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i;
const MAC_SIZE = 6;

/** 127.0.0.1. */
export const LOOPBACK = 0x7f000001;

/** A network: no bits are set beyond the prefix. */
export interface Ipv4Network {
  readonly address: number;
  readonly prefixLength: number;
}

/** @throws RangeError for anything but four decimal numbers from 0 to 255 */
export function parseIpv4(text: string): number {
  const address = readIpv4(text);
  if (address === undefined) throw new RangeError(`Write an IPv4 address as "10.0.2.2": "${text}"`);
  return address;
}

export function isIpv4(text: string): boolean {
  return readIpv4(text) !== undefined;
}

export function formatIpv4(address: number): string {
  const octets = [address >>> 24, address >>> 16, address >>> 8, address];
  return octets.map((octet) => octet & 0xff).join(".");
}

export function formatCidr4(network: Ipv4Network): string {
  return `${formatIpv4(network.address)}/${network.prefixLength}`;
}

/** 24 gives 0xffffff00. */
export function prefixMask(prefixLength: number): number {
  // A shift by 32 would be a shift by 0.
  return prefixLength === 0 ? 0 : (-1 << (32 - prefixLength)) >>> 0;
}

export function contains4(network: Ipv4Network, address: number): boolean {
  return (address & prefixMask(network.prefixLength)) >>> 0 === network.address;
}

/** @throws RangeError for anything but six pairs of hexadecimal digits with colons between */
export function parseMac(text: string): Uint8Array {
  if (!MAC.test(text)) {
    throw new RangeError(`Write a MAC address as "52:54:00:12:34:56": "${text}"`);
  }
  return Uint8Array.from(text.split(":"), (pair) => Number.parseInt(pair, 16));
}

/** @throws RangeError where there are not six octets */
export function formatMac(mac: Uint8Array): string {
  if (mac.length !== MAC_SIZE) throw new RangeError(`Give a MAC address 6 octets: ${mac.length}`);
  return Array.from(mac, (octet) => octet.toString(16).padStart(2, "0")).join(":");
}

function readIpv4(text: string): number | undefined {
  const match = ADDRESS.exec(text);
  if (match === null) return undefined;
  const octets = match.slice(1).map(Number);
  if (octets.some((octet) => octet > 255)) return undefined;
  return octets.reduce((address, octet) => address * 256 + octet, 0);
}
