/** What counters and connections are called in a report. */
import type { DropName } from "../../../engine/stats.ts";
import { formatIpv4 } from "../../../lib/addr.ts";
import type { Plan, TcpPlan } from "../plan.ts";
import type { FollowedConnection } from "../sampler.ts";

const ACRONYMS: ReadonlySet<string> = new Set([
  ...["tcp", "udp", "ip", "icmp", "arp", "ndp", "dhcp", "paws", "rst", "fin", "ttl", "mac", "tx"],
]);
const SPELT: Readonly<Record<string, string>> = { ethertype: "EtherType", vnet: "virtio-net" };

/** "dropTcpAfterFin" as "TCP after FIN". */
export function reasonName(name: DropName): string {
  const words = name.replace(/^drop/, "").replace(/[A-Z]/g, " $&").trim().toLowerCase().split(" ");
  return words
    .map((word) => SPELT[word] ?? (ACRONYMS.has(word) ? word.toUpperCase() : word))
    .join(" ");
}

/** The plan that a connection carried out; undefined = none has its address and port. */
export function planOf(each: FollowedConnection, plan: Plan): TcpPlan | undefined {
  const { peerAddress, peerPort } = each;
  return plan.tcp.find(({ address, port }) => address === peerAddress && port === peerPort);
}

/** "TCP 3" by its plan, or its far side. */
export function connectionName(each: FollowedConnection, plan: Plan): string {
  const found = planOf(each, plan);
  return found === undefined
    ? `TCP ${formatIpv4(each.peerAddress)}:${each.peerPort}`
    : `TCP ${found.id}`;
}
