/**
 * Inbound forwards: which host ports lead to which guest ports.
 *
 * `[HOSTIP:]PORT[-PORT]:[GUESTIP:]GUESTPORT[/tcp|/udp]` is one rule: the k-th port of a range leads
 * to GUESTPORT + k. A range may have all 65,535 ports, so it stays one rule with a count. An IPv6
 * address stands in brackets. Without an address a port is that of all addresses of the host, of
 * both versions of IP; "0.0.0.0" and "[::]" mean all of one version.
 * GUESTIP is an address in the guest's network that the rule leads to and no other; without it a
 * port leads to the guest, at whichever address it uses. A TCP connection of the one version of IP
 * may lead to a guest address of the other; datagrams stay within theirs.
 */
import { HOST_SPOT_COUNT } from "../../wasm/abi.ts";
import { formatIpv4 } from "../lib/addr.ts";
import { formatIpv6, type IpAddress, readIpv6 } from "../lib/addr6.ts";
import { readIpv4 } from "./address.ts";
import { ConfigError, quote } from "./errors.ts";
import { HOST } from "./headings.ts";
import { list, readGroup } from "./option.ts";
import type { Settings } from "./settings.ts";
import { isGuestOf, type Subnet } from "./subnet.ts";
import { isGuestOf6, type Subnet6 } from "./subnet6.ts";

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

/** What is published, and whether all of it has to be. */
export interface PublishOptions {
  /** Ports and ranges, at most 4096, no two for the same socket. */
  readonly rules: readonly PublishRule[];
  /** A port that cannot be had ends the start; else it is told of and left out. */
  readonly needsEveryPort: boolean;
}

/** Bound on rules in all. */
const PUBLISH_COUNT_MAX = 4096;
/** Bound on different addresses of the host in them: two spots are for all of a version. */
const HOST_ADDRESS_COUNT_MAX = HOST_SPOT_COUNT - 2;

/** How one `--publish` value is written. */
const PUBLISH_FORM = "[HOSTIP:]PORT[-PORT]:[GUESTIP:]GUESTPORT[/tcp|/udp]";

const PORT_MAX = 65535;
const ADDRESS = String.raw`(?:([0-9]+\.[0-9.]+|\[[0-9a-fA-F:.]+\]):)?`;
const PORT = "([0-9]{1,5})";
const SYNTAX = new RegExp(`^${ADDRESS}${PORT}(?:-${PORT})?:${ADDRESS}${PORT}(?:/(tcp|udp))?$`);

export const PUBLISH_OPTIONS = {
  rules: list({
    name: "publish",
    argument: "RULE",
    description:
      "lead host ports to the guest: [HOSTIP:]PORT[-PORT]:[GUESTIP:]GUESTPORT, /tcp or /udp " +
      "behind, IPv6 in brackets; a range goes to as many " +
      "guest ports from GUESTPORT on; tcp, all host addresses and whichever address the guest " +
      "uses unless said; it answers while a guest is there; " +
      `at most ${PUBLISH_COUNT_MAX} ports and ranges (default: none)`,
    heading: HOST,
    parse: parsePublish,
  }),
};

/** Reads the rules, and checks them against each other and the guest's network. */
export function readPublish(settings: Settings, network: GuestNetworks): readonly PublishRule[] {
  const { rules } = readGroup(PUBLISH_OPTIONS, settings);
  checkPublishRules(rules);
  checkPublishVersions(rules, network);
  checkPublishGuests(rules, network);
  return rules;
}

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

/** Ports that rules publish in all. */
export function publishedCount(rules: readonly PublishRule[]): number {
  return rules.reduce((sum, { count = 1 }) => sum + count, 0);
}

/**
 * Host sockets that rules need at most, where both versions of IP are served or one: of a port on
 * all addresses TCP has one for each version, UDP one for both.
 */
export function publishedSockets(rules: readonly PublishRule[], versions: 1 | 2): number {
  const each = ({ protocol, hostAddress, ipv4Only }: PublishRule): number =>
    protocol === "tcp" && hostAddress === 0 && ipv4Only !== true ? versions : 1;
  return rules.reduce((sum, rule) => sum + each(rule) * (rule.count ?? 1), 0);
}

type Host = Pick<PublishRule, "hostAddress" | "ipv4Only">;

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

