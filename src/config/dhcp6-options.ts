/**
 * DHCPv6 options as the octets that go on the wire (RFC 9915 §21.1): code and length of two octets
 * each, value, one after the other. The engine's server copies from this list whatever the guest
 * asks for; DNS it knows itself. The search list is also what router advertisements say.
 */
import { readIpv6 } from "../lib/addr6.ts";
import { readDomain } from "./address.ts";
import { checkDhcpText } from "./dhcp-options.ts";
import { ConfigError, quote } from "./errors.ts";

/** What the guest is told by DHCPv6 beyond its addresses. What is absent is not sent. */
export interface Dhcp6OptionsInput {
  /** Option 24. */
  readonly search?: readonly string[] | undefined;
  /** Option 56: IPv6 addresses. */
  readonly ntpServers?: readonly string[] | undefined;
  /** Option 59 (RFC 5970 §3.1). */
  readonly bootFileUrl?: string | undefined;
}

/** Octets the engine has room for. */
export const DHCP6_OPTIONS_SIZE_MAX = 1024;

const CODE_SEARCH = 24;
const CODE_NTP = 56;
const CODE_BOOT_FILE_URL = 59;
const NTP_SERVER_ADDRESS = 1;

/** Builds the list. Throws `ConfigError` when something is malformed or the whole too long. */
export function buildDhcp6Options(input: Dhcp6OptionsInput): Uint8Array {
  const out: number[] = [];
  const search = input.search ?? [];
  if (search.length > 0) append(out, CODE_SEARCH, search.flatMap(encodeName));
  const ntpServers = input.ntpServers ?? [];
  if (ntpServers.length > 0) append(out, CODE_NTP, ntpServers.flatMap(encodeNtpServer));
  if (input.bootFileUrl !== undefined) {
    if (input.bootFileUrl.length > DHCP6_OPTIONS_SIZE_MAX) {
      const size = `${input.bootFileUrl.length} characters`;
      throw new ConfigError(`encode boot file URL: ${size} are too long`);
    }
    checkDhcpText("boot file URL", input.bootFileUrl);
    append(out, CODE_BOOT_FILE_URL, [...new TextEncoder().encode(input.bootFileUrl)]);
  }
  if (out.length > DHCP6_OPTIONS_SIZE_MAX) {
    const size = `${out.length} octets`;
    throw new ConfigError(`shorten DHCPv6 options: ${size} do not fit ${DHCP6_OPTIONS_SIZE_MAX}`);
  }
  return Uint8Array.from(out);
}

/** As much of a search list as can be sent along with `input`, from its beginning. */
export function fitSearchList6(
  input: Dhcp6OptionsInput,
  domains: readonly string[],
): readonly string[] {
  const search = domains.flatMap((text) => readDomain(text) ?? []);
  const others = buildDhcp6Options(input).length;
  const size = (): number => search.reduce((sum, domain) => sum + domain.length + 2, 4 + others);
  while (search.length > 0 && size() > DHCP6_OPTIONS_SIZE_MAX) search.pop();
  return search;
}

function append(out: number[], code: number, value: readonly number[]): void {
  out.push(code >> 8, code & 255, value.length >> 8, value.length & 255, ...value);
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

/** A suboption with one address (RFC 5908 §4.1). */
function encodeNtpServer(text: string): number[] {
  const groups = readIpv6(text);
  if (groups === undefined) {
    throw new ConfigError(`encode NTP server ${quote(text)}: wanted an IPv6 address`);
  }
  const octets = groups.flatMap((group) => [group >> 8, group & 255]);
  return [0, NTP_SERVER_ADDRESS, 0, octets.length, ...octets];
}
