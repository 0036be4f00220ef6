/** The value of the DHCP option "domain search" (RFC 3397): names, compressed as in DNS. */
import { readDomain } from "./address.ts";
import { ConfigError, quote } from "./errors.ts";

const POINTER_TAG = 0xc0;
const POINTER_MAX = 0x3fff;

/** Value of the domain search option (RFC 3397 §2): names in wire form, one after the other. */
export function encodeSearchList(domains: readonly string[]): number[] {
  const out: number[] = [];
  const offsetBySuffix = new Map<string, number>();
  for (const domain of domains) appendName(out, requireDomain(domain), offsetBySuffix);
  return out;
}

/** Octets of the list up to and with each name: pointers lead back, so each beginning is one. */
export function searchListSizes(domains: readonly string[]): number[] {
  const out: number[] = [];
  const offsetBySuffix = new Map<string, number>();
  return domains.map((domain) => {
    appendName(out, domain, offsetBySuffix);
    return out.length;
  });
}

function appendName(out: number[], domain: string, offsetBySuffix: Map<string, number>): void {
  const labels = domain.split(".");
  for (const [index, label] of labels.entries()) {
    const suffix = labels.slice(index).join(".").toLowerCase();
    const known = offsetBySuffix.get(suffix);
    if (known !== undefined) {
      out.push(POINTER_TAG | (known >> 8), known & 255);
      return;
    }
    if (out.length <= POINTER_MAX) offsetBySuffix.set(suffix, out.length);
    out.push(label.length, ...encodeAscii(label));
  }
  out.push(0);
}

function encodeAscii(text: string): number[] {
  return Array.from(text, (character) => character.charCodeAt(0));
}

/** The name, as it is written without its dot at the end. Throws `ConfigError`. */
export function requireDomain(text: string): string {
  const domain = readDomain(text);
  if (domain === undefined) {
    throw new ConfigError(`encode search domain ${quote(text)}: wanted a DNS name`);
  }
  return domain;
}