/** Whether two rules for one port want the same socket. */
function overlap(a: Host, b: Host): boolean {
  const isAll = (rule: Host): boolean => /^(\*|0\.0\.0\.0|\[::\])$/.test(formatHost(rule));
  const isBoth = (rule: Host): boolean => formatHost(rule) === "*";
  if (formatHost(a) === formatHost(b) || isBoth(a) || isBoth(b)) return true;
  if (typeof a.hostAddress !== typeof b.hostAddress) return false;
  return isAll(a) || isAll(b);
}

function parsePort(text: string | undefined): number {
  const port = Number(text);
  if (port < 1 || port > PORT_MAX) {
    throw new ConfigError(`wanted ports from 1 to ${PORT_MAX}, not ${port}`);
  }
  return port;
}

/** Addresses of the guest network that a guest may have. */
interface GuestNetworks {
  readonly ipv4: boolean;
  readonly subnet: Subnet;
  readonly subnet6: Subnet6 | undefined;
}

/** A port can only be published in a version of IP that is served. Throws `ConfigError`. */
function checkPublishVersions(rules: readonly PublishRule[], networks: GuestNetworks): void {
  for (const rule of rules) {
    const isSix = typeof rule.hostAddress !== "number";
    const isFour = rule.hostAddress !== 0 || rule.ipv4Only === true;
    const missing = isSix ? networks.subnet6 === undefined : isFour && !networks.ipv4;
    if (!missing) continue;
    const spot = quote(`${formatHost(rule)}:${rule.hostPort}`);
    throw new ConfigError(`publish ${spot} without IPv${isSix ? 6 : 4}: it is not served`);
  }
}

/** Checks that rules lead to addresses a guest may have. Throws `ConfigError`. */
export function checkPublishGuests(rules: readonly PublishRule[], networks: GuestNetworks): void {
  for (const { guestAddress } of rules) {
    if (guestAddress === undefined) continue;
    const isFour = typeof guestAddress === "number";
    const text = quote(isFour ? formatIpv4(guestAddress) : formatIpv6(guestAddress));
    const isServed = isFour ? networks.ipv4 : networks.subnet6 !== undefined;
    if (!isServed) {
      throw new ConfigError(`publish to ${text} without IPv${isFour ? 4 : 6}: it is not served`);
    }
    const isGuest = isFour
      ? isGuestOf(networks.subnet, guestAddress)
      : networks.subnet6 !== undefined && isGuestOf6(networks.subnet6, guestAddress);
    if (isGuest) continue;
    throw new ConfigError(
      `publish to ${text}: wanted an address of the guest's network, not gateway or DNS`,
    );
  }
}

function lastOf({ hostPort, count = 1 }: PublishRule): number {
  return hostPort + count - 1;
}

/** Says that two rules want the same host port. */
function clashOf(rule: PublishRule, clash: PublishRule): ConfigError {
  const port = Math.max(rule.hostPort, clash.hostPort);
  const other = formatHost(clash);
  const spot = `${formatHost(rule)}:${port}/${rule.protocol}`;
  return new ConfigError(
    other === formatHost(rule)
      ? `publish host port ${quote(spot)} once, not twice`
      : `publish host port ${quote(spot)} once, not also on ${quote(other)}`,
  );
}

/**
 * Checks rules against each other. Throws `ConfigError` when there are more than 4096, on more than
 * 126 addresses, or when two want the same port: of one address, or of one address and of all
 * addresses, which no two sockets can share. Several may lead to the same port of the guest.
 */
export function checkPublishRules(rules: readonly PublishRule[]): void {
  if (rules.length > PUBLISH_COUNT_MAX) {
    throw new ConfigError(
      `publish at most ${PUBLISH_COUNT_MAX} ports and ranges in all, not ${rules.length}`,
    );
  }
  const addresses = new Set(rules.map(formatHost)).size;
  if (addresses > HOST_ADDRESS_COUNT_MAX) {
    throw new ConfigError(
      `publish on at most ${HOST_ADDRESS_COUNT_MAX} addresses of the host, not ${addresses}`,
    );
  }
  for (const protocol of ["tcp", "udp"]) {
    const list = rules.filter((rule) => rule.protocol === protocol);
    list.sort((a, b) => a.hostPort - b.hostPort);
    /** Ranges that reach as far as the port looked at. */
    let open: PublishRule[] = [];
    for (const rule of list) {
      open = open.filter((other) => lastOf(other) >= rule.hostPort);
      const clash = open.find((other) => overlap(other, rule));
      if (clash !== undefined) throw clashOf(rule, clash);
      open.push(rule);
    }
  }
}
