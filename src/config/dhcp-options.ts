/**
 * DHCP options as the octets that go on the wire: code, length, value (RFC 2132 §2), one after the
 * other in ascending order of code, without padding or end option. The engine's DHCP server copies
 * from this list whatever the guest asks for and adds the options it knows itself (mask, router,
 * DNS, MTU, lease).
 *
 * A value longer than 255 octets goes into consecutive options of the same code, to be joined by
 * the client (RFC 3396 §5). The domain search list is encoded by RFC 3397 §2, with the name
 * compression of RFC 1035 §4.1.4: pointers count from the first octet of the joined list and only
 * ever point back.
 */
import { readDomain, readHostName, readIpv4 } from "./address.ts";
import { ConfigError, quote } from "./errors.ts";

/** An option of the site's own (RFC 2132 §2, codes 224 to 254). */
export interface PrivateDhcpOption {
  readonly code: number;
  /** Text, sent as UTF-8. */
  readonly value: string;
}

/** What the guest is told by DHCP beyond its addresses. What is absent is not sent. */
export interface DhcpOptionsInput {
  /** Option 12. */
  readonly hostName?: string | undefined;
  /** Option 119; its first entry is also the domain name, option 15. */
  readonly search?: readonly string[] | undefined;
  /** Option 42: IPv4 addresses, dotted quads. */
  readonly ntpServers?: readonly string[] | undefined;
  /** Option 66. */
  readonly tftpServerName?: string | undefined;
  /** Option 67. */
  readonly bootFileName?: string | undefined;
  readonly privateOptions?: readonly PrivateDhcpOption[] | undefined;
}

/** Octets the engine has room for. */
export const DHCP_OPTIONS_SIZE_MAX = 1024;

const CODE_HOST_NAME = 12;
const CODE_DOMAIN_NAME = 15;
const CODE_NTP_SERVERS = 42;
const CODE_TFTP_SERVER_NAME = 66;
const CODE_BOOT_FILE_NAME = 67;
const CODE_DOMAIN_SEARCH = 119;
const CODE_PRIVATE_MIN = 224;
const CODE_PRIVATE_MAX = 254;

/** C0, DEL, C1, the separators of lines, controls of direction, and what no XML can carry. */
const UNSAFE = /[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufffe\uffff]/;
/** Characters of a refused value in its error. */
const QUOTED_SIZE_MAX = 80;
const VALUE_SIZE_MAX = 255;
const POINTER_TAG = 0xc0;
const POINTER_MAX = 0x3fff;

/**
 * Builds the list. Throws `ConfigError` when a name, address or code is malformed, a code is given
 * twice, or the whole is longer than 1024 octets.
 */
export function buildDhcpOptions(input: DhcpOptionsInput): Uint8Array {
  const out: number[] = [];
  const search = (input.search ?? []).map(requireDomain);
  if (input.hostName !== undefined) {
    if (readHostName(input.hostName) === undefined) {
      throw new ConfigError(`encode host name ${quote(input.hostName)}: wanted a DNS host name`);
    }
    append(out, CODE_HOST_NAME, encodeText("host name", input.hostName));
  }
  const [domain] = search;
  if (domain !== undefined) append(out, CODE_DOMAIN_NAME, encodeText("domain", domain));
  const ntpServers = input.ntpServers ?? [];
  if (ntpServers.length > 0) append(out, CODE_NTP_SERVERS, ntpServers.flatMap(encodeAddress));
  if (input.tftpServerName !== undefined) {
    append(out, CODE_TFTP_SERVER_NAME, encodeText("TFTP server name", input.tftpServerName));
  }
  if (input.bootFileName !== undefined) {
    append(out, CODE_BOOT_FILE_NAME, encodeText("boot file name", input.bootFileName));
  }
  if (search.length > 0) append(out, CODE_DOMAIN_SEARCH, encodeSearchList(search));
  appendPrivate(out, input.privateOptions ?? []);
  if (out.length > DHCP_OPTIONS_SIZE_MAX) {
    const size = `${out.length} octets`;
    throw new ConfigError(`shorten DHCP options: ${size} do not fit ${DHCP_OPTIONS_SIZE_MAX}`);
  }
  return Uint8Array.from(out);
}

/**
 * As much of a search list nobody vouches for (the host's own) as can be sent along with `input`:
 * malformed names are left out, then names at the end until the list fits.
 */
