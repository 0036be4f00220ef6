/**
 * DHCPv6 options as the octets that go on the wire (RFC 9915 §21.1): code and length of two octets
 * each, value, one after the other. The engine's server copies from this list whatever the guest
 * asks for; DNS it knows itself. The search list is also what router advertisements say.
 */
import { DHCP_OPTIONS_SIZE } from "../../wasm/abi.ts";
import { readDomain } from "./address.ts";
import { ConfigError, quote } from "./errors.ts";

const CODE_SEARCH = 24;
/** Code and length of an option. */
const HEAD_SIZE = 4;

/** The list with a search list, which has been checked. Throws `ConfigError`. */
export function encodeDhcp6Options(search: readonly string[]): Uint8Array {
  const value = search.flatMap(encodeName);
  if (value.length === 0) return new Uint8Array(0);
  return Uint8Array.of(CODE_SEARCH >> 8, CODE_SEARCH, value.length >> 8, value.length, ...value);
}

/** Throws `ConfigError` when a search list of DNS names is too long. */
export function checkSearchList6(search: readonly string[]): void {
  const size = sizeOf(search);
  if (size <= DHCP_OPTIONS_SIZE) return;
  throw new ConfigError(`shorten DHCPv6 options: ${size} octets do not fit ${DHCP_OPTIONS_SIZE}`);
}

/** As much of a search list as can be sent, from its beginning; what is no DNS name is left out. */
export function fitSearchList6(domains: readonly string[]): readonly string[] {
  const search = domains.flatMap((text) => readDomain(text) ?? []);
  while (sizeOf(search) > DHCP_OPTIONS_SIZE) search.pop();
  return search;
}

/** Octets of the option: a name takes a length for each label, and the root's at its end. */
function sizeOf(search: readonly string[]): number {
  const names = search.reduce((sum, domain) => sum + domain.length + 2, 0);
  return names === 0 ? 0 : HEAD_SIZE + names;
}

/** A name in wire form, never compressed (RFC 9915 §10). */
function encodeName(text: string): number[] {
  const domain = readDomain(text);
  if (domain === undefined) {
    throw new ConfigError(`encode search domain ${quote(text)}: wanted a DNS name`);
  }
  const labels = domain.split(".");
  return [...labels.flatMap((label) => [label.length, ...new TextEncoder().encode(label)]), 0];
}
