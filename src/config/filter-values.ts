/** Addresses, networks and ports as a filter has them; `filter.ts` has the language. */
import { parseIpv4 } from "../lib/addr.ts";
import { octetsOfIpv6, readIpv6 } from "../lib/addr6.ts";
import { readIpv4 } from "./address.ts";
import { ConfigError, quote } from "./errors.ts";

export interface FilterNetwork {
  /** 4 or 16, as on the wire. */
  readonly octets: readonly number[];
  readonly prefixLength: number;
}

export interface FilterPorts {
  readonly first: number;
  readonly last: number;
}

const PORT_MAX = 65535;

/** 4 or 16 octets of an address as text, its zone left out; undefined: it is none. */
export function octetsOfAddress(text: string): readonly number[] | undefined {
  const version4 = readIpv4(text);
  if (version4 !== undefined) {
    const address = parseIpv4(text);
    return [address >>> 24, (address >>> 16) & 255, (address >>> 8) & 255, address & 255];
  }
  const zoneAt = text.indexOf("%");
  const groups = readIpv6(zoneAt < 0 ? text : text.slice(0, zoneAt));
  return groups === undefined ? undefined : octetsOfIpv6(groups);
}

export function readFilterHost(text: string): FilterNetwork | undefined {
  const octets = octetsOfAddress(text);
  return octets === undefined ? undefined : { octets, prefixLength: octets.length * 8 };
}

export function readFilterNetwork(text: string): FilterNetwork | undefined {
  const match = /^([^/]+)(?:\/([0-9]{1,3}))?$/.exec(text);
  const octets = octetsOfAddress(match?.[1] ?? "");
  if (octets === undefined) return undefined;
  const prefixLength = Number(match?.[2] ?? octets.length * 8);
  if (prefixLength > octets.length * 8) return undefined;
  const hasHostBits = octets.some((octet, i) => {
    const bits = Math.max(0, Math.min(8, prefixLength - i * 8));
    return (octet & (0xff >> bits)) !== 0;
  });
  if (hasHostBits) throw new ConfigError(`bits beyond the prefix are set in ${quote(text)}`);
  return { octets, prefixLength };
}

export function readFilterPorts(text: string, isRange: boolean): FilterPorts | undefined {
  const match = /^([0-9]{1,5})(?:-([0-9]{1,5}))?$/.exec(text);
  if (match === null || (match[2] === undefined) === isRange) return undefined;
  const first = Number(match[1]);
  const last = Number(match[2] ?? first);
  return first <= last && last <= PORT_MAX ? { first, last } : undefined;
}
