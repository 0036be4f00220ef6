/** Rules of published ports, checked against each other and the guest's network. */

import { HOST_SPOT_COUNT } from "../../wasm/abi.ts";
import { formatIpv4 } from "../lib/addr.ts";
import { formatIpv6 } from "../lib/addr6.ts";
import { ConfigError, quote } from "./errors.ts";
import { formatHost, type Host, type PublishRule } from "./publish-rule.ts";
import { isGuestOf, type Subnet } from "./subnet.ts";
import { isGuestOf6, type Subnet6 } from "./subnet6.ts";

/** Bound on rules in all. */
export const PUBLISH_COUNT_MAX = 4096;
/** Bound on different addresses of the host in them: two spots are for all of a version. */
const HOST_ADDRESS_COUNT_MAX = HOST_SPOT_COUNT - 2;

/** Whether two rules for one port want the same socket. */
function overlap(a: Host, b: Host): boolean {
  const isAll = (rule: Host): boolean => /^(\*|0\.0\.0\.0|\[::\])$/.test(formatHost(rule));
  const isBoth = (rule: Host): boolean => formatHost(rule) === "*";
  if (formatHost(a) === formatHost(b) || isBoth(a) || isBoth(b)) return true;
  if (typeof a.hostAddress !== typeof b.hostAddress) return false;
  return isAll(a) || isAll(b);
}

/** Addresses of the guest network that a guest may have. */
export interface GuestNetworks {
  readonly ipv4: boolean;
  readonly subnet: Subnet;
  readonly subnet6: Subnet6 | undefined;
}

/** A port can only be published in a version of IP that is served. Throws `ConfigError`. */
export function checkPublishVersions(rules: readonly PublishRule[], networks: GuestNetworks): void {
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

/** Which of the rules want a port that `rule` wants, too. */
export function clashesWith(rules: readonly PublishRule[], rule: PublishRule): PublishRule[] {
  return rules.filter((other) => {
    const isApart = other.hostPort > lastOf(rule) || rule.hostPort > lastOf(other);
    return other.protocol === rule.protocol && !isApart && overlap(other, rule);
  });
}

/** Checks the number of rules and of addresses in them. Throws `ConfigError`. */
export function checkPublishCount(rules: readonly PublishRule[]): void {
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
}

/**
 * Checks rules against each other. Throws `ConfigError` when there are more than 4096, on more than
 * 126 addresses, or when two want the same port: of one address, or of one address and of all
 * addresses, which no two sockets can share. Several may lead to the same port of the guest.
 */
export function checkPublishRules(rules: readonly PublishRule[]): void {
  checkPublishCount(rules);
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