export function fitSearchList(
  input: DhcpOptionsInput,
  domains: readonly string[],
): readonly string[] {
  const search = domains.flatMap((text) => readDomain(text) ?? []);
  while (search.length > 0 && !fits({ ...input, search })) search.pop();
  return search;
}

function fits(input: DhcpOptionsInput): boolean {
  try {
    buildDhcpOptions(input);
    return true;
  } catch (error) {
    if (error instanceof ConfigError) return false;
    throw error;
  }
}

/** Value of the domain search option (RFC 3397 §2): names in wire form, one after the other. */
export function encodeSearchList(domains: readonly string[]): number[] {
  const out: number[] = [];
  const offsetBySuffix = new Map<string, number>();
  for (const domain of domains) {
    const labels = requireDomain(domain).split(".");
    let isPointer = false;
    for (const [index, label] of labels.entries()) {
      const suffix = labels.slice(index).join(".").toLowerCase();
      const known = offsetBySuffix.get(suffix);
      if (known !== undefined) {
        out.push(POINTER_TAG | (known >> 8), known & 255);
        isPointer = true;
        break;
      }
      if (out.length <= POINTER_MAX) offsetBySuffix.set(suffix, out.length);
      out.push(label.length, ...encodeAscii(label));
    }
    if (!isPointer) out.push(0);
  }
  return out;
}

function appendPrivate(out: number[], options: readonly PrivateDhcpOption[]): void {
  const sorted = [...options].sort((a, b) => a.code - b.code);
  for (const [index, { code, value }] of sorted.entries()) {
    const isPrivate = code >= CODE_PRIVATE_MIN && code <= CODE_PRIVATE_MAX;
    if (!Number.isInteger(code) || !isPrivate) {
      const wanted = `from ${CODE_PRIVATE_MIN} to ${CODE_PRIVATE_MAX}`;
      throw new ConfigError(`encode DHCP option "${code}": wanted a code ${wanted}`);
    }
    // Two of one code would be joined into one value by the client (RFC 3396 §5).
    if (sorted[index - 1]?.code === code) {
      throw new ConfigError(`encode DHCP option "${code}" once, not twice`);
    }
    append(out, code, encodeText(`DHCP option "${code}"`, value));
  }
}

/** Appends one option, in several pieces when it is longer than 255 octets (RFC 3396 §5). */
function append(out: number[], code: number, value: readonly number[]): void {
  for (let at = 0; at < value.length; at += VALUE_SIZE_MAX) {
    const piece = value.slice(at, at + VALUE_SIZE_MAX);
    out.push(code, piece.length, ...piece);
  }
}

function encodeText(what: string, text: string): number[] {
  if (text.length > DHCP_OPTIONS_SIZE_MAX) {
    throw new ConfigError(`encode ${what}: ${text.length} characters are too long`);
  }
  checkDhcpText(what, text);
  return [...new TextEncoder().encode(text)];
}

/**
 * Refuses text that no DHCP option should carry. Text options have at least one octet (RFC 2132
 * §3.14 and others) and no NUL (RFC 2132 §2). Neither do other control characters belong in them,
 * nor what turns the direction of writing: clients write such text into scripts, logs and files
 * like resolv.conf, line by line. Half a surrogate pair has no octets at all. Throws `ConfigError`.
 */
export function checkDhcpText(what: string, text: string): void {
  if (text === "") throw new ConfigError(`encode ${what} "": wanted text, not nothing`);
  if (!UNSAFE.test(text) && text.isWellFormed()) return;
  const shown = text.length > QUOTED_SIZE_MAX ? `${text.slice(0, QUOTED_SIZE_MAX)}…` : text;
  throw new ConfigError(`encode ${what} ${quote(shown)}: wanted text without control characters`);
}

function encodeAscii(text: string): number[] {
  return Array.from(text, (character) => character.charCodeAt(0));
}

function encodeAddress(text: string): number[] {
  const address = readIpv4(text);
  if (address === undefined) {
    throw new ConfigError(`encode NTP server ${quote(text)}: wanted an IPv4 address`);
  }
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255);
}

function requireDomain(text: string): string {
  const domain = readDomain(text);
  if (domain === undefined) {
    throw new ConfigError(`encode search domain ${quote(text)}: wanted a DNS name`);
  }
  return domain;
}
