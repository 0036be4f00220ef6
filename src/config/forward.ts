/**
 * Inbound forwards: which host ports lead to which guest ports.
 *
 * `[HOSTIP:]PORT[-PORT]:GUESTPORT[/tcp|/udp]` is one rule or, with a range, one rule per port: the
 * k-th port of the range leads to GUESTPORT + k. Rules are expanded here, so whoever listens sees
 * single ports only.
 */
import { formatIpv4 } from "../lib/addr.ts";
import { readIpv4 } from "./address.ts";
import { ConfigError, quote } from "./errors.ts";

/** One host port that leads to the guest. */
export interface PublishRule {
  readonly protocol: "tcp" | "udp";
  /** Address to listen on, host order; 0 = all of the host's. */
  readonly hostAddress: number;
  readonly hostPort: number;
  readonly guestPort: number;
}

/** Bound on rules in all: each costs a socket. */
export const PUBLISH_COUNT_MAX = 4096;

/** How one `--publish` value is written. */
export const PUBLISH_FORM = "[HOSTIP:]PORT[-PORT]:GUESTPORT[/tcp|/udp]";

const PORT_MAX = 65535;
const SYNTAX = /^(?:([0-9.]+):)?([0-9]{1,5})(?:-([0-9]{1,5}))?:([0-9]{1,5})(?:\/(tcp|udp))?$/;

/** Reads one `--publish` value into its rules. Throws `ConfigError`. */
export function parsePublish(text: string): PublishRule[] {
  const match = SYNTAX.exec(text);
  if (match === null) throw new ConfigError(`wanted ${PUBLISH_FORM}`);
  const [, hostText, firstText, lastText, guestText, protocol] = match;
  const hostAddress = hostText === undefined ? 0 : readIpv4(hostText);
  if (hostAddress === undefined || hostAddress >>> 24 >= 224) {
    throw new ConfigError(`wanted an IPv4 address of this host, not ${quote(hostText ?? "")}`);
  }
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
      hostAddress,
      hostPort: first + index,
      guestPort: guestFirst + index,
    });
  }
  return rules;
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
  const addressesByPort = new Map<string, number[]>();
  for (const rule of rules) {
    const key = `${rule.hostPort}/${rule.protocol}`;
    const addresses = addressesByPort.get(key) ?? [];
    const clash = addresses.find(
      (address) => address === rule.hostAddress || address === 0 || rule.hostAddress === 0,
    );
    if (clash !== undefined) {
      const other = formatIpv4(clash);
      const spot = `${formatIpv4(rule.hostAddress)}:${key}`;
      throw new ConfigError(
        clash === rule.hostAddress
          ? `publish host port ${quote(spot)} once, not twice`
          : `publish host port ${quote(spot)} once, not also on ${quote(other)}`,
      );
    }
    addresses.push(rule.hostAddress);
    addressesByPort.set(key, addresses);
  }
}
