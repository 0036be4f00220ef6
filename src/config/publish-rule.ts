/** One rule of published ports, and what `--publish` says of it. */

import { formatIpv4 } from "../lib/addr.ts";
import { formatIpv6, type IpAddress, readIpv6 } from "../lib/addr6.ts";
import { readIpv4 } from "./address.ts";
import { ConfigError, quote } from "./errors.ts";

/** One host port that leads to the guest, or a range of them. */
export interface PublishRule {
  readonly protocol: "tcp" | "udp";
  /** Address to listen on: IPv4 in host order, or IPv6; 0 = all of the host's. */
  readonly hostAddress: IpAddress;
  /** With `hostAddress` 0: all of IPv4's only. */
  readonly ipv4Only?: true;
  readonly hostPort: number;
  /** The one address of the guest it leads to; absent = the guest's, whichever it uses. */
  readonly guestAddress?: IpAddress;
  readonly guestPort: number;
  /** Ports of a range, counted up on both sides; absent = 1. */
  readonly count?: number;
}

/** How one `--publish` value is written. */
const PUBLISH_FORM = "[HOSTIP:]PORT[-PORT]:[GUESTIP:]GUESTPORT[/tcp|/udp]";
const PORT_MAX = 65535;
export const ADDRESS_FORM = String.raw`(?:([0-9]+\.[0-9.]+|\[[0-9a-fA-F:.]+\]):)?`;
export const PORT_FORM = "([0-9]{1,5})";
const SYNTAX = new RegExp(
  `^${ADDRESS_FORM}${PORT_FORM}(?:-${PORT_FORM})?:${ADDRESS_FORM}${PORT_FORM}(?:/(tcp|udp))?$`,
);

/** Reads one `--publish` value. Throws `ConfigError`. */
export function parsePublish(text: string): PublishRule {
  const match = SYNTAX.exec(text);
  if (match === null) throw new ConfigError(`wanted ${PUBLISH_FORM}`);
  const [, hostText, firstText, lastText, addressText, guestText, protocol] = match;
  const host = readHost(hostText);
  const guest = readGuest(addressText);
  checkVersions(host, guest, protocol === "udp");
  const { first, count } = readRange(firstText, lastText);
  const guestPort = parsePort(guestText);
  if (guestPort + count - 1 > PORT_MAX) {
    throw new ConfigError(`guest ports would end at ${guestPort + count - 1}, past ${PORT_MAX}`);
  }
  return {
    protocol: protocol === "udp" ? "udp" : "tcp",
    ...host,
    hostPort: first,
    ...guest,
    guestPort,
    ...(count > 1 ? { count } : {}),
  };
}

/** How a rule is written, as `parsePublish` takes it. */
export function formatRule(rule: PublishRule): string {
  const { protocol, hostPort, guestAddress, guestPort, count = 1 } = rule;
  const host = formatHost(rule);
  const from = host === "*" ? "" : `${host}:`;
  const ports = count > 1 ? `${hostPort}-${hostPort + count - 1}` : `${hostPort}`;
  const to = guestAddress === undefined ? "" : `${formatHost({ hostAddress: guestAddress })}:`;
  return `${from}${ports}:${to}${guestPort}${protocol === "udp" ? "/udp" : ""}`;
}

/** So many ports of a rule in a row, from the one that is `first` after its first. */
export function runOf(rule: PublishRule, first: number, count: number): PublishRule {
  const { count: _, hostPort, guestPort, ...rest } = rule;
  const ports = { hostPort: hostPort + first, guestPort: guestPort + first };
  return { ...rest, ...ports, ...(count > 1 ? { count } : {}) };
}

export type Host = Pick<PublishRule, "hostAddress" | "ipv4Only">;

export function readHost(text: string | undefined): Host {
  if (text === undefined) return { hostAddress: 0 };
  if (text.startsWith("[")) {
    const groups = readIpv6(text.slice(1, -1));
    const [first = 0] = groups ?? [];
    if (groups !== undefined && first < 0xff00 && (first & 0xffc0) !== 0xfe80) {
      return { hostAddress: groups };
    }
    throw new ConfigError(`wanted a global IPv6 address of this host, not ${quote(text)}`);
  }
  const address = readIpv4(text);
  if (address === undefined || address >>> 24 >= 224) {
    throw new ConfigError(`wanted an IPv4 address of this host, not ${quote(text)}`);
  }
  return address === 0 ? { hostAddress: 0, ipv4Only: true } : { hostAddress: address };
}

type Guest = Pick<PublishRule, "guestAddress">;

function readGuest(text: string | undefined): Guest {
  if (text === undefined) return {};
  const guestAddress = text.startsWith("[") ? readIpv6(text.slice(1, -1)) : readIpv4(text);
  if (guestAddress !== undefined) return { guestAddress };
  throw new ConfigError(`wanted an address of the guest, not ${quote(text)}`);
}

/** A datagram cannot be answered in another version of IP than it came by. */
function checkVersions({ hostAddress, ipv4Only }: Host, guest: Guest, isUdp: boolean): void {
  if (!isUdp || guest.guestAddress === undefined) return;
  if (hostAddress === 0 && ipv4Only !== true) return;
  if (typeof hostAddress === typeof guest.guestAddress) return;
  throw new ConfigError("wanted host and guest address of one version of IP for udp");
}

/** How an address to listen on is written. */
export function formatHost(rule: Host): string {
  const { hostAddress } = rule;
  if (typeof hostAddress !== "number") return `[${formatIpv6(hostAddress)}]`;
  return hostAddress === 0 && rule.ipv4Only !== true ? "*" : formatIpv4(hostAddress);
}

/** First port and number of ports. Throws `ConfigError`. */
export function readRange(firstText: string | undefined, lastText: string | undefined) {
  const first = parsePort(firstText);
  const last = lastText === undefined ? first : parsePort(lastText);
  if (last < first) throw new ConfigError(`range is reversed, wanted "${last}-${first}"`);
  return { first, count: last - first + 1 };
}

function parsePort(text: string | undefined): number {
  const port = Number(text);
  if (port < 1 || port > PORT_MAX) {
    throw new ConfigError(`wanted ports from 1 to ${PORT_MAX}, not ${port}`);
  }
  return port;
}
