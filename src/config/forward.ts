/**
 * Inbound forwards: which host ports lead to which guest ports.
 *
 * `[HOSTIP:]PORT[-PORT]:GUESTPORT[/tcp|/udp]` is one rule: the k-th port of a range leads to
 * GUESTPORT + k. A range may have all 65,535 ports, so it stays one rule with a count. An IPv6
 * address stands in brackets. Without an address a port is that of all addresses of the host, of
 * both versions of IP; "0.0.0.0" and "[::]" mean all of one version.
 */
import { formatIpv4 } from "../lib/addr.ts";
import { formatIpv6, type Ipv6Groups, readIpv6 } from "../lib/addr6.ts";
import { readIpv4 } from "./address.ts";
import { ConfigError, quote } from "./errors.ts";

/** One host port that leads to the guest, or a range of them. */
export interface PublishRule {
  readonly protocol: "tcp" | "udp";
  /** Address to listen on: IPv4 in host order, or IPv6; 0 = all of the host's. */
  readonly hostAddress: number | Ipv6Groups;
  /** With `hostAddress` 0: all of IPv4's only. */
  readonly ipv4Only?: true;
  readonly hostPort: number;
  readonly guestPort: number;
  /** Ports of a range, counted up on both sides; absent = 1. */
  readonly count?: number;
}

/** Bound on rules in all. */
export const PUBLISH_COUNT_MAX = 4096;
/** Bound on different addresses of the host in them, HOST_SPOT_COUNT of the engine less two. */
const HOST_ADDRESS_COUNT_MAX = 126;

/** How one `--publish` value is written. */
export const PUBLISH_FORM = "[HOSTIP:]PORT[-PORT]:GUESTPORT[/tcp|/udp]";

const PORT_MAX = 65535;
const SYNTAX =
  /^(?:([0-9.]+|\[[0-9a-fA-F:.]+\]):)?([0-9]{1,5})(?:-([0-9]{1,5}))?:([0-9]{1,5})(?:\/(tcp|udp))?$/;

/** Reads one `--publish` value into its rules, of which there is one. Throws `ConfigError`. */
export function parsePublish(text: string): PublishRule[] {
  const match = SYNTAX.exec(text);
  if (match === null) throw new ConfigError(`wanted ${PUBLISH_FORM}`);
  const [, hostText, firstText, lastText, guestText, protocol] = match;
  const host = readHost(hostText);
  const first = parsePort(firstText);
  const last = lastText === undefined ? first : parsePort(lastText);
  const guestPort = parsePort(guestText);
  if (last < first) throw new ConfigError(`range is reversed, wanted "${last}-${first}"`);
  const count = last - first + 1;
  if (guestPort + count - 1 > PORT_MAX) {
    throw new ConfigError(`guest ports would end at ${guestPort + count - 1}, past ${PORT_MAX}`);
  }
  return [
    {
      protocol: protocol === "udp" ? "udp" : "tcp",
      ...host,
      hostPort: first,
      guestPort,
      ...(count > 1 ? { count } : {}),
    },
  ];
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
