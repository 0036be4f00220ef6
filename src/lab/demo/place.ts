/**
 * Where the demonstration takes place: the address of this machine that its servers get, and a
 * guest network that is not the machine's own.
 */
import { readFileSync } from "node:fs";
import type { networkInterfaces } from "node:os";
import { podNetworksOf } from "../../cli/hook-context.ts";
import { parseSubnet } from "../../config/subnet.ts";
import { contains4, formatIpv4, type Ipv4Network } from "../../lib/addr.ts";

type Interfaces = ReturnType<typeof networkInterfaces>;

export interface Place {
  /** Address that the servers listen on. */
  readonly address: string;
  /** The machine has no other address: the guest gets there by that of the gateway. */
  readonly isLoopback: boolean;
  /** Guest network. */
  readonly cidr: string;
  /** Address under which the guest reaches the servers. */
  readonly reached: string;
}

/** The usual one first. */
const NETWORKS: readonly string[] = ["10.0.2.0/24", "10.0.3.0/24", "192.168.230.0/24"];

export function placeOn(interfaces: Interfaces): Place {
  const own = podNetworksOf(interfaces);
  const cidr = NETWORKS.find((each) => !isOverlapping(each, own)) ?? NETWORKS[0] ?? "";
  const address = Object.values(interfaces)
    .flatMap((each) => each ?? [])
    .find(({ family, internal }) => family === "IPv4" && !internal)?.address;
  if (address !== undefined) return { address, isLoopback: false, cidr, reached: address };
  const reached = formatIpv4(parseSubnet(cidr).gateway);
  return { address: "127.0.0.1", isLoopback: true, cidr, reached };
}

function isOverlapping(cidr: string, networks: readonly Ipv4Network[]): boolean {
  const { network: address, prefixLength } = parseSubnet(cidr);
  const mine = { address, prefixLength };
  return networks.some((each) => contains4(each, address) || contains4(mine, each.address));
}

const PING_GROUPS = "/proc/sys/net/ipv4/ping_group_range";

/** Whether a user with these groups may send pings without a privilege. */
export function mayPing(range: string, groups: readonly number[]): boolean {
  const [first = 1, last = 0] = range.match(/\d+/g)?.map(Number) ?? [];
  return groups.some((group) => group >= first && group <= last);
}

/** The kernel's answer; empty where it has none. */
export function pingGroups(): string {
  try {
    return readFileSync(PING_GROUPS, "utf8");
  } catch {
    return "";
  }
}
