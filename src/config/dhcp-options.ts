/**
 * DHCP options: what the guest is told beyond its addresses, each as the octets of its value, and
 * all of them as they go on the wire: code, length, value (RFC 2132 §2), one after the other in
 * ascending order of code, without padding or end option. The engine's DHCP server copies
 * from this list whatever the guest asks for and adds the options it knows itself (mask, router,
 * DNS, MTU, lease).
 *
 * A value longer than 255 octets goes into consecutive options of the same code, to be joined by
 * the client (RFC 3396 §5). The domain search list is encoded by RFC 3397 §2, with the name
 * compression of RFC 1035 §4.1.4: pointers count from the first octet of the joined list and only
 * ever point back.
 */

import { DHCP_OPTIONS_SIZE } from "../../wasm/abi.ts";
import { readDomain, readHostName, readIpv4 } from "./address.ts";
import { ConfigError, quote } from "./errors.ts";
import { encodeSearchList, requireDomain, searchListSizes } from "./search-list.ts";

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
/** One option and the octets of its value, of any number. */
export interface DhcpOption {
  readonly code: number;
  readonly value: readonly number[];
}

/**
 * The options that say this. Throws `ConfigError` when a name, address or code is malformed, a code
 * is given twice, or all of them are longer than 1024 octets.
 */
export function dhcpOptionsOf(input: DhcpOptionsInput): readonly DhcpOption[] {
  const { hostName, ntpServers = [], tftpServerName, bootFileName } = input;
  const options: DhcpOption[] = [];
  if (hostName !== undefined) {
    if (readHostName(hostName) === undefined) {
      throw new ConfigError(`encode host name ${quote(hostName)}: wanted a DNS host name`);
    }
    options.push({ code: CODE_HOST_NAME, value: encodeText("host name", hostName) });
  }
  if (ntpServers.length > 0) {
    options.push({ code: CODE_NTP_SERVERS, value: ntpServers.flatMap(encodeAddress) });
  }
  if (tftpServerName !== undefined) {
    const value = encodeText("TFTP server name", tftpServerName);
    options.push({ code: CODE_TFTP_SERVER_NAME, value });
  }
  if (bootFileName !== undefined) {
    options.push({ code: CODE_BOOT_FILE_NAME, value: encodeText("boot file name", bootFileName) });
  }
  options.push(...searchOptions(input.search ?? []));
  options.push(...encodePrivate(input.privateOptions ?? []));
  const size = sizeOf(options);
  if (size > DHCP_OPTIONS_SIZE) {
    throw new ConfigError(`shorten DHCP options: ${size} octets do not fit ${DHCP_OPTIONS_SIZE}`);
  }
  return options;
}

/** A search list as options: its first entry is also the domain name. Throws `ConfigError`. */
export function searchOptions(search: readonly string[]): readonly DhcpOption[] {
  const [domain] = search.map(requireDomain);
  if (domain === undefined) return [];
  return [
    { code: CODE_DOMAIN_NAME, value: encodeText("domain", domain) },
    { code: CODE_DOMAIN_SEARCH, value: encodeSearchList(search) },
  ];
}

/** All of them as they go on the wire. */
export function encodeDhcpOptions(options: readonly DhcpOption[]): Uint8Array {
  const sorted = [...options].sort((a, b) => a.code - b.code);
  return Uint8Array.from(sorted.flatMap(pieces));
}

/** One option in several pieces when it is longer than 255 octets (RFC 3396 §5). */
function pieces({ code, value }: DhcpOption): number[] {
  const out: number[] = [];
  for (let at = 0; at < value.length; at += VALUE_SIZE_MAX) {
    const piece = value.slice(at, at + VALUE_SIZE_MAX);
    out.push(code, piece.length, ...piece);
  }
  return out;
}

function pieceSize(valueSize: number): number {
  return valueSize + 2 * Math.ceil(valueSize / VALUE_SIZE_MAX);
}

/** Octets on the wire. */
function sizeOf(options: readonly DhcpOption[]): number {
  return options.reduce((sum, { value }) => sum + pieceSize(value.length), 0);
}

/**
 * As much of a search list nobody vouches for (the host's own) as can be sent along with `others`:
 * malformed names are left out, then names at the end until the list fits.
 */
export function fitSearchList(
  others: readonly DhcpOption[],
  domains: readonly string[],
): readonly string[] {
  const search = domains.flatMap((text) => readDomain(text) ?? []);
  const room = DHCP_OPTIONS_SIZE - sizeOf(others) - pieceSize(search[0]?.length ?? 0);
  const sizes = searchListSizes(search);
  const count = sizes.findLastIndex((size) => pieceSize(size) <= room) + 1;
  return search.slice(0, count);
}

function encodePrivate(options: readonly PrivateDhcpOption[]): DhcpOption[] {
  const sorted = [...options].sort((a, b) => a.code - b.code);
  return sorted.map(({ code, value }, index) => {
    const isPrivate = code >= CODE_PRIVATE_MIN && code <= CODE_PRIVATE_MAX;
    if (!Number.isInteger(code) || !isPrivate) {
      const wanted = `from ${CODE_PRIVATE_MIN} to ${CODE_PRIVATE_MAX}`;
      throw new ConfigError(`encode DHCP option "${code}": wanted a code ${wanted}`);
    }
    // Two of one code would be joined into one value by the client (RFC 3396 §5).
    if (sorted[index - 1]?.code === code) {
      throw new ConfigError(`encode DHCP option "${code}" once, not twice`);
    }
    return { code, value: encodeText(`DHCP option "${code}"`, value) };
  });
}

function encodeText(what: string, text: string): number[] {
  if (text.length > DHCP_OPTIONS_SIZE) {
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
function checkDhcpText(what: string, text: string): void {
  if (text === "") throw new ConfigError(`encode ${what} "": wanted text, not nothing`);
  if (!UNSAFE.test(text) && text.isWellFormed()) return;
  const shown = text.length > QUOTED_SIZE_MAX ? `${text.slice(0, QUOTED_SIZE_MAX)}…` : text;
  throw new ConfigError(`encode ${what} ${quote(shown)}: wanted text without control characters`);
}

function encodeAddress(text: string): number[] {
  const address = readIpv4(text);
  if (address === undefined) {
    throw new ConfigError(`encode NTP server ${quote(text)}: wanted an IPv4 address`);
  }
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255);
}
