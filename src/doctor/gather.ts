/**
 * Finds out what the checks ask for. Everything is a look or a try that leaves nothing behind; what
 * cannot be told stays undefined. Resolvers are asked over the network, all at once.
 * Source: proc(5), ip-sysctl of the kernel's documentation, sysfs-class-net.
 */

import { accessSync, constants, existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseResolvConf, RESOLV_CONF_PATH } from "../config/resolv.ts";
import { memoryGroup } from "../sys/memory-group.ts";
import type { Facts, Interface } from "./facts.ts";
import { askResolver } from "./resolver-probe.ts";

/** What a look needs of the program. */
export interface Surroundings {
  /** Stands before every path, for tests. */
  readonly root: string;
  readonly uid: number;
  readonly gid: number;
  readonly now_ms: number;
  /** Milliseconds from any point in time. */
  readonly clock: () => number;
  readonly hooksDir: string;
  /** The program's file. */
  readonly program: string;
  /** Resolvers in place of those of resolv.conf. */
  readonly resolvers: readonly string[];
  /** Where resolvers take queries; 53 unless told otherwise. */
  readonly dnsPort?: number;
  /** What system calls tell; undefined where the runtime makes none. */
  readonly tries: Tries | undefined;
}

export interface Tries {
  readonly mayPing: () => boolean;
  readonly descriptors: () => number;
  readonly missingFeatures: () => readonly string[];
}

const PATIENCE_ms = 2000;
const CAP_NET_BIND_SERVICE = 10n;
const IFF_UP = 1;
const IFF_LOOPBACK = 8;
const DNS_PORT = 53;

export async function gather(surroundings: Surroundings): Promise<Facts> {
  const { root, uid, gid, now_ms, clock, hooksDir, program, tries } = surroundings;
  const { dnsPort = DNS_PORT } = surroundings;
  const text = (path: string): string | undefined => readText(join(root, path));
  const status = text("/proc/self/status") ?? "";
  const resolvConf = text(RESOLV_CONF_PATH);
  const asked =
    surroundings.resolvers.length > 0
      ? surroundings.resolvers
      : parseResolvConf(resolvConf ?? "").nameservers;
  const group = memoryGroup(root);
  return {
    hasSystemCalls: tries !== undefined,
    uid,
    gid,
    mayBindAny: hasCapability(status, CAP_NET_BIND_SERVICE),
    seccompMode: numberOf(/^Seccomp:\s+(\d)/m.exec(status)?.[1]),
    tunProblem: problemWith(join(root, "/dev/net/tun")),
    pingGroups: pairOf(text("/proc/sys/net/ipv4/ping_group_range")),
    mayPing: tries?.mayPing(),
    portStart: numberOf(text("/proc/sys/net/ipv4/ip_unprivileged_port_start")),
    descriptors: tries?.descriptors(),
    resolvConf,
    resolvers: await Promise.all(
      asked.map(async (address) => {
        return { address, answered_ms: await askResolver(address, dnsPort, PATIENCE_ms, clock) };
      }),
    ),
    isIpv6Off: (text("/proc/sys/net/ipv6/conf/all/disable_ipv6") ?? "1").trim() === "1",
    hasIpv6Route: hasDefaultRoute6(text("/proc/net/ipv6_route") ?? ""),
    interfaces: interfacesBelow(join(root, "/sys/class/net")),
    clock_ms: now_ms,
    built_ms: timeOf(program),
    missingFeatures: tries?.missingFeatures() ?? [],
    memoryLimit: group && { octets: group.limit, source: group.source },
    hooksFolder: { path: hooksDir, isWritable: isWritable(join(root, hooksDir)) },
  };
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined || !/^\s*\d+\s*$/.test(text) ? undefined : Number(text);
}

function pairOf(text: string | undefined): readonly [number, number] | undefined {
  const [, first, last] = /^\s*(\d+)\s+(\d+)\s*$/.exec(text ?? "") ?? [];
  return first === undefined ? undefined : [Number(first), Number(last)];
}

function hasCapability(status: string, capability: bigint): boolean {
  const effective = /^CapEff:\s+([0-9a-f]+)/m.exec(status)?.[1];
  return effective !== undefined && ((BigInt(`0x${effective}`) >> capability) & 1n) === 1n;
}

/** The errno's name; undefined = it can be read and written. */
function problemWith(path: string): string | undefined {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return undefined;
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : "unknown";
  }
}

function isWritable(folder: string): boolean | undefined {
  return existsSync(folder) ? problemWith(folder) === undefined : undefined;
}

function timeOf(program: string): number | undefined {
  try {
    return statSync(program).mtimeMs;
  } catch {
    return undefined;
  }
}

/** Fields: destination, its length, source, its length, next hop, …, device. */
function hasDefaultRoute6(table: string): boolean {
  return table.split("\n").some((line) => {
    const fields = line.trim().split(/\s+/);
    return /^0{32}$/.test(fields[0] ?? "") && fields[1] === "00" && fields.at(-1) !== "lo";
  });
}

function interfacesBelow(folder: string): Interface[] {
  try {
    return readdirSync(folder).map((name) => {
      const flags = Number((readText(join(folder, name, "flags")) ?? "0").trim());
      return {
        name,
        mtu: numberOf(readText(join(folder, name, "mtu"))) ?? 0,
        isUp: (flags & IFF_UP) !== 0,
        isLoopback: (flags & IFF_LOOPBACK) !== 0,
      };
    });
  } catch {
    return [];
  }
}
