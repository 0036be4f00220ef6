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

import { HOST } from "./headings.ts";
import { list, readGroup } from "./option.ts";
import {
  checkPublishGuests,
  checkPublishRules,
  checkPublishVersions,
  type GuestNetworks,
  PUBLISH_COUNT_MAX,
} from "./publish-checks.ts";
import { type PublishRule, parsePublish } from "./publish-rule.ts";
import type { Settings } from "./settings.ts";

/** What is published, and whether all of it has to be. */
export interface PublishOptions {
  /** Ports and ranges, at most 4096, no two for the same socket. */
  readonly rules: readonly PublishRule[];
  /** A port that cannot be had ends the start; else it is told of and left out. */
  readonly needsEveryPort: boolean;
  /** What was added while a network ran that has failed and starts again; those it can have. */
  readonly added?: readonly PublishRule[];
}

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
