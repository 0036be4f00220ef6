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
const ADDRESS = String.raw`(?:([0-9]+\.[0-9.]+|\[[0-9a-fA-F:.]+\]):)?`;
const PORT = "([0-9]{1,5})";
const SYNTAX = new RegExp(`^${ADDRESS}${PORT}(?:-${PORT})?:${ADDRESS}${PORT}(?:/(tcp|udp))?$`);

/** Reads one `--publish` value. Throws `ConfigError`. */
export function parsePublish(text: string): PublishRule {
  const match = SYNTAX.exec(text);
  if (match === null) throw new ConfigError(`wanted ${PUBLISH_FORM}`);
  const [, hostText, firstText, lastText, addressText, guestText, protocol] = match;
  const host = readHost(hostText);
  const guest = readGuest(addressText);
  checkVersions(host, guest, protocol === "udp");
  const first = parsePort(firstText);
  const last = lastText === undefined ? first : parsePort(lastText);
  const guestPort = parsePort(guestText);
  if (last < first) throw new ConfigError(`range is reversed, wanted "${last}-${first}"`);
  const count = last - first + 1;
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

export type Host = Pick<PublishRule, "hostAddress" | "ipv4Only">;

function readHost(text: string | undefined): Host {
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

function parsePort(text: string | undefined): number {
  const port = Number(text);
  if (port < 1 || port > PORT_MAX) {
    throw new ConfigError(`wanted ports from 1 to ${PORT_MAX}, not ${port}`);
  }
  return port;
}
