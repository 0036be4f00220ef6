/** Ports that are published, as they are named to be removed. */

import {
  ADDRESS_FORM,
  formatHost,
  type Host,
  PORT_FORM,
  type PublishRule,
  parsePublish,
  readHost,
  readRange,
  runOf,
} from "./publish-rule.ts";

/** Ports of the host that are published: which ones, and where they lead if that was said. */
export interface PublishedPorts extends Pick<PublishRule, "protocol" | "hostPort" | "count"> {
  readonly host: Host;
  /** Absent = wherever they lead. */
  readonly guest?: Pick<PublishRule, "guestAddress" | "guestPort">;
}

const HOST_PORTS = new RegExp(`^${ADDRESS_FORM}${PORT_FORM}(?:-${PORT_FORM})?(?:/(tcp|udp))?$`);

/**
 * Reads which published ports are meant: a rule as `parsePublish` takes it, or its host's part.
 * Throws `ConfigError`.
 */
export function parsePublished(text: string): PublishedPorts {
  const match = HOST_PORTS.exec(text);
  if (match === null) {
    const { protocol, hostPort, count, guestPort, ...rule } = parsePublish(text);
    const { guestAddress, ...host } = rule;
    const guest = { guestPort, ...(guestAddress === undefined ? {} : { guestAddress }) };
    return { protocol, host, hostPort, guest, ...(count === undefined ? {} : { count }) };
  }
  const [, hostText, firstText, lastText, protocol] = match;
  const { first, count } = readRange(firstText, lastText);
  return {
    protocol: protocol === "udp" ? "udp" : "tcp",
    host: readHost(hostText),
    hostPort: first,
    ...(count > 1 ? { count } : {}),
  };
}

/** Whether a rule has any of the ports. */
export function concerns(ports: PublishedPorts, rule: PublishRule): boolean {
  const { protocol, host, hostPort, count = 1, guest } = ports;
  if (rule.protocol !== protocol || formatHost(rule) !== formatHost(host)) return false;
  const offset = rule.hostPort - hostPort;
  if (offset >= count || -offset >= (rule.count ?? 1)) return false;
  if (guest === undefined) return true;
  const isThere = String(guest.guestAddress) === String(rule.guestAddress);
  return isThere && rule.guestPort - guest.guestPort === offset;
}

/** Whether all ports of a rule that has some of them are among them. */
export function covers({ hostPort, count = 1 }: PublishedPorts, rule: PublishRule): boolean {
  return rule.hostPort >= hostPort && rule.hostPort + (rule.count ?? 1) <= hostPort + count;
}

/** What is left of a rule without them: at most two rules. */
export function without(ports: PublishedPorts, rule: PublishRule): PublishRule[] {
  if (!concerns(ports, rule)) return [rule];
  const before = Math.max(0, ports.hostPort - rule.hostPort);
  const end = ports.hostPort + (ports.count ?? 1) - rule.hostPort;
  const after = Math.max(0, (rule.count ?? 1) - end);
  return [
    ...(before > 0 ? [runOf(rule, 0, before)] : []),
    ...(after > 0 ? [runOf(rule, end, after)] : []),
  ];
}
