/**
 * Inbound forwards: which host ports lead to which guest ports.
 *
 * `[HOSTIP:]PORT[-PORT]:GUESTPORT[/tcp|/udp]` is one rule or, with a range, one rule per port: the
 * k-th port of the range leads to GUESTPORT + k. Rules are expanded here, so whoever listens sees
 * single ports only. An IPv6 address stands in brackets. Without an address a port is that of all
 * addresses of the host, of both versions of IP; "0.0.0.0" and "[::]" mean all of one version.
 */
import { formatIpv4 } from "../lib/addr.ts";
import { formatIpv6, type Ipv6Groups, readIpv6 } from "../lib/addr6.ts";
import { readIpv4 } from "./address.ts";
import { ConfigError, quote } from "./errors.ts";

/** One host port that leads to the guest. */
export interface PublishRule {
  readonly protocol: "tcp" | "udp";
  /** Address to listen on: IPv4 in host order, or IPv6; 0 = all of the host's. */
  readonly hostAddress: number | Ipv6Groups;
  /** With `hostAddress` 0: all of IPv4's only. */
  readonly ipv4Only?: true;
  readonly hostPort: number;
  readonly guestPort: number;
}

/** Bound on rules in all: each costs a socket. */
export const PUBLISH_COUNT_MAX = 4096;

/** How one `--publish` value is written. */
export const PUBLISH_FORM = "[HOSTIP:]PORT[-PORT]:GUESTPORT[/tcp|/udp]";

const PORT_MAX = 65535;
const SYNTAX =
  /^(?:([0-9.]+|\[[0-9a-fA-F:.]+\]):)?([0-9]{1,5})(?:-([0-9]{1,5}))?:([0-9]{1,5})(?:\/(tcp|udp))?$/;

/** Reads one `--publish` value into its rules. Throws `ConfigError`. */
export function parsePublish(text: string): PublishRule[] {
  const match = SYNTAX.exec(text);
  if (match === null) throw new ConfigError(`wanted ${PUBLISH_FORM}`);
  const [, hostText, firstText, lastText, guestText, protocol] = match;
  const host = readHost(hostText);
  const first = parsePort(firstText);
  const last = lastText === undefined ? first : parsePort(lastText);
  const guestFirst = parsePort(guestText);
  if (last < first) throw new ConfigError(`range is reversed, wanted "${last}-${first}"`);
  const count = last - first + 1;
  if (guestFirst + count - 1 > PORT_MAX) {
    throw new ConfigError(`guest ports would end at ${guestFirst + count - 1}, past ${PORT_MAX}`);
  }
  if (count > PUBLISH_COUNT_MAX) {
    throw new ConfigError(`wanted at most ${PUBLISH_COUNT_MAX} ports, not ${count}`);
  }
  const rules: PublishRule[] = [];
  for (let index = 0; index < count; index += 1) {
    rules.push({
      protocol: protocol === "udp" ? "udp" : "tcp",
      ...host,
      hostPort: first + index,
      guestPort: guestFirst + index,
    });
  }
  return rules;
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

/**
 * Checks rules against each other. Throws `ConfigError` when there are more than 4096, or when two
 * want the same port: of one address, or of one address and of all addresses, which no two sockets
 * can share.
 */
export function checkPublishRules(rules: readonly PublishRule[]): void {
  if (rules.length > PUBLISH_COUNT_MAX) {
    throw new ConfigError(`publish at most ${PUBLISH_COUNT_MAX} ports in all, not ${rules.length}`);
  }
  const rulesByPort = new Map<string, PublishRule[]>();
  for (const rule of rules) {
    const key = `${rule.hostPort}/${rule.protocol}`;
    const others = rulesByPort.get(key) ?? [];
    const clash = others.find((other) => overlap(other, rule));
    if (clash !== undefined) {
      const other = formatHost(clash);
      const spot = `${formatHost(rule)}:${key}`;
      throw new ConfigError(
        other === formatHost(rule)
          ? `publish host port ${quote(spot)} once, not twice`
          : `publish host port ${quote(spot)} once, not also on ${quote(other)}`,
      );
    }
    others.push(rule);
    rulesByPort.set(key, others);
  }
}
